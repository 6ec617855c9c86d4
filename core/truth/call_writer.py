"""Writes one call of a session: its response, its frames as they arrive, its end.

When `frames` returns, the frames are in the file and may be shown to the caller; where there is a
gate, after waiting for that too. After a RecordingError nothing of them may be shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..completion import Outcome
from ..errors import RecordingError, VesselogError
from ..exchange import Step
from .appender import Appender
from .call_state import CallEnd, CallState
from .frame_line import frame_line
from .headers import recordable
from .line import build_line
from .session_file import SessionFile
from .writer import Gate, Lock

__all__ = ["CallWriter"]


class CallWriter:
    """The writer of a recorded call; made by `Session.begin`."""

    _ended = True  # until `__init__` is done: an interrupt may leave a half-made writer to __del__

    def __init__(
        self, file: SessionFile, appender: Appender, state: CallState, started: int
    ) -> None:
        self._file = file
        self._appender = appender
        self._state = state
        self._confirm = state.confirm
        self.call = state.number
        self.started = started
        self.gate: Gate | None = appender.gate
        self.write_lock: Lock = file.write_lock
        self._ended = False

    @property
    def session(self) -> str:
        """The session's name."""
        return self._file.name

    @property
    def path(self) -> Path:
        """The session's file."""
        return self._file.path

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
            fields = {
                "type": "response",
                "n": n,
                "call": self.call,
                "t": t,
                "status": status,
                "headers": recordable(headers),
            }
            self._appender.append(build_line(fields), n)

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
        self._file.write_end(end)

    def abandon(self) -> None:
        """End the call as abandoned, now or when the lock is next free. Safe in a finaliser."""
        if not self._ended:
            self._file.queue(CallEnd(self._state, {"outcome": "abandoned"}, {}, unattended=True))
            self._ended = True
            self._file.settle()

    def __del__(self) -> None:
        self.abandon()
