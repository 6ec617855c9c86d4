"""`vesselog chat`: one prompt, one recorded answer, token by token."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .answers import Answer, JsonAnswer, TextAnswer
from .arguments import Commands, add_json, add_server, configured_vessel, key_value
from .output import complain
from .statuses import EPILOG, ExitStatus, status_of

if TYPE_CHECKING:
    from ..core.client.client import Client
    from ..core.client.stream import Stream
    from ..core.errors import VesselogError

__all__ = ["add"]


def add(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "chat",
        help="ask a model; the answer is recorded and shown as it comes",
        description="Ask a model. The answer goes to stdout token by token, everything else to "
        "stderr; each chunk is in the recording before it is shown. Ctrl-C ends the answer, which "
        "is then recorded as cancelled.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "model", metavar="MODEL", help="vessel/model, as ollama/qwen3:1.7b or openai/gpt-5-mini"
    )
    parser.add_argument(
        "prompt", metavar="PROMPT", nargs="?", help="without it, or with -, it is read from stdin"
    )
    parser.add_argument("--system", metavar="TEXT", help="a system message before the prompt")
    route = parser.add_mutually_exclusive_group()
    for flag, where in (("--generate", "Ollama's /api/generate"), ("--completion", "completions")):
        route.add_argument(
            flag,
            action="store_true",
            help=f"send the prompt as a prompt ({where}), not as a chat message",
        )
    parser.add_argument(
        "--think",
        action=argparse.BooleanOptionalAction,
        help="whether to reason first (Ollama)",
    )
    parser.add_argument("--effort", metavar="LEVEL", help="how hard to reason: low, medium, high")
    parser.add_argument(
        "--option",
        "-o",
        metavar="KEY=VALUE",
        action="append",
        type=key_value,
        default=[],
        help="an option of the provider's own, as temperature=0; may be repeated",
    )
    add_server(parser)
    parser.add_argument(
        "--recordings",
        metavar="DIR",
        type=Path,
        default=Path("recordings"),
        help="the folder to record in (default: recordings)",
    )
    parser.add_argument(
        "--session", metavar="NAME", help="go on in the recording of this name (default: a new one)"
    )
    parser.add_argument("--no-record", action="store_true", help="write no recording")
    add_json(parser, "the chunks, then the completion,")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Ask and show."""
    from ..core.client.client import Client

    fields = _fields(arguments, _prompt(arguments.prompt))
    vessel = arguments.model.partition("/")[0]
    answer: Answer = JsonAnswer() if arguments.json else TextAnswer()
    with Client(
        recordings=None if arguments.no_record else arguments.recordings,
        vessels=configured_vessel(vessel, arguments),
    ) as client:
        stream = client.stream(arguments.model, session=arguments.session, **fields)
        try:
            with stream:
                for chunk in stream:
                    answer.chunk(chunk)
        except KeyboardInterrupt:
            _end(answer, stream)
            return ExitStatus.INTERRUPTED
        except _failure() as error:
            return _failed(error, arguments, client, stream, answer)
        _end(answer, stream)
    return ExitStatus.OK


def _fields(arguments: argparse.Namespace, prompt: str) -> dict[str, Any]:
    """The request, as the client takes it."""
    from ..core.errors import InvalidRequestError

    fields: dict[str, Any] = {}
    system = arguments.system
    if arguments.completion and system is not None:
        raise InvalidRequestError("completions continue a text and take no --system")
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


def _prompt(given: str | None) -> str:
    from ..core.errors import InvalidRequestError

    if given is None and sys.stdin.isatty():
        raise InvalidRequestError("give a PROMPT, as an argument or on stdin")
    try:
        prompt = sys.stdin.buffer.read().decode() if given is None or given == "-" else given
        prompt.encode()  # an argument that was not UTF-8 holds surrogates
    except UnicodeError:
        raise InvalidRequestError("the prompt is not UTF-8") from None
    if not prompt.strip():
        raise InvalidRequestError("the prompt is empty: give a PROMPT, as an argument or on stdin")
    return prompt


def _failure() -> type[VesselogError]:
    from ..core.errors import VesselogError

    return VesselogError


def _failed(
    error: VesselogError,
    arguments: argparse.Namespace,
    client: Client,
    stream: Stream,
    answer: Answer,
) -> int:
    """Tell what went wrong; if that was in mid-answer, also how far it came."""
    from .hints import explained

    vessel, _, model = arguments.model.partition("/")
    text = explained(error, client, vessel, model)
    if answer.begun or arguments.json:
        _end(answer, stream, error)
    elif stream.path is not None and os.path.exists(stream.path):  # noqa: PTH110 - never raises
        text += f" (recorded in {stream.path})"
    complain(text)
    return status_of(error)


def _end(answer: Answer, stream: Stream, error: VesselogError | None = None) -> None:
    answer.end(stream.completion, error, path=stream.path)
