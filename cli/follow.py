"""`vesselog follow`: a call that another process is recording, as it comes."""

from __future__ import annotations

import argparse

from .answers import Answer, JsonAnswer, TextAnswer
from .arguments import Commands, add_call, add_json, add_recording
from .output import complain
from .statuses import EPILOG, ExitStatus, status_of

__all__ = ["add"]


def add(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "follow",
        help="watch a call while another process records it",
        description="Show what is recorded of a call, then what comes, until the call ends or its "
        "writer is gone.",
        epilog=EPILOG,
    )
    add_recording(parser)
    add_call(parser, "default: the one begun last")
    parser.add_argument(
        "--after", type=int, default=-1, metavar="SEQ", help="begin behind this chunk"
    )
    add_json(parser, "the chunks, then the completion,")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Watch it."""
    from ..core.assembler import Assembler
    from ..core.truth.follow import follow
    from ..core.truth.recording import RecordedCall, Recording

    answer: Answer = JsonAnswer() if arguments.json else TextAnswer()
    followed = follow(arguments.file, call=arguments.call, after=arguments.after)
    assembler = Assembler()
    for chunk in followed:
        assembler.add(chunk)
        answer.chunk(chunk)
    call: RecordedCall = next(
        call for call in Recording(arguments.file).calls() if call.number == followed.call
    )
    completion = assembler.completion(metrics=call.metrics, session=call.session, call=call.number)
    error = followed.error
    answer.end(completion, error, outcome=followed.outcome, path=arguments.file)
    if error is None:
        return ExitStatus.OK
    complain(error.message)
    return status_of(error)
