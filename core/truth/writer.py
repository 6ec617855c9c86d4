"""Writes one call of a session: its response, its frames as they come, its end.

What `frames` returned from is in the file, and may be shown to the caller; where there is a gate,
after it has passed that too. A RecordingError means that nothing of it may be shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..clock import Clock
from ..completion import Outcome
from ..errors import RecordingError, VesselogError
from ..exchange import Step
from .frameline import frame_line
from .headers import recordable
from .line import build_line

if TYPE_CHECKING:
    from _hashlib import HASH

    from .appending import Appender
    from .session import Session

__all__ = ["CallWriter", "Ending", "Gate", "Hold", "Unrecorded", "Writer"]


class Gate(Protocol):
    """What was written has to pass it before it is shown: the durability level asks for that."""

    def wait(self) -> None:
        """Return when all that is written now may be shown. Raises RecordingError."""
        ...

    async def passed(self) -> None:
        """The same, without blocking the event loop. Raises RecordingError."""
        ...


class Hold(AbstractContextManager[int], Protocol):
    """The right to write, for `with`; `enter` and `leave` do the same for less."""

    def enter(self) -> int:
        """Take it; the time `t` for what is written now."""
        ...

    def leave(self) -> None:
        """Give it back."""
        ...


class Writer(Protocol):
    """Takes what happens in one call."""

    @property
    def session(self) -> str | None:
        """The session's name, None where nothing is recorded."""
        ...

    @property
    def path(self) -> Path | None:
        """The session's file, None where nothing is recorded."""
        ...

    @property
    def call(self) -> int:
        """The call's number in the session, from 1."""
        ...

    @property
    def started(self) -> int:
        """When the request was written, in the session's microseconds."""
        ...

    @property
    def gate(self) -> Gate | None:
        """What lines have to pass before they are shown; None where they may be at once."""
        ...

    def turn(self) -> Hold:
        """`with` it as the session's one writer; gives the time `t` for what is written inside."""
        ...

    def frames(self, steps: Sequence[Step], t: int) -> None:
        """Write all of these in one go, inside a turn that began at `t`. Raises RecordingError."""
        ...

    def response(self, status: int, headers: Mapping[str, str]) -> None:
        """Write the response's line. Raises RecordingError."""
        ...

    def end(
        self,
        outcome: Outcome,
        *,
        error: VesselogError | None = None,
        usage: Mapping[str, Any] | None = None,
        metrics: Mapping[str, Any] | None = None,
    ) -> None:
        """Write how the call ended; only the first end counts. Raises RecordingError."""
        ...

    def abandon(self) -> None:
        """End the call as abandoned. Never blocks, never raises: safe in a finaliser."""
        ...


class CallWriter:
    """The writer of a recorded call; made by `Session.begin`."""

    _ended = True  # until it is made: an interrupt may leave it half made to its finaliser

    def __init__(self, session: Session, appender: Appender, call: int, started: int) -> None:
        self._session = session
        self._appender = appender
        self._unlanded: Sequence[Step] = []
        # Frames and bytes of payload, their digest, and the steps that were counted last.
        self._counted: tuple[int, int, HASH, Sequence[Step]] = 0, 0, sha256(), self._unlanded
        self.call = call
        self.started = started
        self.gate: Gate | None = appender.gate
        self.begun = False
        self.finished = False
        self._ended = False

    @property
    def session(self) -> str | None:
        """The session's name."""
        return self._session.name

    @property
    def path(self) -> Path | None:
        """The session's file."""
        return self._session.path

    def turn(self) -> Hold:
        """The session's turn."""
        return self._session.turn

    def frames(self, steps: Sequence[Step], t: int) -> None:
        """Write the lines of these frames in one go. Raises RecordingError."""
        appender = self._appender
        n = appender.ready(t)
        if self._ended:
            raise RecordingError(f"call {self.call} of {self._session.path} has ended")
        lines: list[bytes] = []
        for step in steps:
            n += 1
            lines.append(frame_line(step, n, self.call, t))
        if lines:
            self._unlanded = steps
            appender.append(b"".join(lines), n, self)

    def response(self, status: int, headers: Mapping[str, str]) -> None:
        """Write the response's line, without headers that may be secret. Raises RecordingError."""
        with self._session.turn as t:
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
            if not self.finished:
                self._session.write_endings()  # an interrupt may have left it to be written
            return
        told: dict[str, Any] = {"outcome": outcome}
        if error is not None:
            told["error"] = error.to_record()
        ending = Ending(self, told, {"usage": usage, "metrics": metrics})
        # Queued before anything else: an interrupt from here on cannot lose it.
        self._session.queue(ending)
        self._ended = True
        self._session.finish(ending)

    def abandon(self) -> None:
        """End the call as abandoned, now or when the session is next free. Safe in a finaliser."""
        if not self._ended:
            self._session.queue(Ending(self, {"outcome": "abandoned"}, {}, unattended=True))
            self._ended = True
            self._session.settle()

    def tally(self) -> dict[str, Any]:
        """What was recorded of the payload so far."""
        frames, size, digest, _ = self._counted
        return {"frames": frames, "bytes": size, "sha256": digest.hexdigest()}

    def landed(self) -> None:
        """The request, or the frames written last, are in the file."""
        self.begun = True
        frames, size, digest, counted = self._counted
        steps = self._unlanded
        if steps is not counted:
            one = len(steps) == 1  # as a rule, and quicker
            payload = steps[0].frame.raw if one else b"".join([step.frame.raw for step in steps])
            digest = digest.copy()
            digest.update(payload)
            # In one step, which no interrupt can come into the midst of.
            self._counted = frames + len(steps), size + len(payload), digest, steps

    def __del__(self) -> None:
        self.abandon()


class Ending:
    """A call's `end` line that is to be written.

    unattended: nobody waits for it, so that an error can be told to the logger only. error: why it
    could not be written.
    """

    def __init__(
        self,
        writer: CallWriter,
        told: Mapping[str, Any],
        figures: Mapping[str, Any],
        *,
        unattended: bool = False,
    ) -> None:
        self.writer = writer
        self._told = told
        self._figures = {name: dict(value) for name, value in figures.items() if value}
        self.unattended = unattended
        self.error: RecordingError | None = None

    def line(self, n: int, t: int) -> bytes:
        """The line."""
        fields = {"type": "end", "n": n, "call": self.writer.call, "t": t}
        return build_line({**fields, **self._told, **self.writer.tally(), **self._figures})

    def landed(self) -> None:
        """The line is in the file."""
        self.writer.finished = True


class Unrecorded:
    """The writer where nothing is recorded: it only tells the time."""

    session: str | None = None
    path: Path | None = None
    gate: Gate | None = None

    def __init__(self, clock: Clock, call: int = 1) -> None:
        self._clock = clock
        self.call = call
        self.started = clock.monotonic()

    def turn(self) -> Hold:
        """The time is all that it gives."""
        return self

    def enter(self) -> int:
        """The time."""
        return self._clock.monotonic()

    def leave(self) -> None:
        """Nothing is held."""

    def __enter__(self) -> int:
        return self.enter()

    def __exit__(self, *_: object) -> None: ...

    def frames(self, steps: Sequence[Step], t: int) -> None:
        """Nothing is written."""

    def response(self, status: int, headers: Mapping[str, str]) -> None:
        """Nothing is written."""

    def end(
        self,
        outcome: Outcome,
        *,
        error: VesselogError | None = None,
        usage: Mapping[str, Any] | None = None,
        metrics: Mapping[str, Any] | None = None,
    ) -> None:
        """Nothing is written."""

    def abandon(self) -> None:
        """Nothing is written."""
