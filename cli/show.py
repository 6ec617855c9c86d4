"""`vesselog show`: what a recording holds."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

from .answers import completion_record, summary
from .arguments import Commands, add_call, add_recording
from .headings import address, question
from .output import BOLD, DIM, json_line, write
from .statuses import ExitStatus

if TYPE_CHECKING:
    from ..core.truth.recording import RecordedCall

__all__ = ["add"]

_WHOLE_QUESTION = 1_000


def add(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "show",
        help="show what a recording holds",
        description="Show a recording, call by call: what was asked, what came, how it ended.",
    )
    add_recording(parser)
    add_call(parser, "default: all")
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--raw",
        action="store_true",
        help="the exact bytes of the answers instead, as `vesselog decode` takes them",
    )
    form.add_argument("--json", action="store_true", help="one JSON line for each call")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Show the calls asked for."""
    from ..core.errors import RecordingError
    from ..core.truth.recording import Recording

    recording = Recording(arguments.file)
    wanted = arguments.call
    found = False
    for call in recording.calls():
        if wanted is not None and call.number != wanted:
            continue
        if arguments.raw:
            for frame in call.frames():
                sys.stdout.buffer.write(frame.raw)
            sys.stdout.buffer.flush()
        elif arguments.json:
            json_line(_record(call))
        else:
            _tell(call, first=not found)
        found = True
    if wanted is not None and not found:
        raise RecordingError(f"{arguments.file} has no call {wanted}")
    return ExitStatus.OK


def _record(call: RecordedCall) -> dict[str, Any]:
    lines = {"request": call.request, "response": call.response, "end": call.end}
    return {
        "call": call.number,
        "outcome": call.outcome,
        **{name: line and _without_place(line) for name, line in lines.items()},
        "completion": completion_record(call.completion(), call.error, call.outcome),
        "repairs": _repairs(call),
    }


def _repairs(call: RecordedCall) -> dict[str, int]:
    """In how many frames each deviation was mended, the most frequent first."""
    counts = Counter(name for frame in call.frames() for name in frame.repairs)
    return dict(counts.most_common())


def _without_place(line: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in line.items() if key not in {"type", "call", "crc"}}


def _tell(call: RecordedCall, *, first: bool) -> None:
    request, response = call.request, call.response or {}
    status = response.get("status", "no response")
    headers: dict[str, Any] = response.get("headers") or {}
    if not first:
        write("\n")
    write(f"call {call.number}", BOLD)
    write(f"  {address(call)}\n")
    _line("request", f"{request.get('method')} {request.get('url')}")
    if call.retry_of is not None:
        _line("retry of", f"call {call.retry_of}")
    if asked := question(call, _WHOLE_QUESTION):
        _line("asked", asked)
    _line("response", f"{status} {headers.get('content-type', '')}".rstrip())
    completion = call.completion()
    for choice in completion.choices:
        label = "" if choice.index == 0 else f" {choice.index}"
        for name in ("reasoning", "refusal", "text"):
            if text := getattr(choice, name):
                _line(name + label, text)
        for tool_call in choice.tool_calls:
            _line("tool call" + label, f"{tool_call.name}({tool_call.arguments_text})")
    if repairs := _repairs(call):
        _line("repaired", ", ".join(f"{name} ({count})" for name, count in repairs.items()))
    _line("ended", summary(completion, call.outcome))
    if call.error is not None:
        _line("error", f"{type(call.error).__name__}: {call.error.message}")


def _line(label: str, text: str) -> None:
    """A label and its text, whose further lines are indented alike."""
    first, *more = text.rstrip("\n").split("\n")
    write(f"  {label:<12}", DIM)
    write(first + "\n")
    for line in more:
        write(" " * 14 + line + "\n")
