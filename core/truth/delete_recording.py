"""Deletes a recording, but never one that is being written.

Whoever deletes has the folder's lock, and a shared lock of the file, as readers have for a moment:
a writer that comes meanwhile waits, finds that the file is gone, and begins a new one.
"""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import RecordingLockedError
from .file_lock import locked_folder, try_lock
from .files import explained, is_at, open_file
from .recording import Recording
from .reopen import torn_path

__all__ = ["delete_recording"]


def delete_recording(path: Path, *, written: int | None = None) -> None:
    """Delete a recording, and the torn tails that were put aside from it.

    written: delete it only if it was last written then, in nanoseconds since 1970. Raises
    RecordingLockedError if it is being written, or was written since; RecordingCorruptError if the
    file is no recording; RecordingError.
    """
    with explained(f"delete {path}"), locked_folder(path.parent):
        Recording(path)
        fd = open_file(path)
        try:
            # Another file than the one opened, of a writer that has just begun, is being written.
            if not try_lock(fd, shared=True) or not is_at(fd, path):
                raise RecordingLockedError(f"{path} is being written and was not deleted")
            if written is not None and os.fstat(fd).st_mtime_ns != written:
                raise RecordingLockedError(f"{path} was written meanwhile and was not deleted")
            # First, so that it is never that of another recording.
            torn_path(path).unlink(missing_ok=True)
            path.unlink()
        finally:
            os.close(fd)
