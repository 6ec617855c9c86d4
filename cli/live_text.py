"""Text that grows on the screen, wrapped, with a figure beside each of its lines.

On a terminal the last line is written again with every piece. Anywhere else a line is written once
it is full: the same picture, without a control character, for a log.
"""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Callable
from typing import TextIO

from .output import DIM, PLAIN, is_terminal, shown, styled

__all__ = ["LiveText", "columns"]

_INDENT = "  "
_WIDEST = 100
_FIGURE_COLUMNS = 24
# On a narrower screen the figures would leave no room for the text.
_NARROWEST = 60


def columns(text: str) -> int:
    """How many columns of a terminal this text takes."""
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1
        for each in text
    )


class LiveText:
    """One paragraph. figure: what stands beside a line when it is written. style: of the text."""

    def __init__(self, stream: TextIO, figure: Callable[[], str], *, style: str = PLAIN) -> None:
        self._stream = stream
        self._figure = figure
        self._style = style
        self._terminal = is_terminal(stream)
        # One column stays free: some terminals wrap as soon as the last one is written.
        width = min(shutil.get_terminal_size().columns - 1, _WIDEST)
        self._figures = width >= _NARROWEST
        self._width = width - len(_INDENT) - (_FIGURE_COLUMNS if self._figures else 0)
        self._line = ""

    def add(self, text: str) -> None:
        """Write the next piece."""
        *full, self._line = (self._line + shown(text, self._stream)).split("\n")
        for line in full:
            self._write(self._wrapped(line), end="\n")
        self._line = self._wrapped(self._line)
        if self._terminal:
            self._write(self._line, end="")

    def end(self) -> None:
        """The paragraph is over."""
        if self._line.strip():
            self._write(self._line, end="\n")
        self._line = ""

    def _wrapped(self, line: str) -> str:
        """Write the lines that are full; gives what is left for the next."""
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
        padding = " " * (self._width - columns(line)) if self._figures else ""
        figure = styled(f" │ {self._figure()}", DIM, self._stream) if self._figures else ""
        text = styled(line, self._style, self._stream)
        self._stream.write(f"{begin}{_INDENT}{text}{padding}{figure}{clear}{end}")
        self._stream.flush()
