"""`vesselog salvage`: a sound recording from a damaged or edited one."""

from __future__ import annotations

import argparse

from .arguments import Commands, add_json, add_out, add_recording
from .output import json_line, note, write
from .statuses import EPILOG, ExitStatus

__all__ = ["add"]


def add(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "salvage",
        help="save what can be saved of a damaged or edited recording",
        description="Write every line that can be read to a new, sound recording, and say what was "
        "lost and what had to be changed. The old file stays as it is.",
        epilog=EPILOG,
    )
    add_recording(parser)
    add_out(parser)
    add_json(parser, "the report")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Salvage the file and say what it cost."""
    from ..core.truth.salvage import salvage

    report = salvage(arguments.file, arguments.out)
    if arguments.json:
        json_line(report.to_dict())
        return ExitStatus.OK
    for told in report.lost:
        note(f"lost: line {told.line} (byte {told.offset}), {told.size} bytes: {told.message}")
    for told in report.changed:
        note(f"changed: line {told.line} (byte {told.offset}): {told.message}")
    cost = f"{len(report.lost)} lost, {len(report.changed)} changed"
    write(f"{report.out}: {report.lines} lines; {cost}\n")
    return ExitStatus.OK
