"""Tells whether a JSON value that comes in pieces is still open; each piece is read once."""

from __future__ import annotations

import re

__all__ = ["JsonNesting"]

_SIGNS = re.compile(r'\\.|["{}\[\]]', re.DOTALL)


class JsonNesting:
    """Reads the pieces of a JSON value, in order.

    begun: whether a text, an object or a list has begun.
    """

    __slots__ = ("begun", "depth", "in_string", "rest")

    def __init__(self) -> None:
        self.begun = False
        self.depth = 0
        self.in_string = False
        self.rest = ""

    @property
    def is_open(self) -> bool:
        """Whether a text, an object or a list has not ended."""
        return self.in_string or self.depth > 0

    def read(self, piece: str) -> None:
        """Take the next piece."""
        text = self.rest + piece
        # A backslash at the end goes with the character that follows it.
        self.rest = "\\" if (len(text) - len(text.rstrip("\\"))) % 2 else ""
        for sign in _SIGNS.findall(text.removesuffix(self.rest) if self.rest else text):
            self.begun = True
            if sign == '"':
                self.in_string = not self.in_string
            elif not self.in_string and len(sign) == 1:
                self.depth += 1 if sign in "{[" else -1
