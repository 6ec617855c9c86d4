"""Deletes old recordings: by the time of their last write, and by the size of all.

Only recordings are deleted, and none that is being written; whatever else is in the folder stays,
and does not count.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ..core.clock import SYSTEM_CLOCK, Clock
from ..core.errors import ConfigurationError, RecordingError, RecordingLockedError
from ..core.truth.delete_recording import delete_recording
from ..core.truth.file_lock import has_writer
from ..core.truth.files import explained
from ..core.truth.recording import Recording
from ..core.truth.reopen import torn_path
from ..core.truth.session_list import files_by_age

__all__ = ["PruneReport", "PrunedRecording", "prune"]

_LOGGER = logging.getLogger("vesselog")


@dataclass(frozen=True, slots=True)
class PrunedRecording:
    """A recording that was deleted.

    Attributes:
        path: Its file.
        written: When it was last written to, in UTC.
        size: Its size in bytes, with that of the `.torn` file beside it.
    """

    path: Path
    written: datetime
    size: int

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        written = self.written.isoformat(timespec="seconds")
        return {"path": str(self.path), "written": written, "bytes": self.size}


@dataclass(slots=True)
class PruneReport:
    """What `prune` did, or would do.

    Attributes:
        folder: The folder.
        dry_run: Whether nothing was deleted, but only reported.
        deleted: The recordings that were deleted, oldest first.
        kept: How many recordings are left.
        kept_bytes: Their size in bytes.
        running: Recordings that were not deleted because they are being written.
        failed: The error of each recording that could not be deleted.
    """

    folder: Path
    dry_run: bool
    deleted: list[PrunedRecording] = field(default_factory=list[PrunedRecording])
    kept: int = 0
    kept_bytes: int = 0
    running: list[Path] = field(default_factory=list[Path])
    failed: list[RecordingError] = field(default_factory=list[RecordingError])

    @property
    def deleted_bytes(self) -> int:
        """The size of what was deleted, in bytes."""
        return sum(each.size for each in self.deleted)


def prune(
    folder: str | Path,
    *,
    older_than: timedelta | None = None,
    keep_bytes: int | None = None,
    dry_run: bool = False,
    clock: Clock = SYSTEM_CLOCK,
) -> PruneReport:
    """Delete old recordings in a folder. Those that are being written stay.

    Args:
        folder: The folder.
        older_than: Delete those that were last written longer ago.
        keep_bytes: Delete the oldest ones until the others take this many bytes or less.
        dry_run: Delete nothing; only report.
        clock: The source of times, for tests.

    Raises:
        ConfigurationError: Neither limit is given, or one cannot be used.
        RecordingError: The folder cannot be read.
    """
    if older_than is None and keep_bytes is None:
        raise ConfigurationError("give older_than=, keep_bytes=, or both")
    if keep_bytes is not None and (type(keep_bytes) is not int or keep_bytes < 0):
        raise ConfigurationError(
            f"keep_bytes={keep_bytes!r}: give a whole number of bytes", setting="keep_bytes"
        )
    if older_than is not None and (type(older_than) is not timedelta or older_than < timedelta()):
        raise ConfigurationError(
            f"older_than={older_than!r}: give a timedelta, such as timedelta(days=30)",
            setting="older_than",
        )
    age = older_than // timedelta(microseconds=1) if older_than is not None else clock.wall()
    oldest = (clock.wall() - age) * 1000
    report = PruneReport(Path(folder), dry_run)
    too_old: list[tuple[int, Path, int]] = []
    for written, name in files_by_age(report.folder):
        path = Path(name)
        try:
            size = _size_of(path)
        except RecordingError as error:  # no recording, or gone
            _LOGGER.debug("not pruned: %s", error)
            continue
        over = keep_bytes is not None and report.kept_bytes + size > keep_bytes
        if over or written < oldest:
            too_old.append((written, path, size))
            keep_bytes = -1 if over else keep_bytes  # all that are older go too
        else:
            report.kept += 1
            report.kept_bytes += size
    for written, path, size in reversed(too_old):
        _delete(path, written, size, report)
    return report


def _size_of(path: Path) -> int:
    """The bytes of a recording and its torn tails. Raises RecordingError if it is none."""
    Recording(path)
    with explained(f"read {path}"):
        aside = torn_path(path)
        return path.stat().st_size + (aside.stat().st_size if aside.exists() else 0)


def _delete(path: Path, written: int, size: int, report: PruneReport) -> None:
    try:
        if not report.dry_run:
            delete_recording(path, written=written)
        elif has_writer(path):
            raise RecordingLockedError(f"{path} is being written")
    except RecordingError as error:
        if not path.exists():
            return  # somebody else deleted it
        report.kept += 1
        report.kept_bytes += size
        if isinstance(error, RecordingLockedError):
            report.running.append(path)
        else:
            report.failed.append(error)
    else:
        moment = datetime.fromtimestamp(written / 1e9, UTC)
        report.deleted.append(PrunedRecording(path, moment, size))
