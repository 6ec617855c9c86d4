"""What the client needs in order to record a call, and the writer used when nothing is recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from ..clock import Clock
from ..completion import Outcome
from ..errors import VesselogError
from ..exchange import Step

__all__ = ["Gate", "Lock", "Unrecorded", "Writer"]


class Gate(Protocol):
    """Waits until written lines are on disk, where the durability level asks for that."""

    def wait(self) -> None:
        """Return when everything written so far may be shown. Raises RecordingError."""
        ...

    async def passed(self) -> None:
        """Like `wait`, without blocking the event loop. Raises RecordingError."""
        ...


class Lock(AbstractContextManager[int], Protocol):
    """A session's write lock. Use it with `with`; `enter` and `leave` cost less per chunk."""

    def enter(self) -> int:
        """Take the lock. Returns the time `t` for the lines that are written while it is held."""
        ...

    def leave(self) -> None:
        """Release the lock."""
        ...


class Writer(Protocol):
    """Records one call: its response, its frames as they arrive, and its end."""

    @property
    def session(self) -> str | None:
        """The session's name; None if nothing is recorded."""
        ...

    @property
    def path(self) -> Path | None:
        """The session's file; None if nothing is recorded."""
        ...

    @property
    def call(self) -> int:
        """The call's number in the session, from 1."""
        ...

    @property
    def started(self) -> int:
        """When the request was written, in microseconds of the session's time."""
        ...

    @property
    def gate(self) -> Gate | None:
        """What to wait for before lines are shown; None if they may be shown at once."""
        ...

    @property
    def write_lock(self) -> Lock:
        """The session's write lock, to be held around `frames`."""
        ...

    def frames(self, steps: Sequence[Step], t: int) -> None:
        """Write the lines of these frames in one go, holding the lock, which was taken at `t`.

        Raises RecordingError.
        """
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
        """End the call as abandoned. Never blocks and never raises: safe in a finaliser."""
        ...


class Unrecorded:
    """The writer used when nothing is recorded: it only tells the time."""

    session: str | None = None
    path: Path | None = None
    gate: Gate | None = None

    def __init__(self, clock: Clock, call: int = 1) -> None:
        self._clock = clock
        self.call = call
        self.started = clock.monotonic()

    @property
    def write_lock(self) -> Lock:
        """The writer itself: nothing is locked."""
        return self

    def enter(self) -> int:
        """The time in microseconds."""
        return self._clock.monotonic()

    def leave(self) -> None:
        """Do nothing."""

    def __enter__(self) -> int:
        return self.enter()

    def __exit__(self, *_: object) -> None: ...

    def frames(self, steps: Sequence[Step], t: int) -> None:
        """Write nothing."""

    def response(self, status: int, headers: Mapping[str, str]) -> None:
        """Write nothing."""

    def end(
        self,
        outcome: Outcome,
        *,
        error: VesselogError | None = None,
        usage: Mapping[str, Any] | None = None,
        metrics: Mapping[str, Any] | None = None,
    ) -> None:
        """Write nothing."""

    def abandon(self) -> None:
        """Write nothing."""
