"""`vesselog decode`: a captured body through a vessel, chunk by chunk."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .answers import JsonAnswer
from .arguments import Commands
from .output import complain
from .statuses import EPILOG, ExitStatus, status_of

if TYPE_CHECKING:
    from ..core.exchange import Exchange, Step

__all__ = ["add"]

# Read in pieces, so that the chunks of a body that is still written to a pipe come at once.
_PIECE_BYTES = 1 << 16


def add(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "decode",
        help="run a captured response body through a vessel",
        description="Run a captured response body through a vessel: a JSON line for each chunk, "
        "then one for the completion. Nothing is sent and nothing is recorded.",
        epilog=EPILOG,
    )
    parser.add_argument("--vessel", metavar="NAME", required=True, help="whose dialect it is")
    parser.add_argument("body", metavar="BODY", help="the file with the body; - is stdin")
    parser.add_argument(
        "--status", type=int, default=200, metavar="N", help="the HTTP status (default: 200)"
    )
    parser.add_argument(
        "--content-type", default="", metavar="TYPE", help="the content type, if it is known"
    )
    parser.add_argument(
        "--no-stream", action="store_true", help="a body was asked for, not a stream"
    )
    parser.add_argument(
        "--choices", type=int, default=1, metavar="N", help="how many were asked for (default: 1)"
    )
    parser.add_argument(
        "--split-think", action="store_true", help="take <think> tags in the text for reasoning"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Decode and print."""
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
    answer, assembler = JsonAnswer(), Assembler()
    for step in _steps(exchange, arguments.body):
        for chunk in step.chunks:
            assembler.add(chunk)
            answer.chunk(chunk)
    error = exchange.error
    status = ExitStatus.OK if error is None else status_of(error)
    outcome = {ExitStatus.OK: "complete", ExitStatus.TRUNCATED: "truncated"}.get(status, "error")
    answer.end(assembler.completion(), error, outcome=outcome)
    if error is not None:
        complain(error.message)
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
