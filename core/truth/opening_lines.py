"""The lines that begin a file, a writer's part of it, and a call: header, `open` and `request`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ..errors import ConfigurationError, RecordingError
from ..version import VERSION
from .headers import recordable
from .line import FORMAT_VERSION, build_line
from .timestamps import timestamp

__all__ = ["header_line", "open_line", "request_line"]

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
        fields["headers"] = recordable(request["headers"])
    return build_line(fields)
