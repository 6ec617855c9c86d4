"""`vesselog rederive`: decodes a recording again with the installed vessels."""

from __future__ import annotations

import argparse

from .arguments import Commands, add_json, add_out, add_recording
from .exit_status import EPILOG, ExitStatus
from .output import print_json, print_line, print_note

__all__ = ["add"]


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "rederive",
        help="decode a recording again into a new one",
        description="Decode a recording again with the installed vessels and write the result to a "
        "new recording. The provider's bytes, their times and the errors of the calls stay as they "
        "are; chunks, repairs, usage and whether answers were complete are worked out again.",
        epilog=EPILOG,
    )
    add_recording(parser)
    add_out(parser)
    add_json(parser, "the report")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the new recording and print what changed; returns the exit status."""
    from ..maintenance.rederive import rederive

    report = rederive(arguments.file, arguments.out)
    if arguments.json:
        print_json(report.to_dict())
        return ExitStatus.OK
    if report.torn:
        size = "1 byte" if report.torn == 1 else f"{report.torn} bytes"
        print_note(f"a torn tail of {size} was left out")
    for kept in report.kept:
        print_note(f"call {kept.call} was copied unchanged: {kept.reason}")
    for call, old, new in report.outcomes:
        print_note(f"call {call} was {old} and is now {new}")
    calls = "1 call" if report.decoded == 1 else f"{report.decoded} calls"
    print_line(f"{report.out}: {calls} decoded again")
    return ExitStatus.OK
