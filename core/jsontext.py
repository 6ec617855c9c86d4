"""JSON as providers really write it.

orjson reads and writes everything that is valid JSON. What it refuses, the standard json module
takes: NaN, Infinity, 1e400 and lone surrogates when reading, integers over 64 bits when writing.
orjson rounds such integers when reading; where they matter, `loads_exact` does not.
Integers of more than 500 digits are read as infinity, as 1e400 is: the time that Python needs for
them grows with the square of their length. Whatever cannot be read at all raises ValueError, never
anything else.
"""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

__all__ = ["canonical", "dumps", "loads", "loads_exact", "loads_strict", "may_be_large"]

_MOST_DIGITS = 500
# So far apart are the characters that are looked at first: a longer integer has two in a row.
_STEP = _MOST_DIGITS // 2 - 1
_TWO_DIGITS = re.compile(r"\d(?=\d)")
# An integer beyond 64 bits has 19 digits; of every fourth character, four in a row are digits then.
may_be_large = re.compile(r"\d{4}").search
_is_large = re.compile(r"\d{19}").search


def loads(text: str | bytes) -> Any:
    """Parse `text`.

    Raise ValueError if it is not JSON even by the standard module's wider rules.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return _loads_standard(text)


def loads_exact(text: str | bytes) -> Any:
    """Parse with integers beyond 64 bits exact, which orjson rounds."""
    if isinstance(text, bytes):
        text = text.decode(json.detect_encoding(text), "surrogatepass")  # as json.loads does
    if may_be_large(text[::4]) and _is_large(text):  # several times faster than the second alone
        try:
            return _loads_standard(text)
        except ValueError:
            pass  # orjson follows deeper nesting
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return _loads_standard(text)


def loads_strict(text: str) -> Any:
    """As `loads_exact`, for what any other parser is to read too.

    Raises ValueError for NaN, infinities and half a surrogate pair as well.
    """
    orjson.loads(text)
    return loads_exact(text)


def _loads_standard(text: str | bytes) -> Any:
    if isinstance(text, bytes):
        text = text.decode(json.detect_encoding(text), "surrogatepass")
    try:
        return json.loads(text, parse_int=_integer if _may_have_long_integer(text) else None)
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None


def _may_have_long_integer(text: str) -> bool:
    """False is certain. Takes a fraction of the time that reading the text takes."""
    for two in _TWO_DIGITS.finditer(text[::_STEP]):
        first = two.start() * _STEP
        if text[first : first + _STEP].isdigit():
            return True
    return False


def _integer(text: str) -> float:
    return int(text) if len(text.lstrip("-")) <= _MOST_DIGITS else float(text)


def dumps(value: Any) -> bytes:
    """Write compact JSON; what orjson cannot write is written in ASCII by the standard module."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":")).encode("ascii")


def canonical(value: Any) -> bytes:
    """Write JSON with sorted keys and no spaces: equal values give equal bytes."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return json.dumps(value, separators=(",", ":"), sort_keys=True).encode("ascii")
