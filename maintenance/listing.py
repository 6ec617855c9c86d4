"""Lists the recordings in a folder, each in short: the newest first, one file read at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..core.completion import Outcome
from ..core.errors import RecordingError
from ..core.truth.recorded_requests import recordings_in
from ..core.truth.recording import recorded_outcome
from ..core.truth.scan import Torn, is_whole, open_recording, scan
from ..core.truth.session_names import time_in_name

__all__ = ["RecordingSummary", "UnreadableRecording", "list_recordings", "summarize"]


@dataclass(frozen=True, slots=True)
class RecordingSummary:
    """A recording in short.

    opened: when its first writer opened it, as ISO 8601 in UTC; None if it does not say. outcomes:
    of its calls, in their order. models: those asked for, as `vessel/model`. size: in bytes.
    """

    path: Path
    session: str
    opened: str | None
    outcomes: tuple[Outcome, ...]
    models: tuple[str, ...]
    size: int

    @property
    def calls(self) -> int:
        """How many calls it has."""
        return len(self.outcomes)

    def to_dict(self) -> dict[str, Any]:
        """The summary as JSON values."""
        return {**asdict(self), "path": str(self.path), "calls": self.calls}


@dataclass(frozen=True, slots=True)
class UnreadableRecording:
    """A file that is named like a recording, and the error with which reading it failed."""

    path: Path
    error: RecordingError


def list_recordings(folder: Path) -> Iterator[RecordingSummary | UnreadableRecording]:
    """The recordings in a folder, the newest first: by the time in its name, or of its last write.

    A file is read when it is asked for. Raises RecordingError if the folder cannot be read.
    """
    found = sorted(((_time(path), path) for path in recordings_in(folder)), reverse=True)
    return (_summary(path) for _, path in found)


def summarize(path: Path) -> RecordingSummary:
    """The recording at `path` in short; its frames are passed over. Raises RecordingError."""
    session, opened = path.stem, None
    models: dict[str, None] = {}
    outcomes: dict[int, Outcome] = {}
    with open_recording(path) as file:
        for line in scan(file, path, frames=False):
            if isinstance(line, Torn):
                break
            fields, kind = line.fields, line.fields["type"]
            if kind == "session":
                session = str(fields.get("session", session))
            elif kind == "open" and opened is None:
                opened = str(fields.get("at"))
            elif kind == "request":
                models[f"{fields.get('vessel')}/{fields.get('model')}"] = None
                outcomes[line.call] = "interrupted"
            elif kind == "end" and is_whole(fields.get("call")):
                outcomes[line.call] = recorded_outcome(fields)
        size = os.fstat(file.fileno()).st_size
    return RecordingSummary(path, session, opened, (*outcomes.values(),), (*models,), size)


def _summary(path: Path) -> RecordingSummary | UnreadableRecording:
    try:
        return summarize(path)
    except RecordingError as error:
        return UnreadableRecording(path, error)


def _time(path: Path) -> float:
    """In microseconds since 1970."""
    named = time_in_name(path.stem)
    if named is not None:
        return named
    try:
        return path.stat().st_mtime * 1e6
    except OSError:  # a link that leads nowhere, or a file that is gone: reading it will tell
        return 0.0
