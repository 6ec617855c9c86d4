"""Keeps a vessel's key out of what is recorded and shown.

Servers echo keys in their answers. A key is masked where it stands in a value, before decoding and
hashing; structure (a JSON property's name) and all other text stay as they came.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from .unpicklable import Unpicklable
from .vessel import SHORTEST_SECRET

__all__ = ["MASK", "Masker"]

MASK = "[masked]"

_LETTERS = re.compile("[A-Za-z0-9]+")


class Masker(Unpicklable):
    """Masks the given secrets; those shorter than 12 characters are placeholders and stay.

    secrets: those that it masks. idle: there are none.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        found = {secret for secret in secrets if len(secret) >= SHORTEST_SECRET}
        self.secrets = frozenset(found)
        # The longest first, so that a secret that contains another is masked whole.
        alternatives = "|".join(
            "".join(map(_spellings, secret)) for secret in sorted(found, key=len, reverse=True)
        )
        self.idle = not found
        # Letters and digits have one spelling: where none of these stands, no secret does. Looking
        # for them costs a tenth of what the pattern does.
        self._signs = {
            max(_LETTERS.findall(secret), key=len, default="").encode() for secret in found
        }
        self._text = re.compile(f'(?:{alternatives})(?!"\\s*:)') if found else None
        self._bytes = re.compile(self._text.pattern.encode()) if self._text else None

    def bytes(self, data: bytes) -> bytes:
        """`data` with the secrets masked; the same object where there are none."""
        if self._bytes is None:
            return data
        for sign in self._signs:
            if sign in data:
                break
        else:
            return data
        masked, count = self._bytes.subn(MASK.encode(), data)
        return masked if count else data

    def text(self, text: str) -> str:
        """`text` with the secrets masked."""
        return self._text.sub(MASK, text) if self._text else text


def _spellings(character: str) -> str:
    """A pattern for a character as it is, as JSON may escape it, and as a URL may."""
    if character.isalnum():
        return character
    code = f"{ord(character):02x}"
    digits = "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in code)
    plain = re.escape(character)
    return rf"(?:\\?{plain}|\\u00{digits}|%{digits})"
