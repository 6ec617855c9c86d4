"""Writes to stdout and stderr: results go to stdout at once, everything else goes to stderr.

Text from a server or a file may contain escape sequences (see terminal_text.py). Names, messages
and cells of tables are always made safe, and are one line. The text of an answer keeps its lines,
and is made safe for a terminal only: a pipe or a file gets exactly what the model wrote.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, TextIO

from .terminal_text import columns, safe_json, safe_line, safe_text

__all__ = [
    "BOLD",
    "DIM",
    "ELLIPSIS",
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

ELLIPSIS = "…"
"""At the end of a cell that was cut."""
_GAP = "  "
# Columns: a cell that is cut to less tells nothing.
_NARROWEST = 8

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


def print_table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    fold: bool = False,
    page: int | None = None,
) -> None:
    """Write rows to stdout, each column as wide as its widest cell; empty columns are left out.

    On a terminal that is too narrow the widest cells are cut. fold: several tables are written
    instead, each with the first column. Where stdout is no terminal nothing is cut. page: so many
    rows are read and written at a time, and a later page may have wider columns.
    """
    made = ([safe_line(cell) for cell in row] for row in rows)
    table = [list(headings), *islice(made, page)]
    filled = [each for each, cells in enumerate(zip(*table, strict=True)) if any(cells[1:])]
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    widths, first = [0] * len(filled), 0
    while table:
        cells = [[row[each] for each in filled] for row in table]
        widths = list(
            map(max, widths, [max(map(columns, each)) for each in zip(*cells, strict=True)])
        )
        groups = _folded(widths, room) if fold else [range(len(filled))]
        if not fold:
            widths = _narrowed(widths, room)
        for number, group in enumerate(groups):
            if number:
                sys.stdout.write("\n")
            for place, row in enumerate(cells, first):
                line = _GAP.join(_padded(row[each], widths[each]) for each in group).rstrip()
                sys.stdout.write(styled(line, PLAIN if place else DIM, sys.stdout) + "\n")
        sys.stdout.flush()
        table, first = list(islice(made, page)), 1


def _folded(widths: Sequence[int], room: int) -> list[list[int]]:
    """The numbers of the columns of each table: the first column, then as many as there is room."""
    groups: list[list[int]] = [[0]]
    for column in range(1, len(widths)):
        group = [*groups[-1], column]
        if sum(widths[each] + len(_GAP) for each in group) - len(_GAP) > room and len(group) > 2:
            group = [0, column]
            groups.append(group)
        groups[-1] = group
    return groups


def _narrowed(widths: Sequence[int], room: int) -> list[int]:
    """The widths that a table has room for, the widest columns made narrower."""
    narrowed = list(widths)
    excess = sum(widths) + len(_GAP) * (len(widths) - 1) - room
    while excess > 0 and max(narrowed) > _NARROWEST:
        narrowed[narrowed.index(max(narrowed))] -= 1
        excess -= 1
    return narrowed


def _padded(text: str, width: int) -> str:
    """The text in exactly `width` columns; what is cut off is an ellipsis."""
    if columns(text) > width:
        while columns(text) > width - 1:
            text = text[:-1]
        text += ELLIPSIS
    return text + " " * (width - columns(text))
