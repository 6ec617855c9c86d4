"""`vesselog rederive`: a recording decoded again by today's vessels."""

from __future__ import annotations

import argparse

from .arguments import Commands, add_json, add_out, add_recording
from .output import json_line, note, write
from .statuses import EPILOG, ExitStatus

__all__ = ["add"]


def add(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "rederive",
        help="decode a recording again, into a new one",
        description="Decode a recording again by the vessels that are installed now, into a new "
        "one. What was on the wire, when it came and what became of the calls stays; chunks, "
        "repairs, usage and whether answers were complete are made anew.",
        epilog=EPILOG,
    )
    add_recording(parser)
    add_out(parser)
    add_json(parser, "the report")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Rederive the file and say what is not as it was."""
    from ..core.truth.rederive import rederive

    report = rederive(arguments.file, arguments.out)
    if arguments.json:
        json_line(report.to_dict())
        return ExitStatus.OK
    if report.torn:
        note(f"a torn tail of {report.torn} bytes was left out")
    for kept in report.kept:
        note(f"call {kept.call} was kept as it was: {kept.reason}")
    for call, then, now in report.outcomes:
        note(f"call {call} was {then}, and is {now}")
    calls = "1 call" if report.decoded == 1 else f"{report.decoded} calls"
    write(f"{report.out}: {calls} decoded again\n")
    return ExitStatus.OK
