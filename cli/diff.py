"""`vesselog diff`: what differs between two recordings."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from .arguments import Commands
from .output import BOLD, json_line, write
from .statuses import EPILOG, ExitStatus

if TYPE_CHECKING:
    from ..core.truth.diff import Difference

__all__ = ["add"]

# How much of a text is shown from a little before the place where it begins to differ.
_SHOWN = 72
_BEFORE = 16


def add(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "diff",
        help="compare two recordings",
        description="Compare two recordings call by call: text, reasoning, tool calls, finish, "
        "usage, outcome and timing. Nothing is printed if they are equal; the exit status is 1 if "
        "they are not.",
        epilog=EPILOG,
    )
    parser.add_argument("a", metavar="A", type=Path, help="a recording")
    parser.add_argument("b", metavar="B", type=Path, help="another")
    parser.add_argument("--no-timing", action="store_true", help="do not compare times")
    parser.add_argument("--json", action="store_true", help="a JSON line for each difference")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print what differs."""
    from ..core.truth.diff import diff

    found = diff(arguments.a, arguments.b, timing=not arguments.no_timing)
    for difference in found:
        if arguments.json:
            json_line(difference.to_dict())
        else:
            _tell(difference)
    return ExitStatus.FAILURE if found else ExitStatus.OK


def _tell(difference: Difference) -> None:
    choice = f", choice {difference.choice}" if difference.choice else ""
    at = difference.at
    place = "" if at is None else f", from character {at}"
    write(f"call {difference.call}{choice}: {difference.subject}{place}\n", BOLD)
    values = difference.a, difference.b
    if isinstance(difference.a, dict):  # figures: of both, then
        values = _unequal(*cast("tuple[dict[str, Any], dict[str, Any]]", values))
    for sign, value in zip("-+", values, strict=True):
        write(f"  {sign} {_shown(value, at)}\n")


def _unequal(one: dict[str, Any], other: dict[str, Any]) -> tuple[str, str]:
    """The figures that differ, in words."""
    names = [name for name in one | other if one.get(name) != other.get(name)]
    first, second = (
        ", ".join(f"{name} {_figure(each.get(name))}" for name in names) for each in (one, other)
    )
    return first, second


def _figure(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _shown(value: Any, at: int | None) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, cast("list[Any]", value))) or "-"
    if at is None or not isinstance(value, str):
        return "-" if value is None else str(value)
    start = max(0, at - _BEFORE)
    excerpt = value[start : start + _SHOWN]
    begin = "…" if start else ""
    end = "…" if start + _SHOWN < len(value) else ""
    return begin + " ".join(excerpt.splitlines()) + end
