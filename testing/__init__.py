"""For other people's tests: recorded answers, and the conformance kit for authors of vessels.

    with recording("answers.jsonl") as client: ...
    with replaying("answers.jsonl") as client: ...

docs/testing.md and docs/writing-a-vessel.md describe them. A name is imported when it is first
asked for: pytest loads plugin.py in every run of whoever has vesselog installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .faults import faulty
    from .ground_truth import GroundTruth
    from .kit import Conformance
    from .sessions import recording, replaying

__all__ = ["Conformance", "GroundTruth", "faulty", "recording", "replaying"]

_HOMES = {
    "Conformance": "kit",
    "GroundTruth": "ground_truth",
    "faulty": "faults",
    "recording": "sessions",
    "replaying": "sessions",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
