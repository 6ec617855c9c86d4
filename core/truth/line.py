"""A line of a recording: one JSON object, its check at a fixed place, one LF.

The check is always the line's last 18 bytes before the LF, `,"crc":"xxxxxxxx"}`: the CRC-32
(lower-case hexadecimal) of every byte before them. It is found by position, never by a JSON key, so
that a user's own "crc" means nothing. What orjson cannot write (integers over 64 bits, lone
surrogates) the standard module does; such a line says `"exact":true`, and is read by that module
too, which rounds nothing.

What is written can be read: a line that no reader would take is refused before it is written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NoReturn, cast
from zlib import crc32

import orjson

from ..errors import RecordingError
from ..jsontext import loads, loads_exact

__all__ = [
    "CHECK_BYTES",
    "FORMAT_VERSION",
    "LONGEST_LINE",
    "build_line",
    "check_line",
    "parse_line",
    "refuse_long_line",
    "seal",
]

FORMAT_VERSION = 1

# Bytes, the LF included. A frame of 32 MiB in which every byte is written as a six-byte escape, in
# `raw` and again in `chunks`, makes a line of 384 MiB. What is longer is not read into memory.
LONGEST_LINE = 1 << 29

# Levels of JSON. orjson writes 254; what has more than this could overflow the interpreter's stack
# (1,000 frames) in whatever is done with it.
_DEEPEST_NESTING = 500

CHECK_BYTES = 18
_CHECK = b',"crc":"%08x"}'
_CHECK_START = b',"crc":"'


def build_line(fields: Mapping[str, Any], *, exact: bool = False) -> bytes:
    """The whole line for these fields.

    exact: keep NaN and infinities, which orjson writes as null. Raises RecordingError for what
    JSON cannot hold, and for a line that would be too long or too deep to be read.
    """
    line = b""
    if not exact:
        with suppress(TypeError):  # the standard module writes what orjson does not
            line = seal(orjson.dumps(fields))
    if not line:
        fields = {**fields, "exact": True}
        try:
            line = seal(json.dumps(fields, separators=(",", ":")).encode("ascii"))
        except (TypeError, ValueError, RecursionError) as error:
            raise RecordingError(f"cannot be written as JSON: {error}") from None
        if _is_too_deep(line, fields):
            raise RecordingError(
                f"cannot be recorded: JSON of more than {_DEEPEST_NESTING} levels could not be read"
            )
    if len(line) > LONGEST_LINE:
        refuse_long_line(line)
    return line


def refuse_long_line(line: bytes) -> NoReturn:
    """Raise the RecordingError for a line that is too long to be read."""
    raise RecordingError(
        f"cannot be recorded: a line of {len(line):,} bytes could not be read; "
        f"{LONGEST_LINE:,} is the limit"
    )


def seal(body: bytes) -> bytes:
    """A JSON object as a line: the check replaces its closing brace."""
    body = body[:-1]
    return b'%b,"crc":"%08x"}\n' % (body, crc32(body))


def check_line(line: bytes) -> bool | None:
    """Whether the check of a line (without its LF) matches it; None if it has no check."""
    body, check = line[:-CHECK_BYTES], line[-CHECK_BYTES:]
    if not body:
        return None
    if check == _CHECK % crc32(body):
        return True
    return False if check.startswith(_CHECK_START) and check.endswith(b'"}') else None


def parse_line(line: bytes) -> dict[str, Any] | None:
    """The line's fields; None if it is not a JSON object with a type, or is nested too deeply."""
    try:
        fields: dict[str, Any] | list[Any] | str | float | None = loads(line)
        if not isinstance(fields, dict):
            return None
        if "exact" in fields and fields["exact"] is True:
            fields = cast("dict[str, Any]", loads_exact(line))
    except ValueError:
        return None
    is_good = isinstance(fields.get("type"), str) and not _is_too_deep(line, fields)
    return fields if is_good else None


def _is_too_deep(line: bytes, fields: Mapping[str, Any]) -> bool:
    """Whether its JSON values are nested more deeply than a reader is sure to follow."""
    if line.count(b"[") + line.count(b"{") <= _DEEPEST_NESTING:
        return False
    level: list[Any] = [fields]
    for _ in range(_DEEPEST_NESTING):
        below: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                below += cast("dict[str, Any]", each).values()
            elif isinstance(each, (list, tuple)):
                below += cast("list[Any]", each)
        if not below:
            return False
        level = below
    return True
