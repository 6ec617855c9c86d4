"""`vesselog chat`: asks a model once, or holds a conversation; records and prints the answers."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .answer_printer import AnswerPrinter, JsonPrinter, TextPrinter
from .arguments import (
    RECORDINGS,
    Commands,
    add_json,
    add_option,
    add_recordings,
    add_server,
    add_set,
    add_timeout,
    configured_vessel,
    effort,
)
from .chat_request import history, request_fields, session_name, user_message, with_system
from .exit_status import EPILOG, ExitStatus, status_of
from .output import DIM, print_error, print_note

if TYPE_CHECKING:
    from ..core.client.client import Client
    from ..core.client.stream import Stream
    from ..core.errors import VesselogError

__all__ = ["add"]


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "chat",
        help="ask a model, or talk with it; record the answers and print them live",
        description="Ask a model. The answer goes to stdout token by token, everything else to "
        "stderr. Each chunk is written to the recording before it is printed. Ctrl-C stops the "
        "answer, which is then recorded as cancelled. Without PROMPT, on a terminal, this is a "
        "conversation: every question is sent with what was said before; /help lists the commands.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="vessel/model, for example ollama/qwen3:1.7b or openai/gpt-5-mini",
    )
    parser.add_argument(
        "prompt",
        metavar="PROMPT",
        nargs="?",
        help="the question; with -, or without PROMPT where stdin is not a terminal, it is read "
        "from stdin",
    )
    parser.add_argument("--system", metavar="TEXT", help="the system message")
    parser.add_argument(
        "--image",
        metavar="FILE",
        action="append",
        type=Path,
        default=[],
        help="send this image with the (first) question; may be repeated",
    )
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
        help="whether the model reasons before it answers",
    )
    parser.add_argument(
        "--effort",
        metavar="LEVEL",
        type=effort,
        help="how much the model reasons: low, medium, high, or a number of tokens",
    )
    add_set(parser)
    add_option(parser)
    add_server(parser)
    add_timeout(parser)
    add_recordings(parser)
    parser.add_argument(
        "--session",
        metavar="NAME",
        help="continue the session of this name (last: the newest): its conversation is sent, "
        "too, and the answer added to its recording (default: a new session)",
    )
    parser.add_argument("--no-record", action="store_true", help="do not record")
    add_json(parser, "the chunks, then the completion,")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Send the prompt, or hold a conversation; returns the exit status."""
    from ..core.client.client import Client
    from ..core.settings import Timeouts

    as_prompt = arguments.generate or arguments.completion
    talking = arguments.prompt is None and not as_prompt and sys.stdin.isatty()
    prompt = None if talking else _prompt(arguments.prompt)
    _check_combination(arguments)
    fields = request_fields(arguments)
    session = session_name(arguments)
    if prompt is not None and as_prompt:
        fields["prompt"] = prompt
        messages: list[Any] | None = None
    else:
        messages = with_system(history(arguments.recordings, session), arguments.system)
    vessel = arguments.model.partition("/")[0]
    with Client(
        recordings=None if arguments.no_record else arguments.recordings,
        vessels=configured_vessel(vessel, arguments),
        timeouts=Timeouts(**dict(arguments.timeout)),
    ) as client:
        if prompt is None:
            return _converse(arguments, client, session, messages or [], fields)
        if messages is not None:
            messages.append(user_message(prompt, arguments.image))
        stream = client.stream(arguments.model, messages, session=session, **fields)
        return _print_answer(arguments, client, stream)


def _converse(
    arguments: argparse.Namespace,
    client: Client,
    session: str | None,
    messages: list[Any],
    fields: dict[str, Any],
) -> int:
    from ..core.clock import SYSTEM_CLOCK
    from ..core.truth.session_names import new_session_name
    from .conversation import Conversation

    session = session or new_session_name(SYSTEM_CLOCK.wall())
    conversation = Conversation(
        client,
        arguments.model,
        session,
        messages,
        fields=fields,
        images=arguments.image,
        printer=JsonPrinter if arguments.json else TextPrinter,
        describe=partial(_described, arguments, client),
    )
    path = conversation.run()
    if path is not None:
        print_note(str(path), DIM)
        print_note(f"to go on: {_command(arguments, session)}", DIM)
    return ExitStatus.OK


def _command(arguments: argparse.Namespace, session: str) -> str:
    """The command that goes on with this session, for the shell."""
    from .local_ollama import command_as_started

    given = {
        "--session": session,
        "--recordings": None if arguments.recordings == RECORDINGS else arguments.recordings,
        # A password in it is not shown again.
        "--base-url": None if "@" in (arguments.base_url or "") else arguments.base_url,
        "--api-key-env": arguments.api_key_env,
    }
    words = ["chat", arguments.model]
    for option, value in given.items():
        words += [] if value is None else [option, str(value)]
    return f"{command_as_started()} {shlex.join(words)}"


def _print_answer(arguments: argparse.Namespace, client: Client, stream: Stream) -> int:
    """Print one answer while it arrives; returns the exit status."""
    from ..core.errors import VesselogError

    printer: AnswerPrinter = JsonPrinter() if arguments.json else TextPrinter()
    failure: VesselogError | None = None
    try:
        with stream:
            for chunk in stream:
                printer.chunk(chunk)
    except KeyboardInterrupt:
        printer.end(stream.completion, path=stream.path)
        return ExitStatus.INTERRUPTED
    except VesselogError as error:
        failure = error
    recorded = ""
    if failure is None or printer.started or arguments.json:
        printer.end(stream.completion, failure, path=stream.path)
    elif stream.path is not None and os.path.exists(stream.path):  # noqa: PTH110 - never raises
        recorded = f" (recorded in {stream.path})"
    if failure is None:
        return ExitStatus.OK
    print_error(_described(arguments, client, failure) + recorded)
    return status_of(failure)


def _described(arguments: argparse.Namespace, client: Client, error: VesselogError) -> str:
    from .error_advice import command_line_message, salvage_advice

    vessel, _, model = arguments.model.partition("/")
    message = command_line_message(error, client, vessel, model)
    return message + salvage_advice(error, arguments)


def _check_combination(arguments: argparse.Namespace) -> None:
    """Raise InvalidRequestError for options that do not go together."""
    from ..core.errors import InvalidRequestError

    if arguments.completion and arguments.system is not None:
        raise InvalidRequestError("--completion cannot be combined with --system")
    if arguments.image and (arguments.generate or arguments.completion):
        raise InvalidRequestError(
            "--image goes with a chat message, not with --generate or --completion"
        )


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
