"""`vesselog recover`: repairs a recording whose writer was killed."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .arguments import Commands, add_json, add_recording
from .exit_status import EPILOG, ExitStatus
from .output import print_json, print_line

if TYPE_CHECKING:
    from ..maintenance.recover import RecoverReport

__all__ = ["add"]


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "recover",
        help="repair a recording whose writer was killed",
        description="Repair a recording whose writer was killed: move an incomplete last line (a "
        "torn tail) to FILE.torn, and record the outcome crashed for calls that have no end. The "
        "next writer of the file does the same by itself. An undamaged file is not changed. Use "
        "`vesselog salvage` for damage in the middle of a file.",
        epilog=EPILOG,
    )
    add_recording(parser)
    add_json(parser, "the report")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Repair the file and print what was done; returns the exit status."""
    from ..maintenance.recover import recover

    report = recover(arguments.file)
    if arguments.json:
        print_json(report.to_dict())
    else:
        print_line(f"{report.path}: {_description(report)}")
    return ExitStatus.OK


def _description(report: RecoverReport) -> str:
    if not report.changed:
        return "nothing to recover"
    done: list[str] = []
    if report.torn:
        done.append(f"{report.torn} torn bytes moved to {report.aside}")
    if report.crashed:
        calls = ", ".join(map(str, report.crashed))
        noun = "call" if len(report.crashed) == 1 else "calls"
        done.append(f"{noun} {calls} recorded as crashed")
    if report.emptied:
        done.append("nothing was left of the recording, so it was removed")
    return f"recovered: {'; '.join(done)}"
