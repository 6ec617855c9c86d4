"""Prints text that arrives in pieces: wrapped lines with a note at the right of each line.

On a terminal the last line is written again for each piece. Otherwise a line is written when it is
full, without control characters, so that a log file shows the same lines.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import TextIO

from .output import DIM, PLAIN, is_terminal, printable, styled
from .terminal_text import columns

__all__ = ["LiveText"]

_INDENT = "  "
_WIDEST = 100
_NOTE_COLUMNS = 24
# A narrower terminal has no room for the notes.
_NARROWEST_WITH_NOTES = 60


class LiveText:
    """One paragraph. note: returns the text at the right of a line. style: of the paragraph."""

    def __init__(self, stream: TextIO, note: Callable[[], str], *, style: str = PLAIN) -> None:
        self._stream = stream
        self._note = note
        self._style = style
        self._terminal = is_terminal(stream)
        # One column stays free: some terminals wrap when the last column is written.
        width = min(shutil.get_terminal_size().columns - 1, _WIDEST)
        self._has_notes = width >= _NARROWEST_WITH_NOTES
        self._width = width - len(_INDENT) - (_NOTE_COLUMNS if self._has_notes else 0)
        self._line = ""

    def add(self, text: str) -> None:
        """Write the next piece."""
        *full, self._line = (self._line + printable(text, self._stream)).split("\n")
        for line in full:
            self._write(self._wrapped(line), end="\n")
        self._line = self._wrapped(self._line)
        if self._terminal:
            self._write(self._line, end="")

    def end(self) -> None:
        """End the paragraph."""
        if self._line.strip():
            self._write(self._line, end="\n")
        self._line = ""

    def _wrapped(self, line: str) -> str:
        """Write the full lines and return the rest, the start of the next line."""
        while columns(line) > self._width:
            fit = len(line)
            while columns(line[:fit]) > self._width:
                fit -= 1
            space = line.rfind(" ", 0, fit + 1)
            cut = space if space > 0 else fit
            self._write(line[:cut], end="\n")
            line = line[cut:].lstrip(" ")
        return line

    def _write(self, line: str, *, end: str) -> None:
        begin, clear = ("\r", "\x1b[K") if self._terminal else ("", "")
        padding = " " * (self._width - columns(line)) if self._has_notes else ""
        note = styled(f" │ {self._note()}", DIM, self._stream) if self._has_notes else ""
        text = styled(line, self._style, self._stream)
        self._stream.write(f"{begin}{_INDENT}{text}{padding}{note}{clear}{end}")
        self._stream.flush()
