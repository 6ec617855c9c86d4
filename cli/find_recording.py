"""Finds the recording that a command line names: by path, by session name, or as `last`.

The beginning of a session name is enough where no other session's name begins like it: generated
names are long, and tables cut them on a narrow terminal.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from .output import ELLIPSIS

__all__ = ["LAST", "NamedRecording", "find_named", "find_recording"]

LAST = "last"
# More names do not help to find the right one.
_MOST_NAMES = 5


class NamedRecording(str):
    """A recording as it stands on the command line; `find_named` puts its path in its place."""

    __slots__ = ()


def find_named(arguments: argparse.Namespace) -> None:
    """Replace each NamedRecording by its path. Raises RecordingError."""
    for name, value in vars(arguments).items():
        if isinstance(value, NamedRecording):
            setattr(arguments, name, find_recording(value, arguments.recordings))


def find_recording(text: str, folder: Path, *, folders: bool = False) -> Path:
    """The recording that `text` names, a session name being looked up in `folder`.

    A file that exists is always meant itself. folders: a folder may be meant, too. Raises
    RecordingError, which names the recordings with similar names.
    """
    from ..core.errors import RecordingError
    from ..core.nearest import nearest_names
    from ..core.replay.recorded_requests import recordings_in
    from ..core.truth.session_names import SUFFIX

    path = Path(text)
    by_name = text == path.name
    # A folder is no recording, but a session may have its name.
    meant = path.exists() and (folders or not (by_name and path.is_dir()))
    if meant or text in {"", "-"}:
        return path
    where = folder if by_name else path.parent
    sessions = {found.stem: found for found in recordings_in(where)} if where.is_dir() else {}
    if text == LAST:
        if not sessions:
            raise RecordingError(f"there is no last recording: {folder} has no recordings")
        return max(sessions.values(), key=_changed)
    cut = path.name.endswith(ELLIPSIS)  # copied from a table
    name = path.name.removesuffix(ELLIPSIS).removesuffix(SUFFIX)
    if by_name and name in sessions:
        return sessions[name]
    beginning = [session for session in sessions if session.startswith(name)]
    if name and (by_name or cut) and len(beginning) == 1:
        return sessions[beginning[0]]
    if name and (by_name or cut) and beginning:
        raise RecordingError(f"{text!r} may be any of {_listed(beginning)}")
    if path.is_dir():
        raise RecordingError(
            f"{text} is a folder: give a recording in it; `vesselog ls {text}` lists them"
        )
    near = nearest_names(name, [LAST, *sessions] if by_name else sessions, most=3)
    hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
    looked_up = f": no such file, and no such session in {folder}" if by_name else ""
    raise RecordingError(f"there is no recording {text}{looked_up}{hint}")


def _changed(path: Path) -> float:
    """When the file was written to last."""
    try:
        return path.stat().st_mtime
    except OSError:  # it was removed meanwhile, or is a link that leads nowhere
        return 0.0


def _listed(names: list[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
