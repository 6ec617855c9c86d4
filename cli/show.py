"""`vesselog show`: prints the calls of a recording."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

from .answer_printer import completion_record, summary
from .arguments import Commands, add_call, add_recording
from .call_heading import model_address, prompt_excerpt
from .choose_call import only_call
from .exit_status import ExitStatus
from .output import BOLD, DIM, print_json, print_line, print_note, write

if TYPE_CHECKING:
    from ..core.truth.recorded_frame import RecordedFrame
    from ..core.truth.recording import RecordedCall

__all__ = ["add"]

_LONGEST_PROMPT = 1_000


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "show",
        help="print the calls of a recording",
        description="Print a recording call by call: the request, the answer, how it ended.",
    )
    add_recording(parser)
    add_call(parser, "default: all calls")
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--raw",
        action="store_true",
        help="print the exact bytes of one call's answer instead, for `vesselog decode` (on a "
        "terminal without its control characters); needs --call if there are several",
    )
    form.add_argument("--json", action="store_true", help="print a JSON line for each call")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the chosen calls; returns the exit status."""
    from ..core.errors import RecordingError
    from ..core.truth.recording import Recording

    if arguments.raw:
        for frame in only_call(arguments.file, arguments.call, "print").frames():
            _print_raw(frame)
        return ExitStatus.OK
    recording = Recording(arguments.file)
    meta = recording.header.get("meta")
    wanted = arguments.call
    found = False
    for call in recording.calls():
        if wanted is not None and call.number != wanted:
            continue
        if arguments.json:
            print_json(_record(call, meta))
        else:
            if meta and not found:
                print_line(f"session {recording.session}", BOLD)
                _print_field("meta", _compact(meta))
            if meta or found:
                print_line()
            _print_call(call)
        found = True
    if wanted is not None and not found:
        raise RecordingError(f"{arguments.file} has no call {wanted}")
    if not found:
        print_note(f"{arguments.file} has no calls")
    return ExitStatus.OK


def _record(call: RecordedCall, meta: Any) -> dict[str, Any]:
    lines = {"request": call.request, "response": call.response, "end": call.end}
    return {
        "call": call.number,
        "outcome": call.outcome,
        **({"session_meta": meta} if meta else {}),
        **{name: line and _payload(line) for name, line in lines.items()},
        "completion": completion_record(call.completion(), call.error, call.outcome),
        "repairs": _repairs(call),
    }


def _repairs(call: RecordedCall) -> dict[str, int]:
    """The number of frames with each repair, the most frequent repair first."""
    counts = Counter(name for frame in call.frames() for name in frame.repairs)
    return dict(counts.most_common())


def _payload(line: dict[str, Any]) -> dict[str, Any]:
    """A recorded line without its type, call number and checksum."""
    return {key: value for key, value in line.items() if key not in {"type", "call", "crc"}}


def _compact(value: Any) -> str:
    from ..core.jsontext import dumps

    return dumps(value).decode()


def _print_call(call: RecordedCall) -> None:
    request, response = call.request, call.response or {}
    status = response.get("status", "no response")
    given = response.get("headers")
    headers = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
    print_line(f"call {call.number}", BOLD, end="")
    print_line(f"  {model_address(call)}")
    _print_field("request", f"{request.get('method')} {request.get('url')}")
    if call.retry_of is not None:
        _print_field("retry of", f"call {call.retry_of}")
    if meta := request.get("meta"):
        _print_field("meta", _compact(meta))
    if prompt := prompt_excerpt(call, _LONGEST_PROMPT):
        _print_field("prompt", prompt)
    _print_field("response", f"{status} {headers.get('content-type', '')}".rstrip())
    completion = call.completion()
    for choice in completion.choices:
        label = "" if choice.index == 0 else f" {choice.index}"
        for name in ("reasoning", "refusal", "text"):
            if text := getattr(choice, name):
                _print_text(name + label, text)
        for tool_call in choice.tool_calls:
            _print_field("tool call" + label, f"{tool_call.name}({tool_call.arguments_text})")
    if repairs := _repairs(call):
        _print_field("repaired", ", ".join(f"{name} ({count})" for name, count in repairs.items()))
    _print_field("ended", summary(completion, call.outcome))
    if (error := call.error) is not None:
        _print_field("error", f"{type(error).__name__}: {' '.join(error.message.split())}")


def _print_raw(frame: RecordedFrame) -> None:
    if sys.stdout.isatty():
        write(frame.text)
    else:
        sys.stdout.buffer.write(frame.raw)
        sys.stdout.buffer.flush()


def _print_field(label: str, text: str) -> None:
    """Write a label and its value, in one line."""
    print_line(f"  {label:<12}", DIM, end="")
    print_line(text)


def _print_text(label: str, text: str) -> None:
    """Write a label and a text of the answer; all its lines start in the same column."""
    first, *more = text.rstrip("\n").split("\n")
    print_line(f"  {label:<12}", DIM, end="")
    write(first + "\n")
    for line in more:
        write(" " * 14 + line + "\n")
