"""Builds the lines of a recording: header, `open`, `request`, `response` and `frame`.

The `end` line is in call_writer.py, since it may have to wait until the write lock is free.
"""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from zlib import crc32

import orjson

from ..clock import timestamp
from ..errors import ConfigurationError, RecordingError
from ..exchange import Step
from ..response_headers import kept_headers
from ..version import VERSION
from .line import FORMAT_VERSION, LONGEST_LINE, build_line, refuse_long_line

__all__ = ["frame_line", "header_line", "open_line", "request_line", "response_line"]

_OWN_KEYS = frozenset({"type", "n", "call", "t", "crc", "exact"})


def header_line(name: str, meta: Mapping[str, Any] | None) -> bytes:
    """The first line of a file. Raises ConfigurationError if JSON cannot hold `meta`."""
    fields = {
        "type": "session",
        "vesselog": FORMAT_VERSION,
        "session": name,
        "crc32": True,
        "library": VERSION,
        "meta": dict(meta or {}),
    }
    try:
        return build_line(fields)
    except RecordingError as error:
        raise ConfigurationError(f"meta {error}", setting="meta") from None


def open_line(n: int, t: int, wall: int, *, torn: int = 0) -> bytes:
    """A writer opened the file. wall: microseconds since 1970. torn: bytes that it put aside."""
    fields = {"type": "open", "n": n, "t": t, "at": timestamp(wall), "pid": os.getpid()}
    return build_line({**fields, "torn": torn} if torn else fields)


def request_line(request: Mapping[str, Any], n: int, call: int, t: int) -> bytes:
    """A call begins; headers that may be secret are left out.

    Raises RecordingError for what JSON cannot hold, or what is too long.
    """
    fields: dict[str, Any] = {"type": "request", "n": n, "call": call, "t": t}
    fields.update({key: value for key, value in request.items() if key not in _OWN_KEYS})
    if "headers" in request:
        fields["headers"] = kept_headers(request["headers"])
    return build_line(fields)


def response_line(status: int, headers: Mapping[str, str], n: int, call: int, t: int) -> bytes:
    """The response's status, and its headers without those that may be secret."""
    fields = {"type": "response", "n": n, "call": call, "t": t, "status": status}
    return build_line({**fields, "headers": kept_headers(headers)})


def frame_line(step: Step, n: int, call: int, t: int) -> bytes:
    """The exact bytes of the wire, and the chunks made of them.

    Raises RecordingError for what JSON cannot hold, or what is too long.
    """
    frame = step.frame
    fields: dict[str, Any] = {"type": "frame", "n": n, "call": call, "t": t}
    if frame.valid:
        fields["raw"] = frame.text
    else:
        fields["raw_b64"] = b64encode(frame.raw).decode("ascii")
    if step.partial:
        fields["partial"] = True
    if step.masked:
        fields["masked"] = True
    if frame.repairs:
        fields["repairs"] = frame.repairs
    if step.fields:
        fields["chunks"] = step.fields
    try:
        body = orjson.dumps(fields)[:-1]
    except TypeError:  # the standard module writes what orjson does not
        return build_line(fields, exact=True)
    line = b'%b,"crc":"%08x"}\n' % (body, crc32(body))  # as `seal`, without the call
    if len(line) > LONGEST_LINE:
        refuse_long_line(line)
    return line
