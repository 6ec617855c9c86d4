"""`vesselog replay`: a recording again, at the pace at which it came."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .answers import Answer, JsonAnswer, TextAnswer
from .arguments import Commands, add_call, add_json, add_recording, speed
from .headings import heading
from .output import DIM, complain, note
from .statuses import EPILOG, ExitStatus, status_of

if TYPE_CHECKING:
    from ..core.errors import VesselogError
    from ..core.truth.recording import RecordedCall

__all__ = ["add"]


def add(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "replay",
        help="play a recording again",
        description="Play a recording: the stored chunks at their own pace, call by call. Ends as "
        "the last call did, with the same error.",
        epilog=EPILOG,
    )
    add_recording(parser)
    parser.add_argument(
        "--speed",
        type=speed,
        default=1.0,
        metavar="FACTOR",
        help="2 is twice as fast; 0 or max is without waiting (default: 1)",
    )
    add_call(parser, "default: all, one after the other")
    add_json(parser, "the chunks and completions")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Play the calls asked for."""
    from ..core.errors import RecordingError
    from ..core.truth.recording import Recording

    wanted = arguments.call
    recording = Recording(arguments.file)
    calls = [call for call in recording.calls() if wanted is None or call.number == wanted]
    if not calls:
        missing = "calls" if wanted is None else f"call {wanted}"
        raise RecordingError(f"{arguments.file} has no {missing}")
    status = ExitStatus.OK
    for call in calls:
        answer: Answer = JsonAnswer() if arguments.json else TextAnswer()
        if not arguments.json:
            note(heading(call), DIM)
        status = _play(call, arguments.speed, answer)
    return status


def _play(call: RecordedCall, pace: float, answer: Answer) -> ExitStatus:
    from ..core.errors import VesselogError
    from ..core.truth.replay import replay

    played = replay(call.path, pace, call=call.number)
    failure: VesselogError | None = None
    try:
        for chunk in played:
            answer.chunk(chunk)
    except VesselogError as error:
        failure = error
    answer.end(played.completion, failure, outcome=call.outcome)
    if failure is None:
        return ExitStatus.OK
    complain(failure.message)
    return status_of(failure)
