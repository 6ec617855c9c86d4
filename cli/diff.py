"""`vesselog diff`: compares two recordings."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, cast

from .arguments import RECORDING, Commands, add_lookup
from .exit_status import EPILOG, ExitStatus
from .find_recording import NamedRecording
from .output import BOLD, print_json, print_line

if TYPE_CHECKING:
    from ..maintenance.diff import Difference

__all__ = ["add"]

# Characters of a text that are shown, and how many of them come before the first difference.
_SHOWN = 72
_BEFORE = 16


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "diff",
        help="compare two recordings",
        description="Compare two recordings call by call: text, reasoning, tool calls, finish "
        "reason, usage, outcome and timing. If they are equal, nothing is printed; if not, the "
        "exit status is 1.",
        epilog=EPILOG,
    )
    parser.add_argument("a", metavar="A", type=NamedRecording, help=RECORDING)
    parser.add_argument("b", metavar="B", type=NamedRecording, help="another recording")
    add_lookup(parser)
    parser.add_argument("--no-timing", action="store_true", help="do not compare times")
    parser.add_argument("--json", action="store_true", help="print a JSON line for each difference")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the differences; returns the exit status."""
    from ..maintenance.diff import diff

    found = diff(arguments.a, arguments.b, timing=not arguments.no_timing)
    for difference in found:
        if arguments.json:
            print_json(difference.to_dict())
        else:
            _print_difference(difference)
    return ExitStatus.FAILURE if found else ExitStatus.OK


def _print_difference(difference: Difference) -> None:
    choice = f", choice {difference.choice}" if difference.choice else ""
    at = difference.at
    place = "" if at is None else f", from character {at}"
    print_line(f"call {difference.call}{choice}: {difference.subject}{place}", BOLD)
    values = difference.a, difference.b
    if all(isinstance(value, dict) for value in values):
        values = _unequal_numbers(*cast("tuple[dict[str, Any], dict[str, Any]]", values))
    for sign, value in zip("-+", values, strict=True):
        print_line(f"  {sign} {_excerpt(value, at)}")


def _unequal_numbers(one: dict[str, Any], other: dict[str, Any]) -> tuple[str, str]:
    """The numbers that differ, each with its name."""
    names = [name for name in one | other if one.get(name) != other.get(name)]
    first, second = (
        ", ".join(f"{name} {_number(each.get(name))}" for name in names) for each in (one, other)
    )
    return first, second


def _number(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _excerpt(value: Any, at: int | None) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, cast("list[Any]", value))) or "-"
    if at is None or not isinstance(value, str):
        return "-" if value is None else str(value)
    start = max(0, at - _BEFORE)
    excerpt = value[start : start + _SHOWN]
    begin = "…" if start else ""
    end = "…" if start + _SHOWN < len(value) else ""
    return begin + " ".join(excerpt.splitlines()) + end
