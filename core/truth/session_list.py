"""Lists the sessions in a folder, each in short: the one written last comes first.

The folder is looked through at once, which takes some microseconds for each file. A file is read
when it is asked for, its frames are passed over.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from heapq import merge
from itertools import islice
from pathlib import Path
from typing import Any, cast

from ..clock import SYSTEM_CLOCK, parse_timestamp, timestamp
from ..completion import Outcome
from ..errors import RecordingError
from .file_lock import has_writer
from .files import explained
from .recording import recorded_outcome
from .scan import is_whole, open_recording, scan
from .session_names import SUFFIX

__all__ = ["SessionSummary", "files_by_age", "list_sessions", "next_sessions", "summarize"]

# Sorting does not let other threads run, an event loop's among them: so many take a millisecond.
_SORTED_AT_ONCE = 2_000

# Microseconds of reading, after which the sessions read are handed to an event loop.
_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """A summary of a session.

    Attributes:
        name: Its name, as a client takes it.
        path: Its file.
        opened: When its first writer opened it, in UTC; None if that is not known.
        written: When it was last written to, in UTC; None if that is not known.
        outcomes: The outcomes of its calls, in their order.
        models: The models that were asked, as `vessel/model`.
        size: Its size in bytes.
        meta: What its first writer recorded as `meta`.
        running: Whether a writer has it open, so that "interrupted" calls may still end; None where
            files cannot be locked.
        error: Why the file cannot be read, or not to its end; None if it can.
    """

    name: str
    path: Path
    opened: datetime | None = None
    written: datetime | None = None
    outcomes: tuple[Outcome, ...] = ()
    models: tuple[str, ...] = ()
    size: int = 0
    meta: Mapping[str, Any] = field(default_factory=dict[str, Any])
    running: bool | None = None
    error: RecordingError | None = None

    @property
    def calls(self) -> int:
        """How many calls it has, retries included."""
        return len(self.outcomes)

    @property
    def outcome(self) -> Outcome | None:
        """How the last call ended; None without calls."""
        return self.outcomes[-1] if self.outcomes else None

    def to_dict(self) -> dict[str, Any]:
        """The summary as JSON values."""
        return {
            "session": self.name,
            "path": str(self.path),
            "opened": _text(self.opened),
            "written": _text(self.written),
            "calls": self.calls,
            "outcomes": list(self.outcomes),
            "models": list(self.models),
            "bytes": self.size,
            "meta": dict(self.meta),
            "running": self.running,
        }


def files_by_age(folder: Path) -> Iterator[tuple[int, str]]:
    """The files named like recordings, as nanoseconds since 1970 and path, written last first.

    Raises RecordingError.
    """
    with explained(f"read {folder}"), os.scandir(folder) as entries:
        found = ((_written(each), each.path) for each in entries if each.name.endswith(SUFFIX))
        runs: list[list[tuple[int, str]]] = []
        while run := list(islice(found, _SORTED_AT_ONCE)):
            run.sort(reverse=True)
            runs.append(run)
    return merge(*runs, reverse=True)


def list_sessions(folder: Path) -> Iterator[SessionSummary]:
    """The sessions in a folder; one that cannot be read has an error.

    Nothing where there is no such folder yet. Raises RecordingError if it cannot be read.
    """
    found = files_by_age(folder) if os.path.lexists(folder) else iter(())
    paths = (Path(path) for _, path in found)
    return (summarize(path) for path in paths if os.path.lexists(path))  # deleted meanwhile


def next_sessions(listed: Iterator[SessionSummary]) -> list[SessionSummary]:
    """The next ones, as many as are read in a moment; none at the end."""
    sessions: list[SessionSummary] = []
    enough = SYSTEM_CLOCK.monotonic() + _AT_ONCE
    for each in listed:
        sessions.append(each)
        if SYSTEM_CLOCK.monotonic() >= enough:
            break
    return sessions


def summarize(path: Path) -> SessionSummary:
    """The recording at `path` in short."""
    found: dict[str, Any] = {}
    models: dict[str, None] = {}
    outcomes: dict[int, Outcome] = {}
    try:
        with open_recording(path) as file:
            status = os.fstat(file.fileno())
            found["size"], found["written"] = status.st_size, _moment(status.st_mtime_ns // 1000)
        with suppress(RecordingError):  # files cannot be locked here
            found["running"] = has_writer(path)
        for line in scan(path, frames=False):
            fields, kind = line.fields, line.fields["type"]
            if kind == "session" and isinstance(fields.get("meta"), dict):
                found.setdefault("meta", cast("dict[str, Any]", fields["meta"]))
            elif kind == "open" and "opened" not in found:
                found["opened"] = _moment(parse_timestamp(fields.get("at")))
            elif kind == "request":
                named = (fields.get("vessel"), fields.get("model"))
                models["/".join(str(each) for each in named if each is not None)] = None
                outcomes[line.call] = "interrupted"
            elif kind == "end" and is_whole(fields.get("call")):
                outcomes[line.call] = recorded_outcome(fields)
    except RecordingError as error:
        found["error"] = error
    return SessionSummary(
        path.stem, path, outcomes=(*outcomes.values(),), models=(*models,), **found
    )


def _written(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_mtime_ns
    except OSError:  # a link that leads nowhere, or a file that is gone: reading it will tell
        return 0


def _moment(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else datetime.fromtimestamp(microseconds / 1e6, UTC)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else timestamp(round(moment.timestamp() * 1e6))
