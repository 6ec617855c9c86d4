"""Where a command writes: what was asked for goes to stdout at once, everything else to stderr.

Text from a model or a file is made harmless before it reaches a terminal (an answer may contain
escape sequences); a pipe or a file gets it as it is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

__all__ = [
    "BOLD",
    "DIM",
    "PLAIN",
    "complain",
    "is_terminal",
    "json_line",
    "note",
    "put",
    "shown",
    "styled",
    "table",
    "write",
]

# Styles of text on a terminal, as ECMA-48 numbers them (8.3.117, SGR).
PLAIN, BOLD, DIM = "", "1", "2"

# Control characters but for the tab and the line feed, as the symbols that Unicode has for them.
_HARMLESS = {
    **{code: 0x2400 + code for code in range(32) if code not in {9, 10}},
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
}


def is_terminal(stream: TextIO) -> bool:
    """Whether someone is watching, on a terminal that can do more than print."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def shown(text: str, stream: TextIO) -> str:
    """`text` as it may be written to this stream."""
    return text.translate(_HARMLESS) if stream.isatty() else text


def write(text: str, style: str = PLAIN) -> None:
    """Write to stdout, now."""
    put(sys.stdout, text, style)


def json_line(value: Mapping[str, Any]) -> None:
    """Write one JSON object to stdout as a line, now."""
    from ..core.jsontext import dumps

    sys.stdout.write(dumps(value).decode() + "\n")
    sys.stdout.flush()


def note(text: str = "", style: str = PLAIN) -> None:
    """Write a line to stderr."""
    put(sys.stderr, text, style, end="\n")


def complain(text: str, command: str = "vesselog") -> None:
    """Say in one line what went wrong and what to do."""
    note(f"{command}: {' '.join(text.split())}")


def styled(text: str, style: str, stream: TextIO) -> str:
    """`text`, in this style where the stream is a terminal that shows it."""
    if not style or not text or os.environ.get("NO_COLOR") or not is_terminal(stream):
        return text
    return f"\x1b[{style}m{text}\x1b[0m"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write rows to stdout in columns as wide as they need."""
    printed = [[shown(cell, sys.stdout) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(headings, *printed, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        return "  ".join(padded).rstrip()

    sys.stdout.write(styled(line(headings), DIM, sys.stdout) + "\n")
    for row in printed:
        sys.stdout.write(line(row) + "\n")
    sys.stdout.flush()


def put(stream: TextIO, text: str, style: str = PLAIN, end: str = "") -> None:
    """Write to this stream, now; the text made harmless for a terminal, then styled."""
    stream.write(styled(shown(text, stream), style, stream) + end)
    stream.flush()
