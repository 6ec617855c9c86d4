"""All measurements, and how large each is in a full and in a quick run."""

from __future__ import annotations

import os

from rounds import Measurement

__all__ = ["CLIENTS", "measurements"]

# Every client, with what has to be installed for it.
CLIENTS: dict[str, tuple[str, ...]] = {
    "floor": ("httptools",),
    "httpx": (),
    "httpx-sync": (),
    "httpx-ndjson": (),
    "aiohttp": ("aiohttp",),
    "openai": ("openai",),
    "ollama": ("ollama",),
    "litellm": ("litellm",),
    "pydantic-ai": ("pydantic_ai",),
    "vesselog": (),
    "vesselog-unrecorded": (),
    "vesselog-interval": (),
    "vesselog-power": (),
    "vesselog-fast": ("httptools",),
    "vesselog-fast-unrecorded": ("httptools",),
    "vesselog-fast-interval": ("httptools",),
    "vesselog-sync": (),
    "vesselog-sync-unrecorded": (),
    "vesselog-sync-fast": ("httptools",),
    "vesselog-ollama": (),
    "vesselog-fast-ollama": ("httptools",),
}

# Chunks of the same answer that come before those that are timed.
_EARLIER = (1, 100, 10000)


def measurements(*, quick: bool) -> list[Measurement]:
    """Everything, in the order of the report."""
    return [*_without_http(quick=quick), *_load(quick=quick), *_limits(quick=quick)]


def _without_http(*, quick: bool) -> list[Measurement]:
    script = "without_http.py"
    openai = {"dialect": "openai"}
    size = {"chunks": 3000 if quick else 40000, "turns": 2 if quick else 5}
    window = {"window": 300, "turns": 5 if quick else 30}
    variants: dict[str, tuple[str, dict[str, object]]] = {
        "pipeline openai": ("pipeline", {}),
        "pipeline ollama": ("pipeline", {"dialect": "ollama"}),
        "pipeline openai, 16 frames a read": ("pipeline", {"together": 16}),
        "pipeline openai, unrecorded": ("pipeline", {"record": False}),
        "pipeline openai, async": ("async_pipeline", {}),
        "replay": ("replay", {}),
    }
    return [
        *(
            Measurement(name, script, function, {**openai, **size, **settings})
            for name, (function, settings) in variants.items()
        ),
        *(
            Measurement(
                f"earlier {count}", script, "earlier", {**openai, "before": count, **window}
            )
            for count in _EARLIER
        ),
        Measurement(
            "steps of a chunk",
            "steps.py",
            "steps",
            {"repeats": 2000 if quick else 20000, "turns": 3 if quick else 9},
        ),
        Measurement("import", "importing.py", "importing", {"turns": 1 if quick else 10}),
    ]


def _load(*, quick: bool) -> list[Measurement]:
    """Each client under the same two loads."""
    burst = {"streams": 2 if quick else 20, "chunks": 300 if quick else 1000}
    paced = {"streams": 10 if quick else 100, "rate": 50, "chunks": 10 if quick else 250}
    return [
        Measurement(
            f"{load} {client}",
            "over_http.py",
            load,
            {"client": client, **size},
            needs=needs,
            python=os.environ.get("LITELLM_PYTHON") if client == "litellm" else None,
        )
        for load, size in (("burst", burst), ("paced", paced))
        for client, needs in CLIENTS.items()
    ]


def _limits(*, quick: bool) -> list[Measurement]:
    """Where it ends: many streams, long streams, the first chunk."""
    script = "over_http.py"
    crowd = {"rate": 50, "chunks": 10 if quick else 500, "one_core": True}
    total = 1000  # pieces a second over all streams, so that only their number differs
    seconds = 2 if quick else 15
    return [
        *(
            Measurement(
                f"crowd {client} {streams}",
                script,
                "paced",
                {"client": client, "streams": streams, **crowd},
                needs=CLIENTS[client],
            )
            for streams in ((50,) if quick else (100, 200, 300, 400))
            for client in ("floor", "vesselog-fast")
        ),
        *(
            Measurement(
                f"streams {streams}",
                script,
                "steady",
                {
                    "client": "vesselog",
                    "streams": streams,
                    "rate": total // streams,
                    "chunks": max(3, total * seconds // streams),
                },
            )
            for streams in ((5, 20) if quick else (10, 100, 1000))
        ),
        *(
            Measurement(
                f"growth one stream{suffix}",
                script,
                "growth",
                {
                    "client": f"vesselog{suffix.replace(' ', '-')}",
                    "streams": 1,
                    "chunks": 10_000 if quick else 1_000_000,
                    "warm_streams": 1,
                },
                once=True,
            )
            for suffix in (("",) if quick else ("", " fast", " sync"))
        ),
        *(
            Measurement(
                f"growth many streams{suffix}",
                script,
                "growth",
                {
                    "client": f"vesselog{suffix.replace(' ', '-')}",
                    "streams": 100 if quick else 10_000,
                    "chunks": 10,
                    "warm_streams": 20 if quick else 500,
                },
                once=True,
            )
            for suffix in (("",) if quick else ("", " fast", " sync"))
        ),
        Measurement("first chunk", script, "first_chunk", {"pairs": 20 if quick else 500}),
    ]
