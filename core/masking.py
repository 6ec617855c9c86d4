"""Keeps a vessel's key out of what is recorded and shown.

Servers echo keys in their answers. A key is masked where it is part of a value, before decoding and
hashing. Names of JSON properties and all other text stay unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property

from .vessel import SHORTEST_SECRET, Unpicklable

__all__ = ["MASK", "Masker"]

MASK = "[masked]"

_LETTERS = re.compile("[A-Za-z0-9]+")

_BytesPattern = re.Pattern[bytes]  # inside the class `bytes` is its method


class Masker(Unpicklable):
    """Masks the given secrets; those shorter than 12 characters are placeholders and stay.

    secrets: those that are masked. idle: there are none.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self.secrets = frozenset(each for each in secrets if len(each) >= SHORTEST_SECRET)
        self.idle = not self.secrets
        # Letters and digits have one spelling: without one of these there is no secret. To look for
        # them costs a tenth of what the pattern costs, which few answers need.
        signs = {max(_LETTERS.findall(each), key=len, default="") for each in self.secrets}
        self._signs = tuple(signs)

    def bytes(self, data: bytes) -> bytes:
        """`data` with the secrets masked; the same object where there are none."""
        for sign in self._signs:
            if sign.encode() in data:
                masked, count = self._in_bytes.subn(MASK.encode(), data)
                return masked if count else data
        return data

    def text(self, text: str) -> str:
        """`text` with the secrets masked."""
        return self._in_text.sub(MASK, text) if self.may_be_in(text) else text

    def may_be_in(self, text: str) -> bool:
        """Whether to mask `text`, or the bytes that were decoded to it."""
        for sign in self._signs:  # noqa: SIM110 - `any` costs five times as much
            if sign in text:
                return True
        return False

    @cached_property
    def _in_text(self) -> re.Pattern[str]:
        # The longest first, so that a secret that contains another is masked whole.
        alternatives = "|".join(
            "".join(map(_spellings, secret))
            for secret in sorted(self.secrets, key=len, reverse=True)
        )
        return re.compile(f'(?:{alternatives})(?!"\\s*:)')

    @cached_property
    def _in_bytes(self) -> _BytesPattern:
        return re.compile(self._in_text.pattern.encode())


def _spellings(character: str) -> str:
    """A pattern for a character as it is, as JSON may escape it, and as a URL may."""
    if character.isalnum():
        return character
    code = f"{ord(character):02x}"
    digits = "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in code)
    plain = re.escape(character)
    return rf"(?:\\?{plain}|\\u00{digits}|%{digits})"
