"""Writes one call: its response, its frames as they arrive, its end; or nothing, unrecorded.

When `frames` returns, the frames are in the file and may be shown to the caller; where there is a
gate, after waiting for that too. After a RecordingError nothing of them may be shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..clock import Clock
from ..completion import Outcome
from ..errors import RecordingError, VesselogError
from ..exchange import Step
from .appender import Appender
from .call_state import CallEnd, CallState
from .line_types import frame_line, response_line
from .session_file import SessionFile

__all__ = ["CallWriter", "Unrecorded", "Writer"]


class CallWriter:
    """The writer of a recorded call; made by `Session.begin`.

    session, path: the session's name and file. call: the call's number, from 1. started: when its
    request was written, in microseconds of the session's time. gate: what to wait for before lines
    are shown; None if they may be shown at once. write_lock: to be held around `frames`.
    """

    _ended = True  # until `__init__` is done: an interrupt may leave a half-made writer to __del__

    def __init__(
        self, file: SessionFile, appender: Appender, state: CallState, started: int
    ) -> None:
        self._file = file
        self._appender = appender
        self._state = state
        self._confirm = state.confirm
        self.session = file.name
        self.path = file.path
        self.call = state.number
        self.started = started
        self.gate = appender.gate
        self.write_lock = file.write_lock
        self._ended = False

    def frames(self, steps: Sequence[Step], t: int) -> None:
        """Write the lines of these frames in one go, holding the lock, which was taken at `t`.

        Raises RecordingError.
        """
        appender = self._appender
        n = appender.ready(t)
        if self._ended:
            raise RecordingError(f"call {self.call} of {self._file.path} has ended")
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
            self._appender.append(response_line(status, headers, n, self.call, t), n)

    def end(
        self,
        outcome: Outcome,
        *,
        error: VesselogError | None = None,
        usage: Mapping[str, Any] | None = None,
        metrics: Mapping[str, Any] | None = None,
    ) -> None:
        """Write how the call ended; only the first end counts. Raises RecordingError."""
        if self._ended:
            if not self._state.ended:
                self._file.write_ends()  # an interrupt may have left it in the queue
            return
        ending: dict[str, Any] = {"outcome": outcome}
        if error is not None:
            ending["error"] = error.to_record()
        end = CallEnd(self._state, ending, {"usage": usage, "metrics": metrics})
        # Queued before anything else: an interrupt from here on cannot lose it.
        self._file.queue(end)
        self._ended = True
        self._file.write_ends()
        if end.error is not None:
            raise end.error

    def abandon(self) -> None:
        """End the call as abandoned, now or when the lock is next free. Safe in a finaliser."""
        if not self._ended:
            self._file.queue(CallEnd(self._state, {"outcome": "abandoned"}, {}, unattended=True))
            self._ended = True
            self._file.settle()

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
