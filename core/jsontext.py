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
from typing import Any

import orjson

__all__ = ["LARGE", "ZEROS", "canonical", "dumps", "loads", "loads_exact", "loads_strict"]

_MOST_DIGITS = 500
# An integer beyond 64 bits has 19 digits or more. Both are looked for with zeros as all digits.
LARGE, _LONG = b"0" * 19, b"0" * (_MOST_DIGITS + 1)
ZEROS = bytes(0x30 if chr(byte).isdecimal() else 0x20 for byte in range(128)).ljust(256)


def loads(text: str | bytes) -> Any:
    """Parse `text`.

    Raise ValueError if it is not JSON even by the standard module's wider rules.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return _loads_standard(text)


def loads_exact(text: str | bytes) -> Any:
    """Parse `text`; integers beyond 64 bits stay exact (orjson rounds them)."""
    if isinstance(text, bytes):
        text = text.decode(json.detect_encoding(text), "surrogatepass")  # as json.loads does
    if LARGE in text.encode(errors="surrogatepass").translate(ZEROS):
        try:
            return _loads_standard(text)
        except ValueError:
            pass  # orjson follows deeper nesting
    return loads(text)


def loads_strict(text: str) -> Any:
    """Parse `text` as `loads_exact` does, but only what any other parser can read too.

    Raises ValueError for NaN, infinities and half a surrogate pair as well.
    """
    orjson.loads(text)
    return loads_exact(text)


def _loads_standard(text: str | bytes) -> Any:
    if isinstance(text, bytes):
        text = text.decode(json.detect_encoding(text), "surrogatepass")
    digits = text.encode(errors="surrogatepass").translate(ZEROS)
    try:
        return json.loads(text, parse_int=_integer if _LONG in digits else None)
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None


def _integer(text: str) -> float:
    return int(text) if len(text.lstrip("-")) <= _MOST_DIGITS else float(text)


def dumps(value: Any, *, sort_keys: bool = False) -> bytes:
    """Write `value` as compact JSON, with sorted keys if `sort_keys`. Some values are in ASCII."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS if sort_keys else None)
    except TypeError:
        return json.dumps(value, separators=(",", ":"), sort_keys=sort_keys).encode("ascii")


def canonical(value: Any) -> bytes:
    """Write JSON with sorted keys and no spaces: equal values give equal bytes."""
    return dumps(value, sort_keys=True)
