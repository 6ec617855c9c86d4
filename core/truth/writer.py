"""The writers of a call: the one that records it, and the one used when nothing is recorded."""

from __future__ import annotations

from ..clock import Clock
from .call_writer import CallWriter

__all__ = ["Unrecorded", "Writer"]


class Unrecorded:
    """Writes nothing, and only tells the time. It is its own write lock."""

    session = path = gate = None
    call = 1

    def __init__(self, clock: Clock) -> None:
        self.enter = clock.monotonic
        self.started = clock.monotonic()

    @property
    def write_lock(self) -> Unrecorded:
        """The writer itself: nothing is locked."""
        return self

    def leave(self, *_: object, **__: object) -> None:
        """Do nothing."""

    frames = response = end = abandon = __exit__ = leave

    def __enter__(self) -> int:
        return self.enter()


Writer = CallWriter | Unrecorded
