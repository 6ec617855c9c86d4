"""The writers of a session's calls.

When `CallWriter.frames` returns, the frames are in the file and may be shown to the caller; where
there is a gate, after waiting for that too. After a RecordingError nothing of them may be shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..clock import Clock
from ..completion import Outcome
from ..errors import RecordingError, VesselogError
from ..exchange import Step
from ..native import NativeMessages, natives_record
from .appender import Appender
from .call_state import CallState
from .line import build_line
from .line_types import frame_line, response_line

if TYPE_CHECKING:
    from .session import Session

__all__ = ["CallEnd", "CallWriter", "Unrecorded", "Writer"]


@dataclass(slots=True)
class CallEnd:
    """A call's `end` line that is to be written.

    ending, figures, messages: keys of the line, before and behind those of the payload; the
    messages are left out if JSON cannot hold them. unattended: nobody waits for it, so that an
    error is logged. error: why it was not written.
    """

    state: CallState
    ending: Mapping[str, Any]
    figures: Mapping[str, Any]
    messages: Mapping[str, Any]
    unattended: bool
    error: RecordingError | None = None

    def line(self, n: int, t: int) -> bytes:
        """The line. Raises RecordingError for what JSON cannot hold."""
        fields = {"type": "end", "n": n, "call": self.state.number, "t": t}
        fields |= {**self.ending, **self.state.tally(), **self.figures}
        try:
            return build_line({**fields, **self.messages})
        except RecordingError:
            # The messages repeat what the frames hold; an end without them is better than none.
            return build_line(fields)

    def confirm(self) -> None:
        """The line is in the file."""
        self.state.ended = True


class CallWriter:
    """The writer of a recorded call; made by `Session.begin`.

    session, path: the session's name and file. call: the call's number, from 1. started: when its
    request was written, in microseconds of the session's time. gate: what to wait for before lines
    are shown; None if they may be shown at once. write_lock: to be held around `frames`.
    """

    _ended = True  # until `__init__` is done: an interrupt may leave a half-made writer to __del__

    def __init__(
        self, session: Session, appender: Appender, state: CallState, started: int
    ) -> None:
        self._session = session
        self._appender = appender
        self._state = state
        self._confirm = state.confirm
        self.session = session.name
        self.path = session.path
        self.call = state.number
        self.started = started
        self.gate = appender.gate
        self.write_lock = session.write_lock
        self._ended = False

    def frames(self, steps: Sequence[Step], t: int) -> None:
        """Write the lines of these frames in one go, holding the lock, which was taken at `t`.

        Raises RecordingError.
        """
        appender = self._appender
        n = appender.ready(t)
        if self._ended:
            raise RecordingError(f"call {self.call} of {self._session.path} has ended")
        lines: list[bytes] = []
        for step in steps:
            n += 1
            lines.append(frame_line(step, n, self.call, t))
        if lines:
            self._state.unconfirmed = steps
            appender.append(b"".join(lines), n, self._confirm)

    def response(self, status: int, headers: Mapping[str, str]) -> None:
        """Write the response's line, without headers that may be secret. Raises RecordingError."""
        with self.write_lock as t:
            n = self._appender.ready(t) + 1
            if self._ended:
                raise RecordingError(f"call {self.call} of {self._session.path} has ended")
            self._appender.append(response_line(status, headers, n, self.call, t), n)

    def end(self, outcome: Outcome, **details: Any) -> None:
        """Write how the call ended; only the first end counts. Raises RecordingError.

        details: `error`, `usage`, `metrics`, `natives`, and `retry_in`: seconds after which another
        attempt follows, None if none does.
        """
        if self._ended:
            if not self._state.ended:
                self._session.write_ends()  # an interrupt may have left it in the queue
            return
        end = self._queue_end(outcome, **details)
        self._session.write_ends()
        if end.error is not None:
            raise end.error

    def abandon(self, outcome: Outcome = "abandoned", **details: Any) -> None:
        """End the call, now or when the lock is free; safe in a finaliser. details: as `end`."""
        if not self._ended:
            self._queue_end(outcome, unattended=True, **details)
            self._session.settle()

    def _queue_end(
        self,
        outcome: Outcome,
        *,
        error: VesselogError | None = None,
        natives: NativeMessages | None = None,
        retry_in: float | None = None,
        usage: Mapping[str, Any] | None = None,
        metrics: Mapping[str, Any] | None = None,
        unattended: bool = False,
    ) -> CallEnd:
        given = ("usage", usage), ("metrics", metrics)
        ending: dict[str, Any] = {"outcome": outcome}
        if error is not None:
            ending["error"] = error.to_record()
        if retry_in is not None:
            ending["retry_in"] = retry_in
        figures = {key: dict(value) for key, value in given if value}
        end = CallEnd(self._state, ending, figures, natives_record(natives or {}), unattended)
        self._session.ends.append(end)  # an interrupt from here on cannot lose it
        self._ended = True
        return end

    def __del__(self) -> None:
        self.abandon()


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
