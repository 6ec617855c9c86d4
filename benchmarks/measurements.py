"""All measurements, and how large each is in a full and in a quick run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from clients import CLIENTS, is_peer
from rounds import Measurement

__all__ = ["Earlier", "measurements"]

# Chunks of the same answer that come before those that are timed.
_EARLIER_CHUNKS = (1, 100, 10000)
# The clients of an earlier commit that are measured beside the present ones.
_COMPARED = ("vesselog", "vesselog-fast", "vesselog-sync", "vesselog-sync-fast")
_CALLS = ("barest", "aiohttp", "httpx", "openai", "vesselog", "vesselog-fast")


@dataclass(frozen=True)
class Earlier:
    """The earlier commit to compare with: the folder to import it from, or why there is none."""

    folder: Path | None = None
    unavailable: str | None = "no earlier commit was given (--before COMMIT)"


def measurements(*, quick: bool, earlier: Earlier) -> list[Measurement]:
    """Everything, in the order of the report."""
    return [
        *_load(quick=quick, earlier=earlier),
        *_calls(),
        *_without_http(quick=quick),
        *_following(quick=quick),
        *_limits(quick=quick),
    ]


def _load(*, quick: bool, earlier: Earlier) -> list[Measurement]:
    """Each client under the same two loads."""
    burst = {"streams": 2 if quick else 20, "chunks": 300 if quick else 1000}
    paced = {"streams": 10 if quick else 100, "rate": 50, "chunks": 10 if quick else 250}
    script = "over_http.py"
    return [
        measurement
        for load, size in (("burst", burst), ("paced", paced))
        for client, needs in CLIENTS.items()
        for measurement in (
            Measurement(
                f"{load} {client}",
                script,
                load,
                {"client": client, **size},
                needs=needs,
                python=os.environ.get("LITELLM_PYTHON") if client == "litellm" else None,
                optional=is_peer(client),
            ),
            *(
                [
                    Measurement(
                        f"{load} {client} before",
                        script,
                        load,
                        {"client": client, **size},
                        import_from=earlier.folder,
                        unavailable=earlier.unavailable,
                        optional=True,
                    )
                ]
                if client in _COMPARED
                else ()
            ),
        )
    ]


def _calls() -> list[Measurement]:
    return [
        Measurement(
            f"calls {client}",
            "python_calls.py",
            "calls",
            {"client": client},
            needs=CLIENTS[client],
            optional=is_peer(client),
        )
        for client in _CALLS
    ]


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
            for count in _EARLIER_CHUNKS
        ),
        Measurement(
            "conversation",
            script,
            "conversation",
            {**openai, "calls": 100 if quick else 10_000, "window": 50 if quick else 1000},
        ),
        Measurement("import", "import_time.py", "import_time", {"turns": 1 if quick else 10}),
    ]


def _following(*, quick: bool) -> list[Measurement]:
    """Followers of one running stream."""
    size = {"followers": 20 if quick else 200, "rate": 50, "chunks": 50 if quick else 500}
    variants: dict[str, dict[str, object]] = {
        "following in the writer's process": {"processes": 1, "with_writer": True},
        "following in one process": {"processes": 1},
        "following in several processes": {"processes": 2 if quick else 8},
    }
    return [
        Measurement(name, "following.py", "following", {**size, **settings})
        for name, settings in variants.items()
    ]


def _limits(*, quick: bool) -> list[Measurement]:
    """Many streams, long streams, and the first chunk."""
    script = "over_http.py"
    crowd = {"rate": 50, "chunks": 10 if quick else 500, "one_core": True}
    total = 1000  # pieces a second over all streams, so that only their number differs
    seconds = 2 if quick else 15
    lengths = {
        "one stream": {
            "streams": 1,
            "chunks": 10_000 if quick else 1_000_000,
            "warm_streams": 1,
        },
        "many streams": {
            "streams": 100 if quick else 10_000,
            "chunks": 10,
            "warm_streams": 20 if quick else 500,
        },
    }
    return [
        *(
            Measurement(
                f"crowd {client} {streams}",
                script,
                "paced",
                {"client": client, "streams": streams, **crowd},
                needs=CLIENTS[client],
                optional=is_peer(client),
            )
            for streams in ((50,) if quick else (100, 200, 300, 400))
            for client in ("barest", "vesselog-fast")
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
                f"growth {length}{suffix}",
                script,
                "growth",
                {"client": f"vesselog{suffix.replace(' ', '-')}", **size},
                needs=CLIENTS[f"vesselog{suffix.replace(' ', '-')}"],
                once=True,
            )
            for length, size in lengths.items()
            for suffix in (("",) if quick else ("", " fast", " sync"))
        ),
        Measurement("first chunk", script, "first_chunk", {"pairs": 20 if quick else 500}),
    ]
