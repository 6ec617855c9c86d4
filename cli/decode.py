"""`vesselog decode`: decodes a captured response body with a vessel."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .answer_printer import JsonPrinter, completion_record
from .arguments import Commands
from .exit_status import EPILOG, ExitStatus, status_of
from .output import print_error, print_json

if TYPE_CHECKING:
    from ..core.exchange import Exchange, Step

__all__ = ["add"]

# Reading in pieces prints chunks at once while another program still writes the body to a pipe.
_PIECE_BYTES = 1 << 16


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "decode",
        help="decode a captured response body",
        description="Decode a captured response body with a vessel. Prints a JSON line for each "
        "chunk, then one for the completion, which names the repairs. Nothing is sent and nothing "
        "is recorded.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "--vessel", metavar="NAME", required=True, help="the vessel for the dialect of the body"
    )
    parser.add_argument("body", metavar="BODY", help="the file with the body, or - for stdin")
    parser.add_argument(
        "--status",
        type=int,
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
        type=int,
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
    from ..core.assembler import Assembler
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
    printer, assembler = JsonPrinter(), Assembler()
    repairs: dict[str, None] = {}  # each once, in order
    for step in _steps(exchange, arguments.body):
        repairs |= dict.fromkeys(step.frame.repairs)
        for chunk in step.chunks:
            assembler.add(chunk)
            printer.chunk(chunk)
    error = exchange.error
    status = ExitStatus.OK if error is None else status_of(error)
    outcome = {ExitStatus.OK: "complete", ExitStatus.TRUNCATED: "truncated"}.get(status, "error")
    completion = assembler.completion(vessel=arguments.vessel, natives=exchange.native())
    record = completion_record(completion, error, outcome)
    print_json({**record, "repairs": list(repairs)} if repairs else record)
    if error is not None:
        print_error(error.message)
    return status


def _steps(exchange: Exchange, body: str) -> Iterator[Step]:
    for piece in _pieces(body):
        yield from exchange.take(piece)
        if exchange.error is not None:
            break
    yield from exchange.finish()


def _pieces(body: str) -> Iterator[bytes]:
    if body == "-":
        while piece := os.read(sys.stdin.fileno(), _PIECE_BYTES):
            yield piece
        return
    with Path(body).open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece
