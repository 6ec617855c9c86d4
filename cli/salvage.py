"""`vesselog salvage`: writes a new, undamaged recording from a damaged or edited one."""

from __future__ import annotations

import argparse

from .arguments import Commands, add_json, add_out, add_recording
from .exit_status import EPILOG, ExitStatus
from .output import print_json, print_line, print_note

__all__ = ["add"]


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "salvage",
        help="copy what can be read of a damaged or edited recording",
        description="Copy every readable line of a damaged or edited recording to a new one, and "
        "print what was lost and what had to be changed. The old file is not changed.",
        epilog=EPILOG,
    )
    add_recording(parser)
    add_out(parser)
    add_json(parser, "the report")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the new recording and print what was lost; returns the exit status."""
    from ..maintenance.salvage import salvage

    report = salvage(arguments.file, arguments.out)
    if arguments.json:
        print_json(report.to_dict())
        return ExitStatus.OK
    for lost in report.lost:
        print_note(
            f"lost: line {lost.line} (byte {lost.offset}), {lost.size} bytes: {lost.message}"
        )
    for changed in report.changed:
        print_note(f"changed: line {changed.line} (byte {changed.offset}): {changed.message}")
    counts = f"{len(report.lost)} lost, {len(report.changed)} changed"
    print_line(f"{report.out}: {report.lines} lines; {counts}")
    return ExitStatus.OK
