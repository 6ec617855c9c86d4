"""`vesselog follow`: prints a call while another process records it."""

from __future__ import annotations

import argparse

from .answer_printer import AnswerPrinter, JsonPrinter, TextPrinter
from .arguments import Commands, add_after, add_call, add_json, add_recording
from .exit_status import EPILOG, ExitStatus, status_of
from .output import print_error

__all__ = ["add"]


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "follow",
        help="print a call while another process records it",
        description="Print the chunks of a call that are already recorded, then each new one, "
        "until the call ends or the process that records it is gone.",
        epilog=EPILOG,
    )
    add_recording(parser)
    add_call(parser, "default: the last one that started")
    add_after(parser)
    add_json(parser, "the chunks, then the completion,")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the call until it ends; returns the exit status."""
    from ..core.assembler import Assembler
    from ..core.errors import RecordingError
    from ..core.follow.follow import follow
    from ..core.truth.recording import RecordedCall, Recording

    printer: AnswerPrinter = JsonPrinter() if arguments.json else TextPrinter()
    followed = follow(arguments.file, call=arguments.call, after=arguments.after)
    assembler = Assembler()
    for chunk in followed:
        assembler.add(chunk)
        printer.chunk(chunk)
    calls = (call for call in Recording(arguments.file).calls() if call.number == followed.call)
    call: RecordedCall | None = next(calls, None)
    if call is None:
        raise RecordingError(f"{arguments.file} has no call {followed.call}")
    completion = assembler.completion(metrics=call.metrics, session=call.session, call=call.number)
    error = followed.error
    printer.end(completion, error, outcome=followed.outcome, path=arguments.file)
    if error is None:
        return ExitStatus.OK
    print_error(error.message)
    return status_of(error)
