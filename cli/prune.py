"""`vesselog prune`: deletes old recordings."""

from __future__ import annotations

import argparse
import re
from datetime import timedelta
from pathlib import Path

from .arguments import Commands, add_json
from .exit_status import ExitStatus
from .output import print_error, print_json, print_line, print_note

__all__ = ["add", "age", "size"]

_DEFAULT = Path("recordings")
_AGES = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SIZES: dict[str, int] = {"": 1, "B": 1} | {
    f"{prefix}{unit}": base**power
    for unit, base in (("B", 1000), ("iB", 1024))
    for power, prefixes in enumerate(("kK", "M", "G", "T"), 1)
    for prefix in prefixes
}
_WITH_UNIT = re.compile(r"(\d+(?:\.\d+)?) ?([A-Za-z]*)")


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "prune",
        help="delete old recordings",
        description="Delete the recordings that were written last longer ago than AGE, and the "
        "oldest ones until the others take SIZE or less. A recording that is being written is "
        "kept, and so is every file that is no recording.",
    )
    parser.add_argument(
        "folder", metavar="DIR", type=Path, nargs="?", default=_DEFAULT, help="default: recordings"
    )
    parser.add_argument(
        "--older-than",
        metavar="AGE",
        type=age,
        help="delete what was last written longer ago: a number with a unit, such as 12h, 30d, 8w",
    )
    parser.add_argument(
        "--keep-bytes",
        metavar="SIZE",
        type=size,
        help="delete the oldest until the others take this much: 500MB, 10GB, 1.5TiB",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="delete nothing; print what would be deleted"
    )
    add_json(parser, "the deleted recordings")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Delete, and print what was deleted; returns the exit status."""
    from ..core.errors import ConfigurationError, RecordingError
    from ..maintenance.prune import prune
    from .format_bytes import format_bytes

    if arguments.older_than is None and arguments.keep_bytes is None:
        raise ConfigurationError("give --older-than AGE, --keep-bytes SIZE, or both")
    if arguments.folder == _DEFAULT and not arguments.folder.exists():
        print_note("nothing is recorded yet: the folder recordings does not exist")
        return ExitStatus.OK
    if not arguments.folder.exists():
        raise RecordingError(f"there is no folder {arguments.folder}")
    report = prune(
        arguments.folder,
        older_than=arguments.older_than,
        keep_bytes=arguments.keep_bytes,
        dry_run=arguments.dry_run,
    )
    done = "would be deleted" if report.dry_run else "deleted"
    for each in report.deleted:
        if arguments.json:
            print_json({**each.to_dict(), "deleted": not report.dry_run})
        else:
            print_line(
                f"{done}: {each.path} ({format_bytes(each.size)}, {each.written:%Y-%m-%d %H:%M})"
            )
    for path in report.running:
        print_note(f"kept: {path} is being written")
    for error in report.failed:
        print_error(error.message)
    (print_note if arguments.json else print_line)(
        f"{len(report.deleted)} {done} ({format_bytes(report.deleted_bytes)}), "
        f"{report.kept} kept ({format_bytes(report.kept_bytes)})"
    )
    return ExitStatus.FAILURE if report.failed else ExitStatus.OK


def age(text: str) -> timedelta:
    """Parse an age: `90s`, `15m`, `12h`, `30d` or `8w`."""
    found = _WITH_UNIT.fullmatch(text)
    if found is None or found[2] not in _AGES:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not an age: give a number and one of {', '.join(_AGES)}, such as 30d"
        )
    try:
        return timedelta(**{_AGES[found[2]]: float(found[1])})
    except OverflowError:
        raise argparse.ArgumentTypeError(f"{text!r} is longer than any recording is old") from None


def size(text: str) -> int:
    """Parse a size: `10GB` (10,000,000,000 bytes), `10GiB` (1,024 times 1,024 times …), `1000`."""
    found = _WITH_UNIT.fullmatch(text)
    if found is None or found[2] not in _SIZES:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a size: give bytes, or a number and a unit, such as 500MB or 10GiB"
        )
    return round(float(found[1]) * _SIZES[found[2]])
