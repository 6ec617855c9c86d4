"""`vesselog recover`: repairs what a dead writer left."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .arguments import Commands, add_json, add_recording
from .output import json_line, write
from .statuses import EPILOG, ExitStatus

if TYPE_CHECKING:
    from ..core.truth.recover import RecoverReport

__all__ = ["add"]


def add(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "recover",
        help="repair what a dead writer left",
        description="Do what the next writer would do: put a torn tail aside (to FILE.torn) and "
        "end the calls that have no end as crashed. A sound file is not touched. Damage in the "
        "middle is for `vesselog salvage`.",
        epilog=EPILOG,
    )
    add_recording(parser)
    add_json(parser, "the report")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Recover the file and say what was done."""
    from ..core.truth.recover import recover

    report = recover(arguments.file)
    if arguments.json:
        json_line(report.to_dict())
    else:
        write(f"{report.path}: {_told(report)}\n")
    return ExitStatus.OK


def _told(report: RecoverReport) -> str:
    if not report.changed:
        return "nothing to recover"
    done: list[str] = []
    if report.torn:
        done.append(f"{report.torn} torn bytes put aside to {report.aside}")
    if report.crashed:
        calls = ", ".join(map(str, report.crashed))
        ended = "call" if len(report.crashed) == 1 else "calls"
        done.append(f"{ended} {calls} ended as crashed")
    if report.emptied:
        done.append("nothing was left of the recording, and it was removed")
    return f"recovered: {'; '.join(done)}"
