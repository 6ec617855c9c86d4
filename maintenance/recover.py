"""Repairs on demand what the next writer of a session would repair.

A torn tail is put aside, and calls without an end get `crashed`, with the assistant's message in
the provider's own form as far as it came. A file that needs neither is not touched.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.clock import SYSTEM_CLOCK, Clock
from ..core.errors import RecordingError, VesselogError
from ..core.native import NativeMessages
from ..core.truth.files import open_regular, sync_file, sync_folder
from ..core.truth.recording import RecordedCall, Recording
from ..core.truth.reopen import examine, torn_path
from ..core.truth.session import Session
from .redecoding import Redecoding

__all__ = ["RecoverReport", "recover"]


@dataclass(frozen=True, slots=True)
class RecoverReport:
    """The result of `recover`.

    Attributes:
        path: The recording.
        torn: How many bytes at its end were moved to the file `aside`.
        aside: The file that has these bytes; None if there are none.
        crashed: The numbers of the calls that were recorded as crashed.
        emptied: Whether nothing was left of the file, and it was removed.
    """

    path: Path
    torn: int = 0
    aside: Path | None = None
    crashed: tuple[int, ...] = ()
    emptied: bool = False

    @property
    def changed(self) -> bool:
        """Whether there was anything to do."""
        return bool(self.torn or self.crashed)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "path": str(self.path),
            "changed": self.changed,
            "torn": self.torn,
            "aside": None if self.aside is None else str(self.aside),
            "crashed": list(self.crashed),
            "emptied": self.emptied,
        }


def recover(path: str | os.PathLike[str], *, clock: Clock = SYSTEM_CLOCK) -> RecoverReport:
    """Repair a recording whose writer died; the repair is synced to disk when this returns.

    Args:
        path: The recording.
        clock: The source of times, for tests.

    Raises:
        RecordingLockedError: A process is still writing it.
        RecordingCorruptError: There is damage other than a torn tail (`salvage` is for that).
        RecordingError: The file cannot be read or written.
    """
    path = Path(path)
    before = examine(path)
    if not before.torn and not before.unfinished:
        return RecoverReport(path)
    natives = {
        call.number: _natives(call)
        for call in Recording(path).calls()
        if call.number in before.unfinished
    }
    session = Session.reopen(path, durability="power", clock=clock, natives=natives)
    try:
        found, gate = session.found, session.open_appender.gate
        if found.size == 0:
            path.unlink()
        if found.torn:
            _sync(torn_path(path))
        if gate is not None:
            gate.wait()
    except OSError as error:
        raise RecordingError(f"cannot recover {path}: {error.strerror}") from error
    finally:
        session.close()
    return RecoverReport(
        path,
        torn=found.torn,
        aside=torn_path(path) if found.torn else None,
        crashed=tuple(found.unfinished),
        emptied=found.size == 0,
    )


def _natives(call: RecordedCall) -> NativeMessages:
    """The call's messages; none where its answer cannot be decoded again."""
    try:
        again = Redecoding(call.request)
        again.respond(call.response or {})
        for frame in call.frames():
            again.feed(frame)
    except VesselogError:
        return {}
    return again.native()


def _sync(aside: Path) -> None:
    """Sync what was put aside, and the folder's entry for it."""
    fd = open_regular(aside)
    try:
        sync_file(fd)
    finally:
        os.close(fd)
    sync_folder(aside.parent)
