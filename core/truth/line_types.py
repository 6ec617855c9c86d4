"""Builds the lines of a recording: header, `open`, `request`, `response` and `frame`.

The `end` line is in call_state.py, since it may have to wait until the write lock is free.
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
from ..version import VERSION
from .line import FORMAT_VERSION, LONGEST_LINE, build_line, refuse_long_line

__all__ = ["frame_line", "header_line", "open_line", "recordable", "request_line", "response_line"]

# The headers that are recorded; any other may be a secret. They explain an answer: its form, the
# server's ids for it, limits and times.
_KEPT = frozenset(
    {
        # HTTP
        *("accept", "accept-encoding", "cache-control", "connection", "date", "retry-after"),
        *("content-encoding", "content-length", "content-type", "transfer-encoding"),
        *("server", "server-timing", "user-agent", "via"),
        # Anthropic and OpenAI
        *("anthropic-beta", "anthropic-version", "request-id", "x-request-id"),
        *("openai-beta", "openai-model", "openai-processing-ms", "openai-version"),
        *("retry-after-ms", "x-should-retry"),
        # Azure
        *("api-version", "apim-request-id", "x-ms-client-request-id"),
        *("x-ms-deployment-name", "x-ms-region"),
        # Proxies and others
        *("cf-ray", "x-accel-buffering", "x-envoy-upstream-service-time", "x-groq-region"),
    }
)
_KEPT_PREFIXES = ("anthropic-ratelimit-", "x-ratelimit-")

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


def response_line(status: int, headers: Mapping[str, str], n: int, call: int, t: int) -> bytes:
    """The response's status, and its headers without those that may be secret."""
    fields = {"type": "response", "n": n, "call": call, "t": t, "status": status}
    return build_line({**fields, "headers": recordable(headers)})


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


def recordable(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that may be recorded, names in lower case."""
    lowered = ((name.lower(), value) for name, value in headers.items())
    return {
        name: value for name, value in lowered if name in _KEPT or name.startswith(_KEPT_PREFIXES)
    }
