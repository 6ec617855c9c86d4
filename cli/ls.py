"""`vesselog ls`: lists the recordings in a folder."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import Commands, add_json, count
from .error_advice import SALVAGE, has_header
from .exit_status import ExitStatus
from .output import print_error, print_json, print_note, print_table

if TYPE_CHECKING:
    from ..core.truth.session_list import SessionSummary

__all__ = ["add"]

_DEFAULT = Path("recordings")
_MOST_MODELS = 3
_PAGE = 100


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "ls",
        help="list the recordings in a folder",
        description="List the recordings in a folder, the one written last first.",
    )
    parser.add_argument(
        "folder", metavar="DIR", type=Path, nargs="?", default=_DEFAULT, help="default: recordings"
    )
    parser.add_argument(
        "-n",
        "--count",
        type=count,
        metavar="N",
        help="only the newest N; no other file is read (default: all)",
    )
    add_json(parser, "the recordings")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the list; returns the exit status."""
    from ..core.errors import RecordingError
    from ..core.truth.session_list import list_sessions

    folder = arguments.folder
    if folder == _DEFAULT and not folder.exists():
        print_note("nothing is recorded yet: the folder recordings does not exist")
        return ExitStatus.OK
    if not folder.is_dir():
        raise RecordingError(
            f"{folder} is not a folder; `vesselog show {folder}` prints a recording"
            if folder.exists()
            else f"there is no folder {folder}"
        )
    listing = _Listing(islice(list_sessions(folder), arguments.count))
    if arguments.json:
        for found in listing:
            print_json(found.to_dict())
    elif (first := next(listing, None)) is not None:
        rows = map(_row, chain([first], listing))
        headings = ("WRITTEN (UTC)", "CALLS", "ENDED", "SIZE", "MODELS", "FILE")
        print_table(headings, rows, page=_PAGE)
    elif listing.status is ExitStatus.OK:
        print_note(f"{folder} has no recordings (*.jsonl)")
    if listing.damaged:
        print_note(f"damaged: {SALVAGE}")
    return listing.status


class _Listing(Iterator["SessionSummary"]):
    """The recordings that can be read; of any other, the error is printed.

    status: FAILURE once there was such a one. damaged: whether one of them is a damaged recording.
    """

    def __init__(self, found: Iterator[SessionSummary]) -> None:
        self._found = found
        self.status = ExitStatus.OK
        self.damaged = False

    def __next__(self) -> SessionSummary:
        from ..core.errors import RecordingCorruptError

        for summary in self._found:
            if summary.error is None:
                return summary
            print_error(summary.error.message)
            if isinstance(summary.error, RecordingCorruptError):
                self.damaged = self.damaged or has_header(summary.path)
            self.status = ExitStatus.FAILURE
        raise StopIteration


def _row(summary: SessionSummary) -> tuple[str, ...]:
    from .format_bytes import format_bytes

    models = summary.models
    more = f" +{len(models) - _MOST_MODELS}" if len(models) > _MOST_MODELS else ""
    written = summary.written
    return (
        f"{written:%Y-%m-%d %H:%M:%S}" if written else "?",
        str(summary.calls),
        ", ".join(_counted(summary)) or "-",
        format_bytes(summary.size),
        ", ".join(models[:_MOST_MODELS]) + more,
        str(summary.path),
    )


def _counted(summary: SessionSummary) -> list[str]:
    """Each outcome once, with its count if it occurs more than once."""
    open_call = "running" if summary.running else "interrupted"
    outcomes = [open_call if each == "interrupted" else each for each in summary.outcomes]
    counts = {outcome: outcomes.count(outcome) for outcome in dict.fromkeys(outcomes)}
    return [outcome if count == 1 else f"{count} {outcome}" for outcome, count in counts.items()]
