"""JSON as providers really write it.

orjson reads and writes everything that is valid JSON. What it refuses, the standard json module
takes: NaN, Infinity, 1e400 and lone surrogates when reading, integers over 64 bits when writing.
orjson rounds such integers when reading; where they matter, `loads_exact` does not. The standard
module needs many times as long, so `loads_bounded` bounds what it gets. Integers of more than 500
digits are read as infinity, as 1e400 is: the time that Python needs for them grows with the square
of their length. Whatever cannot be read at all raises ValueError, never anything else.
"""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

__all__ = [
    "LARGE",
    "ZEROS",
    "TooManyValuesError",
    "canonical",
    "dumps",
    "loads",
    "loads_bounded",
    "loads_exact",
]

_MOST_DIGITS = 500
# An integer beyond 64 bits has 19 digits or more. Both are looked for with zeros as all digits.
LARGE, _LONG = b"0" * 19, b"0" * (_MOST_DIGITS + 1)
ZEROS = bytes(
    0x30 if chr(byte).isdecimal() else byte if byte in b".-" else 0x20 for byte in range(128)
).ljust(256)
_BEYOND_64_BITS = re.compile(rb"-0{19}|(?<![.0])0{20}")

# Half of a surrogate pair, as JSON escapes it, that does not stand beside its other half.
_HIGH, _LOW = "[dD][89abAB][0-9a-fA-F]{2}", "[dD][c-fC-F][0-9a-fA-F]{2}"
_LONE = re.compile(rf"\\u(?:{_HIGH}(?!\\u{_LOW})|(?<!\\u{_HIGH}\\u){_LOW})")
# How many integers the standard module reads of a text, or one for so many bytes of a large one: it
# takes 0.08 us for each. Other values count as several, by the time that they take. Beside an
# integer beyond 64 bits it is a quarter, since the values are then written by that module, too.
_MOST_VALUES = 400_000
_BYTES_A_VALUE = 2.5
_WEIGHTS = {",": 1, '""': 8, "[": 2, "{": 3, "N": 2, "I": 2, ".": 4, "e": 4, "E": 4}


class TooManyValuesError(ValueError):
    """More values than any answer needs, in JSON that takes long to read."""


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
    if _has_large(text):
        try:
            return _loads_standard(text)
        except ValueError:
            pass  # orjson follows deeper nesting
    return loads(text)


def loads_bounded(text: str) -> tuple[Any, bool]:
    """Parse what orjson does not read exactly, however large it is, and mend halves of characters.

    Returns:
        The value, in which U+FFFD stands for half a surrogate pair that is escaped and alone, and
        whether there is one.

    Raises:
        ValueError: It is not JSON, or TooManyValuesError.
    """
    large = _has_large(text) and _has_large(_without_strings(text))
    try:
        if not large:
            return orjson.loads(text), False
    except orjson.JSONDecodeError as bad:
        if "surrogate" not in bad.msg and text[bad.pos : bad.pos + 1] not in {*"NI-0123456789"}:
            raise
    lone = 0
    if "\0" not in text:  # else it is no JSON
        mended, lone = _LONE.subn(r"\\ufffd", text.replace("\\\\", "\0\0"))
        text = mended.replace("\0", "\\")
    if lone and not large:
        try:
            return orjson.loads(text), True
        except orjson.JSONDecodeError:
            pass
    others = _without_strings(text)
    values = sum(weight * others.count(sign) for sign, weight in _WEIGHTS.items())
    if values > max(_MOST_VALUES, len(text) // _BYTES_A_VALUE) // (4 if large else 1):
        raise TooManyValuesError("more values than any answer needs, beside an unusual number")
    return loads_exact(text) if large else _loads_standard(text), lone > 0


def _without_strings(text: str) -> str:
    """JSON with all strings empty."""
    return '""'.join(text.replace("\\\\", "").replace('\\"', "").split('"')[::2])


def _has_large(text: str) -> bool:
    digits = text.encode(errors="surrogatepass").translate(ZEROS)
    return LARGE in digits and _BEYOND_64_BITS.search(digits) is not None


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
