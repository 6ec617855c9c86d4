"""When waiting for an answer ends, told apart by phase.

No clock in here: times are handed in, in seconds. Only waiting counts: while the caller holds so
many unread steps that nothing more is read, the server's silence means nothing.
"""

from __future__ import annotations

from math import inf

from ..errors import StreamTimeoutError
from ..settings import Timeouts
from ..vessel import Progress

__all__ = ["Deadlines"]

_OPEN = Progress.OPEN  # looking up a member of an enumeration costs as much as a comparison

_MEANING = {
    "write": "the server took nothing of the request for {limit:g} s",
    "first_chunk": "no data within {limit:g} s of the request",
    "idle": "no data for {limit:g} s",
    "total": "the answer took longer than {limit:g} s",
}


class Deadlines:
    """The deadlines of one call.

    A phase of "usage", "grace" or "drain" ends the reading, but is no error of the answer. phase:
    what is waited for now; the deadline can only come sooner where this changes.
    """

    def __init__(self, timeouts: Timeouts, now: float) -> None:
        self._timeouts = timeouts
        self._total = _end(now, timeouts.total)
        self._silence = _end(now, timeouts.first_chunk)
        self._sending = inf
        self._paused: float | None = None
        self.phase = "first_chunk"

    def sending(self, now: float) -> None:
        """A part of the request is being sent."""
        self._sending = _end(now, self._timeouts.write)

    def sent(self) -> None:
        """All of the request was sent."""
        self._sending = inf

    def data(self, now: float, progress: Progress, *, counted: bool) -> None:
        """Data arrived: silence begins anew, with the limit that fits how far the answer is.

        counted: the usage has come. A finish reason before it may not be the last word: some
        servers pause between two tool calls, each with a finish reason of its own.

        The drain is not prolonged: what is still sent after the terminator may never end.
        """
        if self.phase == "drain":
            return
        if progress is _OPEN:
            self.phase, limit = "idle", self._timeouts.idle
        elif progress is Progress.FINISHED:
            waits = self._timeouts
            self.phase, limit = ("grace", waits.grace) if counted else ("usage", waits.idle)
        else:
            self.phase, limit = "drain", self._timeouts.drain
        self._silence = inf if limit is None else now + limit

    def pause(self, now: float) -> None:
        """Nothing is read from now on."""
        self._paused = now

    def resume(self, now: float) -> None:
        """Reading goes on."""
        if self._paused is not None:
            self._silence += now - self._paused
            self._paused = None

    def next(self) -> tuple[float, str]:
        """The time at which waiting ends, infinite for never, and the phase that ends it."""
        if self._sending < self._silence and self._sending < self._total:
            return self._sending, "write"
        if self._paused is not None or self._total < self._silence:
            return self._total, "total"
        return self._silence, self.phase

    def expired(self, phase: str) -> StreamTimeoutError | None:
        """The error for a deadline of this phase; None where its passing is no error."""
        meaning = _MEANING.get(phase)
        if meaning is None:
            return None
        limit = getattr(self._timeouts, phase)
        return StreamTimeoutError(
            f"{meaning.format(limit=limit)}; to wait longer, set Timeouts({phase}=…)",
            phase=phase,
            setting=phase,
        )


def _end(now: float, limit: float | None) -> float:
    return inf if limit is None else now + limit
