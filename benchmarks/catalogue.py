"""All measurements, and how large each is in a full and in a quick run."""

from __future__ import annotations

from rounds import Measurement

__all__ = ["measurements"]

# Chunks of the same answer that come before those that are timed.
_EARLIER = (1, 100, 10000)


def measurements(*, quick: bool) -> list[Measurement]:
    """Everything, in the order of the report."""
    return _without_http(quick=quick)


def _without_http(*, quick: bool) -> list[Measurement]:
    script = "without_http.py"
    size = {"chunks": 4000 if quick else 40000, "turns": 2 if quick else 5}
    window = {"window": 300, "turns": 5 if quick else 30}
    return [
        Measurement("pipeline openai", script, "pipeline", {"dialect": "openai", **size}),
        Measurement("pipeline ollama", script, "pipeline", {"dialect": "ollama", **size}),
        Measurement(
            "pipeline openai, 16 frames a read",
            script,
            "pipeline",
            {"dialect": "openai", "together": 16, **size},
        ),
        Measurement(
            "pipeline openai, unrecorded",
            script,
            "pipeline",
            {"dialect": "openai", "record": False, **size},
        ),
        Measurement(
            "pipeline openai, async", script, "async_pipeline", {"dialect": "openai", **size}
        ),
        Measurement("replay", script, "replay", {"dialect": "openai", **size}),
        *(
            Measurement(
                f"earlier {count}",
                script,
                "earlier",
                {"dialect": "openai", "before": count, **window},
            )
            for count in _EARLIER
        ),
        Measurement("import", "importing.py", "importing", {"turns": 2 if quick else 10}),
    ]
