"""When waiting for an answer ends, told apart by phase.

No clock in here: times are handed in, in seconds.

Only waiting counts. Time in which the caller does something else with what it got is no silence of
the server, so the driver says when it stops reading and when it goes on.
"""

from __future__ import annotations

from ..errors import StreamTimeoutError
from ..vessel import Progress
from .settings import Timeouts

__all__ = ["Deadlines"]

_MEANING = {
    "first_chunk": "no data within {limit:g} s of the request",
    "idle": "no data for {limit:g} s",
    "total": "the answer took longer than {limit:g} s",
}


class Deadlines:
    """The deadline of one call. A phase of "grace" or "drain" ends the reading, not the answer.

    phase: of the silence that is waited out now. Only where it changes can the deadline come to
    pass sooner than before.
    """

    def __init__(self, timeouts: Timeouts, now: float) -> None:
        self._timeouts = timeouts
        self._total = None if timeouts.total is None else now + timeouts.total
        self._since = now
        self._paused: float | None = None
        self.phase = "first_chunk"
        self._limit = timeouts.first_chunk

    def data(self, now: float, progress: Progress) -> None:
        """Data arrived: silence begins anew, with the patience that fits how far the answer is.

        The drain is not prolonged: what is still sent after the last word may never end.
        """
        if self.phase == "drain":
            return
        self._since = now
        if progress is Progress.OPEN:
            self.phase, self._limit = "idle", self._timeouts.idle
        elif progress is Progress.FINISHED:
            self.phase, self._limit = "grace", self._timeouts.grace
        else:
            self.phase, self._limit = "drain", self._timeouts.drain

    def pause(self, now: float) -> None:
        """Nobody is reading from now on."""
        if self._paused is None:
            self._paused = now

    def resume(self, now: float, since: float | None = None) -> None:
        """Reading goes on. since: when it stopped, where `pause` did not tell."""
        if self._paused is not None:
            since, self._paused = self._paused, None
        if since is not None:
            self._since += now - since

    def next(self) -> tuple[float | None, str]:
        """The time at which waiting ends, None for never, and the phase that ends it."""
        if self._limit is None or self._paused is not None:
            return self._total, "total"
        end = self._since + self._limit
        if self._total is not None and self._total < end:
            return self._total, "total"
        return end, self.phase

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
