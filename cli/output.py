"""Writes to stdout and stderr: results go to stdout at once, everything else goes to stderr.

Text from a server or a file may contain escape sequences (see terminal_text.py). Names, messages
and cells of tables are always made safe, and are one line. The text of an answer keeps its lines,
and is made safe for a terminal only: a pipe or a file gets exactly what the model wrote.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

from .terminal_text import safe_json, safe_line, safe_text

__all__ = [
    "BOLD",
    "DIM",
    "PLAIN",
    "is_terminal",
    "print_error",
    "print_json",
    "print_line",
    "print_note",
    "print_table",
    "printable",
    "styled",
    "write",
    "write_to",
]

# SGR parameters of ECMA-48 (8.3.117).
PLAIN, BOLD, DIM = "", "1", "2"


def is_terminal(stream: TextIO) -> bool:
    """Whether the stream is a terminal that understands escape sequences."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def printable(text: str, stream: TextIO) -> str:
    """The text of an answer, made safe if the stream is a terminal."""
    return safe_text(text) if stream.isatty() else text


def write(text: str, style: str = PLAIN) -> None:
    """Write text of an answer to stdout and flush."""
    write_to(sys.stdout, text, style)


def write_to(stream: TextIO, text: str, style: str = PLAIN) -> None:
    """Write text of an answer to this stream and flush."""
    stream.write(styled(printable(text, stream), style, stream))
    stream.flush()


def print_line(text: str = "", style: str = PLAIN, *, end: str = "\n") -> None:
    """Write a line that is no answer's text to stdout and flush."""
    sys.stdout.write(styled(safe_line(text), style, sys.stdout) + end)
    sys.stdout.flush()


def print_json(value: Mapping[str, Any]) -> None:
    """Write one JSON object as a line to stdout and flush."""
    from ..core.jsontext import dumps

    sys.stdout.write(safe_json(dumps(value).decode()) + "\n")
    sys.stdout.flush()


def print_note(text: str = "", style: str = PLAIN) -> None:
    """Write a line to stderr."""
    sys.stderr.write(styled(safe_line(text), style, sys.stderr) + "\n")
    sys.stderr.flush()


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
    printed = [[safe_line(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(headings, *printed, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        return "  ".join(padded).rstrip()

    sys.stdout.write(styled(line(headings), DIM, sys.stdout) + "\n")
    for row in printed:
        sys.stdout.write(line(row) + "\n")
    sys.stdout.flush()
