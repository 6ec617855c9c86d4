"""`vesselog replay`: prints a recording again at its original pace."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .answer_printer import AnswerPrinter, JsonPrinter, TextPrinter
from .arguments import Commands, add_after, add_call, add_json, add_recording, speed
from .call_heading import call_heading
from .exit_status import EPILOG, ExitStatus, status_of
from .output import DIM, print_error, print_note

if TYPE_CHECKING:
    from ..core.completion import Outcome
    from ..core.errors import VesselogError
    from ..core.replay.replay import Replay

__all__ = ["add"]


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "replay",
        help="print a recording again at its original pace",
        description="Print the stored chunks of a recording at their original pace, call by call. "
        "The command ends as the last call did, with the same error.",
        epilog=EPILOG,
    )
    add_recording(parser)
    parser.add_argument(
        "--speed",
        type=speed,
        default=1.0,
        metavar="FACTOR",
        help="2 is twice as fast; 0 or max means no waiting (default: 1)",
    )
    add_call(parser, "default: all calls, one after the other")
    add_after(parser)
    add_json(parser, "the chunks and completions")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the chosen calls; returns the exit status of the last."""
    from ..core.errors import RecordingError
    from ..core.replay.replay import replay
    from ..core.truth.find_request import check_position
    from ..core.truth.recording import Recording

    wanted = arguments.call
    check_position(wanted, arguments.after)
    recording = Recording(arguments.file)
    calls = [call for call in recording.calls() if wanted is None or call.number == wanted]
    if wanted is None and arguments.after >= 0:
        calls = calls[-1:]
    if not calls:
        missing = "calls" if wanted is None else f"call {wanted}"
        raise RecordingError(f"{arguments.file} has no {missing}")
    status = ExitStatus.OK
    for call in calls:
        printer: AnswerPrinter = JsonPrinter() if arguments.json else TextPrinter()
        if not arguments.json:
            print_note(call_heading(call), DIM)
        played = replay(call.path, arguments.speed, call=call.number, after=arguments.after)
        status = _play(played, call.outcome, printer)
    return status


def _play(played: Replay, outcome: Outcome, printer: AnswerPrinter) -> ExitStatus:
    from ..core.errors import VesselogError

    failure: VesselogError | None = None
    try:
        for chunk in played:
            printer.chunk(chunk)
    except VesselogError as error:
        failure = error
    printer.end(played.completion, failure, outcome=outcome)
    if failure is None:
        return ExitStatus.OK
    print_error(failure.message)
    return status_of(failure)
