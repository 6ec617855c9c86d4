"""Records an answer again while it is replayed: the same frames and chunks at the same times.

A copy says what its original says, whatever the pace of the replay: a session's time only moves as
the originals of its calls did. So completions and metrics do not depend on the pace, nor on whether
they were recorded. Where calls of one session overlap, a frame may come later than in the original,
since the times of a file never decrease.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..chunk import Usage
from ..clock import Clock
from ..completion import Metrics, Outcome
from ..errors import VesselogError
from ..exchange import Step
from ..native import NativeMessages
from ..truth.call_writer import CallWriter
from ..truth.fsync_thread import SyncedFile
from ..truth.recorded_frame import RecordedFrame
from ..truth.recording import RecordedCall
from ..truth.session_pool import Entry

__all__ = ["AnswerCopy", "StillClock"]

# What says how the chunks were made, which was done by the vessel of then.
_MADE_BY = ("vessel", "vessel_version", "split_think")


class StillClock(Clock):
    """The clock of sessions that answers are copied to, which set their times themselves."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def monotonic(self) -> int:
        """Always zero."""
        return 0

    def wall(self) -> int:
        """The time of day."""
        return self._clock.wall()


class AnswerCopy:
    """A call of its own in another session. Raises RecordingError.

    request: what was asked, for the request line; `replay_of` in it names the original. session,
    path, call: where the copy is. gate: as that of a CallWriter.
    """

    def __init__(self, original: RecordedCall, entry: Entry, request: Mapping[str, Any]) -> None:
        made_by = {name: original.request[name] for name in _MADE_BY if name in original.request}
        source = {"session": original.session, "call": original.number}
        self._original = original
        self._entry = entry
        try:
            writer = entry.begin({**request, **made_by, "replay_of": source})
        except BaseException:
            entry.close()
            raise
        assert isinstance(writer, CallWriter)  # noqa: S101 - a client that records
        self._writer = writer
        self.session, self.path, self.call = writer.session, writer.path, writer.call
        self.gate: SyncedFile | None = writer.gate

    def respond(self) -> None:
        """Write the response's line, if there was one. Raises RecordingError."""
        status = (self._original.response or {}).get("status")
        if isinstance(status, int):
            with self._writer.write_lock as now:
                self._move(self._original.responded, now)
            self._writer.response(status, self._original.headers)

    def step(self, frame: RecordedFrame) -> Step:
        """Write the line of a frame; the frame with its chunks, as the copy has them.

        Raises RecordingError.
        """
        writer = self._writer
        with writer.write_lock as now:
            t = self._move(frame.t, now)
            step = replace(frame, call=writer.call, t=t, started=writer.started).step()
            writer.frames([step], t)
        return step

    def end(
        self,
        outcome: Outcome,
        usage: Usage | None,
        metrics: Metrics | None,
        *,
        error: VesselogError | None,
        natives: NativeMessages,
        later: bool,
    ) -> None:
        """Write how it ended, and let the session go. Raises RecordingError.

        later: where the session's lock is held, its holder writes it. Safe in finalisers and signal
        handlers.
        """
        figures: dict[str, Any] = {"usage": _record(usage), "metrics": _record(metrics)}
        try:
            if later:
                self._writer.abandon(outcome, error=error, natives=natives, **figures)
                return
            with self._writer.write_lock as now:
                self._move(self._original.ended or 0, now)
            self._writer.end(outcome, error=error, natives=natives, **figures)
        finally:
            self._entry.close()

    def _move(self, t: int, now: int) -> int:
        """Let the session's time be that of the original at `t`, unless it is later already."""
        due = max(now, self._writer.started + t - self._original.started)
        self._writer.write_lock.start(due)
        return due


def _record(figures: Usage | Metrics | None) -> dict[str, Any] | None:
    return None if figures is None else figures.model_dump(exclude_none=True)
