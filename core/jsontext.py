"""JSON as providers really write it.

orjson reads and writes everything that is valid JSON. What it refuses, the standard json module
takes: NaN, Infinity, 1e400 and lone surrogates when reading, integers over 64 bits when writing.
Whatever cannot be read at all raises ValueError, never anything else.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

__all__ = ["canonical", "dumps", "loads", "loads_exact"]


def loads(text: str | bytes) -> Any:
    """Parse `text`.

    Raise ValueError if it is not JSON even by the standard module's wider rules.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return loads_exact(text)


def loads_exact(text: str | bytes) -> Any:
    """Parse with the standard module: integers of any size stay exact (orjson rounds them)."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None


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
