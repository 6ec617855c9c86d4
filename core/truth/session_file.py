"""A session's file while it is written, and the writers of its calls.

Ends of calls are queued before they are written. Whoever holds the write lock writes them, so that
an interrupt cannot lose one, and a finaliser, which may run in the middle of a write, need not wait
for the lock. The file is closed when that was asked for and no call is running; its last line is
then a `close` line, unless something could not be written.

When `CallWriter.frames` returns, the frames are in the file and may be shown to the caller; where
there is a gate, after waiting for that too. After a RecordingError nothing of them may be shown.
"""

from __future__ import annotations

import logging
import os
import weakref
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..clock import Clock
from ..completion import Outcome
from ..errors import RecordingError, VesselogError
from ..exchange import Step
from ..native import NativeMessages, natives_record
from .appender import Appender
from .call_state import CallEnd, CallState
from .close_line import close_line
from .line_types import frame_line, response_line
from .write_lock import WriteLock

__all__ = ["CallWriter", "SessionFile", "Unrecorded", "Writer"]

_LOGGER = logging.getLogger("vesselog")
_OPEN: weakref.WeakSet[SessionFile] = weakref.WeakSet()


class SessionFile:
    """The file at `path` of the session `name`, which may not exist yet.

    appender: the open file; None before it is opened and after it was closed. running: the numbers
    of the calls without an end. closing: whether the session was closed. calls: the highest call
    number. wall: microseconds since 1970 at the session's time 0; None if the file does not say.
    ends: those that whoever holds the lock next writes; None: `close` was called.
    """

    def __init__(self, path: Path, name: str, clock: Clock) -> None:
        self.ends: deque[CallEnd | None] = deque()
        self._ended_all = True
        self.appender: Appender | None = None
        self.running: set[int] = set()
        self.closing = False
        self.calls = 0
        self.wall: int | None = None
        self.name = name
        self.path = path
        self.write_lock = WriteLock(clock, self.ends.__len__, self.settle)
        _OPEN.add(self)

    @property
    def open_appender(self) -> Appender:
        """The open file. Raises RecordingError if there is none."""
        if self.appender is None:
            raise RecordingError(f"cannot record to {self.path}: the session is closed")
        return self.appender

    def write_ends(self) -> None:
        """Write the queued ends. Those that fail have an error then."""
        with self.write_lock:
            self._write_ends()

    def settle(self) -> None:
        """Write the queued ends, and close the file if that is due, unless the lock is held.

        Whoever holds the lock does it on leaving. Never blocks and never raises.
        """
        while self.ends and self.write_lock.try_enter():
            try:
                self._write_ends()
            finally:
                self.write_lock.release()

    def close(self) -> None:
        """Close the file as soon as no call is running. Never blocks: safe in a finaliser."""
        self.closing = True
        self.ends.append(None)
        self.settle()

    def _write_ends(self) -> None:
        while self.ends:
            end = self.ends[0]
            if end is not None:
                self._write_end(end)
                self.running.discard(end.state.number)
            self.ends.popleft()
        if self.closing and not self.running and self.appender is not None:
            try:
                self._write_close(self.appender)
            finally:
                self.appender.close()
                self.appender = None

    def _write_close(self, appender: Appender) -> None:
        """Write the `close` line, where it is true. Without it the next writer reads the file."""
        if self.wall is None or not self._ended_all or appender.refusal is not None:
            return
        try:
            appender.check_file()
            t = self.write_lock.now()
            n = appender.ready(t) + 1
            if appender.size:
                appender.append(close_line(n, t, self.calls, self.wall), n)
        except RecordingError as error:
            _LOGGER.warning("%s", error)

    def _write_end(self, end: CallEnd) -> None:
        known = self.appender is None or self.appender.refusal is not None
        try:
            appender = self.open_appender
            appender.check_file()
            t = self.write_lock.now()
            n = appender.ready(t) + 1
            if not end.state.begun:  # an interrupt came before its request was written
                self.calls -= end.state.number == self.calls
            elif not end.state.ended:
                appender.append(end.line(n, t), n, end.confirm)
        except RecordingError as error:
            end.error = error
            self._ended_all = False
            if end.unattended and not known:
                _LOGGER.warning("%s", error)

    def after_fork(self) -> None:
        """In a forked child: let go of what belongs to the parent."""
        self.write_lock.renew()
        self.ends.clear()
        if self.appender is not None:
            self.appender.close_in_child()

    def __del__(self) -> None:
        appender = getattr(self, "appender", None)
        if appender is not None:
            appender.close()


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

    def end(self, outcome: Outcome, *, retry_in: float | None = None, **told: Any) -> None:
        """Write how the call ended; only the first end counts. Raises RecordingError.

        retry_in: seconds after which another attempt follows, None if none does. told: `error`,
        `usage`, `metrics` and `natives`.
        """
        if self._ended:
            if not self._state.ended:
                self._file.write_ends()  # an interrupt may have left it in the queue
            return
        end = self._queue_end(outcome, retry_in=retry_in, **told)
        self._file.write_ends()
        if end.error is not None:
            raise end.error

    def abandon(self, outcome: Outcome = "abandoned", **told: Any) -> None:
        """End the call, now or when the lock is next free. Safe in a finaliser. told: as `end`."""
        if not self._ended:
            self._queue_end(outcome, unattended=True, **told)
            self._file.settle()

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
        ending: dict[str, Any] = {"outcome": outcome}
        if error is not None:
            ending["error"] = error.to_record()
        if retry_in is not None:
            ending["retry_in"] = retry_in
        figures = {"usage": dict(usage)} if usage else {}
        if metrics:
            figures["metrics"] = dict(metrics)
        end = CallEnd(self._state, ending, figures, natives_record(natives or {}), unattended)
        self._file.ends.append(end)  # an interrupt from here on cannot lose it
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


def _after_fork_in_child() -> None:
    for file in tuple(_OPEN):
        file.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
