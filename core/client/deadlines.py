"""When waiting for an answer ends, told apart by phase.

No clock in here: times are handed in, in seconds.

Only waiting counts. Time in which the caller does something else with what it got is no silence of
the server, so the driver says when it stops reading and when it goes on.
"""

from __future__ import annotations

from math import inf

from ..errors import StreamTimeoutError
from ..vessel import Progress
from .settings import Timeouts

__all__ = ["Deadlines"]

_OPEN = Progress.OPEN  # looking up a member of an enumeration costs as much as a comparison

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
        self._total = _end(now, timeouts.total)
        self._silence = _end(now, timeouts.first_chunk)
        self._paused: float | None = None
        self.phase = "first_chunk"

    def data(self, now: float, progress: Progress) -> None:
        """Data arrived: silence begins anew, with the patience that fits how far the answer is.

        The drain is not prolonged: what is still sent after the last word may never end.
        """
        if self.phase == "drain":
            return
        if progress is _OPEN:
            self.phase, limit = "idle", self._timeouts.idle
        elif progress is Progress.FINISHED:
            self.phase, limit = "grace", self._timeouts.grace
        else:
            self.phase, limit = "drain", self._timeouts.drain
        self._silence = inf if limit is None else now + limit

    def pause(self, now: float) -> None:
        """Nobody is reading from now on."""
        if self._paused is None:
            self._paused = now

    def resume(self, now: float, since: float | None = None) -> None:
        """Reading goes on. since: when it stopped, where `pause` did not tell."""
        if self._paused is not None:
            since, self._paused = self._paused, None
        if since is not None:
            self._silence += now - since

    def next(self) -> tuple[float | None, str]:
        """The time at which waiting ends, None for never, and the phase that ends it."""
        end, phase = self._silence, self.phase
        if self._paused is not None or end == inf or self._total < end:
            end, phase = self._total, "total"
        return (None if end == inf else end), phase

    def passed(self, now: float) -> bool:
        """Whether waiting has ended by now; asked while somebody reads."""
        return now >= self._silence or now >= self._total

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
