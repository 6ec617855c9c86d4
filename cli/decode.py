"""`vesselog decode`: decodes a captured response body, or a recorded one, with a vessel."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .answer_printer import JsonPrinter, completion_record
from .arguments import Commands, add_call, add_lookup, whole_number
from .choose_call import only_call
from .exit_status import EPILOG, ExitStatus, status_of
from .find_recording import NamedRecording
from .output import print_error, print_json

if TYPE_CHECKING:
    from ..core.assembler import Assembler
    from ..core.completion import Completion, Outcome
    from ..core.errors import VesselogError
    from ..core.exchange import Exchange, Step
    from ..core.truth.recording import RecordedCall

__all__ = ["add"]

# Reading in pieces prints chunks at once while another program still writes the body to a pipe.
_PIECE_BYTES = 1 << 16
# A header line with more than this is no header: nobody writes so much into `meta`.
_LONGEST_HEADER = 1 << 20


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "decode",
        help="decode a captured response body, or a recorded answer again",
        description="Decode a captured response body with a vessel, or decode a recorded answer "
        "again. Prints a JSON line for each chunk, then one for the completion, which names the "
        "repairs. Nothing is sent and nothing is recorded. For a recorded answer the vessel is by "
        "default the recorded one, and the other options are taken from its request.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "--vessel", metavar="NAME", help="the vessel for the dialect of the body (ollama, openai …)"
    )
    parser.add_argument(
        "body",
        metavar="BODY",
        type=NamedRecording,
        help="the file with the body, - for stdin, or a recording: its path, its session's name, "
        "or last",
    )
    add_call(parser, "of a recording; needed if it has several")
    add_lookup(parser)
    parser.add_argument(
        "--status",
        type=whole_number,
        default=200,
        metavar="N",
        help="the HTTP status of the response (default: 200)",
    )
    parser.add_argument(
        "--content-type",
        default="",
        metavar="TYPE",
        help="the content type of the response, if known",
    )
    parser.add_argument(
        "--no-stream", action="store_true", help="the request did not ask for a stream"
    )
    parser.add_argument(
        "--choices",
        type=whole_number,
        default=1,
        metavar="N",
        help="how many choices the request asked for (default: 1)",
    )
    parser.add_argument(
        "--split-think", action="store_true", help="treat <think> tags in the text as reasoning"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Decode and print; returns the exit status."""
    from ..core.errors import ConfigurationError, InvalidRequestError

    body: Path = arguments.body
    if _is_recording(body):
        return _decode_recorded(only_call(body, arguments.call, "decode"), arguments.vessel)
    if arguments.call is not None:
        raise InvalidRequestError(f"{body} is a body, not a recording: --call chooses nothing here")
    if arguments.vessel is None:
        raise ConfigurationError("give the vessel for the dialect of the body with --vessel")
    return _decode_body(arguments)


def _decode_body(arguments: argparse.Namespace) -> int:
    from ..core.exchange import Exchange
    from ..core.registry import find_vessel
    from ..core.vessel import WireRequest

    stream = not arguments.no_stream
    request = WireRequest(
        url="",
        body={"stream": stream, "n": arguments.choices},
        stream=stream,
        split_think=arguments.split_think,
    )
    exchange = Exchange(find_vessel(arguments.vessel)(), request)
    exchange.respond(arguments.status, arguments.content_type)
    assembler, repairs = _print_steps(_steps(exchange, arguments.body))
    error = exchange.error
    status = ExitStatus.OK if error is None else status_of(error)
    outcomes: dict[ExitStatus, Outcome] = {
        ExitStatus.OK: "complete",
        ExitStatus.TRUNCATED: "truncated",
    }
    outcome = outcomes.get(status, "error")
    completion = assembler.completion(vessel=arguments.vessel, natives=exchange.native())
    return _print_end(completion, repairs, outcome, error)


def _decode_recorded(call: RecordedCall, vessel: str | None) -> int:
    """Decode a recorded answer again, by another vessel if one is given."""
    from ..maintenance.redecoding import Redecoding

    again = Redecoding(call.request if vessel is None else {**call.request, "vessel": vessel})
    again.respond(call.response or {})

    def steps() -> Iterator[Step]:
        for frame in call.frames():
            yield from again.feed(frame)
        yield from again.finish(call.end)

    assembler, repairs = _print_steps(steps())
    # None: how the answer ended was not decided by decoding it, or it has no end.
    verdict = None if call.end is None else again.verdict(call.end)
    outcome, error = verdict or (call.outcome, call.error)
    completion = assembler.completion(vessel=again.vessel.name, natives=again.native())
    return _print_end(completion, repairs, outcome, error)


def _print_steps(steps: Iterable[Step]) -> tuple[Assembler, list[str]]:
    """Print the chunks; returns what they make together, and the repairs, each once."""
    from ..core.assembler import Assembler

    printer, assembler = JsonPrinter(), Assembler()
    repairs: dict[str, None] = {}
    for step in steps:
        repairs |= dict.fromkeys(step.frame.repairs)
        for chunk in step.chunks:
            assembler.add(chunk)
            printer.chunk(chunk)
    return assembler, list(repairs)


def _print_end(
    completion: Completion, repairs: list[str], outcome: Outcome, error: VesselogError | None
) -> int:
    """Print the completion and the error; returns the exit status."""
    record = completion_record(completion, error, outcome)
    print_json({**record, "repairs": repairs} if repairs else record)
    if error is None:
        return ExitStatus.OK
    print_error(error.message)
    return status_of(error)


def _is_recording(body: Path) -> bool:
    """Whether the file begins with the header line of a recording."""
    from ..core.truth.line import parse_line

    if not body.is_file():
        return False
    with body.open("rb") as file:
        header = parse_line(file.readline(_LONGEST_HEADER).rstrip(b"\n"))
    return header is not None and header.get("type") == "session" and "vesselog" in header


def _steps(exchange: Exchange, body: Path) -> Iterator[Step]:
    for piece in _pieces(body):
        yield from exchange.take(piece)
        if exchange.error is not None:
            break
    yield from exchange.finish()


def _pieces(body: Path) -> Iterator[bytes]:
    if str(body) == "-":
        while piece := os.read(sys.stdin.fileno(), _PIECE_BYTES):
            yield piece
        return
    with body.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece
