"""`vesselog chat`: sends one prompt, records the answer and prints it token by token."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

from .answer_printer import AnswerPrinter, JsonPrinter, TextPrinter
from .arguments import (
    Commands,
    add_json,
    add_option,
    add_recordings,
    add_server,
    add_timeout,
    configured_vessel,
)
from .exit_status import EPILOG, ExitStatus, status_of
from .output import print_error

if TYPE_CHECKING:
    from ..core.client.client import Client
    from ..core.client.stream import Stream
    from ..core.errors import VesselogError

__all__ = ["add"]


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "chat",
        help="ask a model; record the answer and print it while it arrives",
        description="Ask a model. The answer goes to stdout token by token, everything else to "
        "stderr. Each chunk is written to the recording before it is printed. Ctrl-C stops the "
        "answer, which is then recorded as cancelled.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="vessel/model, for example ollama/qwen3:1.7b or openai/gpt-5-mini",
    )
    parser.add_argument(
        "prompt", metavar="PROMPT", nargs="?", help="read from stdin if it is missing or -"
    )
    parser.add_argument("--system", metavar="TEXT", help="a system message before the prompt")
    route = parser.add_mutually_exclusive_group()
    for flag, where in (("--generate", "Ollama's /api/generate"), ("--completion", "completions")):
        route.add_argument(
            flag,
            action="store_true",
            help=f"send the text as a prompt to be continued ({where}), not as a chat message",
        )
    parser.add_argument(
        "--think",
        action=argparse.BooleanOptionalAction,
        help="whether the model reasons before it answers (Ollama)",
    )
    parser.add_argument(
        "--effort", metavar="LEVEL", help="how much the model reasons: low, medium, high"
    )
    add_option(parser)
    add_server(parser)
    add_timeout(parser)
    add_recordings(parser)
    parser.add_argument(
        "--session",
        metavar="NAME",
        help="add the call to the recording of this name (default: a new recording)",
    )
    parser.add_argument("--no-record", action="store_true", help="do not record")
    add_json(parser, "the chunks, then the completion,")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Send the prompt and print the answer; returns the exit status."""
    from ..core.client.client import Client
    from ..core.settings import Timeouts

    fields = _fields(arguments, _prompt(arguments.prompt))
    vessel = arguments.model.partition("/")[0]
    printer: AnswerPrinter = JsonPrinter() if arguments.json else TextPrinter()
    with Client(
        recordings=None if arguments.no_record else arguments.recordings,
        vessels=configured_vessel(vessel, arguments),
        timeouts=Timeouts(**dict(arguments.timeout)),
    ) as client:
        stream = client.stream(arguments.model, session=arguments.session, **fields)
        try:
            with stream:
                for chunk in stream:
                    printer.chunk(chunk)
        except KeyboardInterrupt:
            _end(printer, stream)
            return ExitStatus.INTERRUPTED
        except _error_type() as error:
            return _failed(error, arguments, client, stream, printer)
        _end(printer, stream)
    return ExitStatus.OK


def _fields(arguments: argparse.Namespace, prompt: str) -> dict[str, Any]:
    """The request, as keyword arguments of `client.stream`."""
    from ..core.errors import InvalidRequestError

    fields: dict[str, Any] = {}
    system = arguments.system
    if arguments.completion and system is not None:
        raise InvalidRequestError("--completion cannot be combined with --system")
    if arguments.generate or arguments.completion:
        fields["prompt"] = prompt
        if system is not None:
            fields["extra_body"] = {"system": system}
    else:
        first = [] if system is None else [{"role": "system", "content": system}]
        fields["messages"] = [*first, {"role": "user", "content": prompt}]
    if arguments.effort is not None:
        fields["think"] = arguments.effort
    elif arguments.think is not None:
        fields["think"] = arguments.think
    if arguments.option:
        fields["options"] = dict(arguments.option)
    return fields


def _prompt(argument: str | None) -> str:
    """The prompt, from the argument or from stdin. Raises InvalidRequestError."""
    from ..core.errors import InvalidRequestError

    if argument is None and sys.stdin.isatty():
        raise InvalidRequestError("the prompt is missing: give PROMPT, or pipe it to stdin")
    try:
        prompt = (
            sys.stdin.buffer.read().decode() if argument is None or argument == "-" else argument
        )
        prompt.encode()  # an argument that is not UTF-8 has surrogates
    except UnicodeError:
        raise InvalidRequestError("the prompt is not UTF-8") from None
    if not prompt.strip():
        raise InvalidRequestError("the prompt is empty: give PROMPT, or pipe it to stdin")
    return prompt


def _error_type() -> type[VesselogError]:
    from ..core.errors import VesselogError

    return VesselogError


def _failed(
    error: VesselogError,
    arguments: argparse.Namespace,
    client: Client,
    stream: Stream,
    printer: AnswerPrinter,
) -> int:
    """Print the error; if part of the answer was printed, first print how the answer ended."""
    from .error_advice import command_line_message

    vessel, _, model = arguments.model.partition("/")
    text = command_line_message(error, client, vessel, model)
    if printer.started or arguments.json:
        _end(printer, stream, error)
    elif stream.path is not None and os.path.exists(stream.path):  # noqa: PTH110 - never raises
        text += f" (recorded in {stream.path})"
    print_error(text)
    return status_of(error)


def _end(printer: AnswerPrinter, stream: Stream, error: VesselogError | None = None) -> None:
    printer.end(stream.completion, error, path=stream.path)
