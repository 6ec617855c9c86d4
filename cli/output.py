"""Writes to stdout and stderr: results go to stdout at once, everything else goes to stderr.

Text from a model or a file may contain escape sequences. On a terminal its control characters are
replaced by visible symbols; a pipe or a file gets the text unchanged.
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
    "is_terminal",
    "print_error",
    "print_json",
    "print_note",
    "print_table",
    "printable",
    "styled",
    "write",
    "write_to",
]

# SGR parameters of ECMA-48 (8.3.117).
PLAIN, BOLD, DIM = "", "1", "2"

# Control characters, except tab and line feed, become Unicode's symbols for control characters.
_VISIBLE_CONTROLS = {
    **{code: 0x2400 + code for code in range(32) if code not in {9, 10}},
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
}


def is_terminal(stream: TextIO) -> bool:
    """Whether the stream is a terminal that understands escape sequences."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def printable(text: str, stream: TextIO) -> str:
    """Replace the control characters in `text` if the stream is a terminal."""
    return text.translate(_VISIBLE_CONTROLS) if stream.isatty() else text


def write(text: str, style: str = PLAIN) -> None:
    """Write to stdout and flush."""
    write_to(sys.stdout, text, style)


def print_json(value: Mapping[str, Any]) -> None:
    """Write one JSON object as a line to stdout and flush."""
    from ..core.jsontext import dumps

    sys.stdout.write(dumps(value).decode() + "\n")
    sys.stdout.flush()


def print_note(text: str = "", style: str = PLAIN) -> None:
    """Write a line to stderr."""
    write_to(sys.stderr, text, style, end="\n")


def print_error(text: str, command: str = "vesselog") -> None:
    """Write an error to stderr, in one line that begins with the command's name."""
    print_note(f"{command}: {' '.join(text.split())}")


def styled(text: str, style: str, stream: TextIO) -> str:
    """`text` in this style, if the stream is a terminal and NO_COLOR is not set."""
    if not style or not text or os.environ.get("NO_COLOR") or not is_terminal(stream):
        return text
    return f"\x1b[{style}m{text}\x1b[0m"


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write rows to stdout; each column is as wide as its longest cell."""
    printed = [[printable(cell, sys.stdout) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(headings, *printed, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        return "  ".join(padded).rstrip()

    sys.stdout.write(styled(line(headings), DIM, sys.stdout) + "\n")
    for row in printed:
        sys.stdout.write(line(row) + "\n")
    sys.stdout.flush()


def write_to(stream: TextIO, text: str, style: str = PLAIN, end: str = "") -> None:
    """Write to this stream and flush; control characters are replaced before the style is added."""
    stream.write(styled(printable(text, stream), style, stream) + end)
    stream.flush()
