"""A line of the ground truth: one JSON object, its check at a fixed place, one LF.

The check is always the line's last 18 bytes before the LF, `,"crc":"xxxxxxxx"}`: the CRC-32
(lower-case hexadecimal) of every byte before them. It is found by position, never by a JSON key, so
that a user's own "crc" means nothing. What orjson cannot write (integers over 64 bits, lone
surrogates) the standard module does; such a line says `"exact":true`, and is read by that module
too, which rounds nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast
from zlib import crc32

import orjson

from ..errors import RecordingError
from ..jsontext import loads, loads_exact

__all__ = ["CHECK_BYTES", "FORMAT_VERSION", "build_line", "check_line", "parse_line", "seal"]

FORMAT_VERSION = 1

CHECK_BYTES = 18
_CHECK = b',"crc":"%08x"}'
_CHECK_START = b',"crc":"'


def build_line(fields: Mapping[str, Any], *, exact: bool = False) -> bytes:
    """The whole line for these fields.

    exact: keep NaN and infinities, which orjson writes as null. Raises RecordingError for what
    JSON cannot hold.
    """
    if not exact:
        try:
            return seal(orjson.dumps(fields))
        except TypeError:
            pass  # the standard module writes what orjson does not
    try:
        text = json.dumps({**fields, "exact": True}, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise RecordingError(f"cannot be written as JSON: {error}") from None
    return seal(text.encode("ascii"))


def seal(body: bytes) -> bytes:
    """A JSON object as a line: its closing brace gives way to the check."""
    body = body[:-1]
    return b'%b,"crc":"%08x"}\n' % (body, crc32(body))


def check_line(line: bytes) -> bool | None:
    """Whether the check of a line (without its LF) holds; None if there is none in its place."""
    body, check = line[:-CHECK_BYTES], line[-CHECK_BYTES:]
    if not body:
        return None
    if check == _CHECK % crc32(body):
        return True
    return False if check.startswith(_CHECK_START) and check.endswith(b'"}') else None


def parse_line(line: bytes) -> dict[str, Any] | None:
    """The line's fields; None if it is not a JSON object with a type."""
    try:
        fields: dict[str, Any] | list[Any] | str | float | None = loads(line)
        if not isinstance(fields, dict):
            return None
        if "exact" in fields and fields["exact"] is True:
            fields = cast("dict[str, Any]", loads_exact(line))
    except ValueError:
        return None
    return fields if isinstance(fields.get("type"), str) else None
