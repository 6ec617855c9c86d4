"""Builds the line of a frame: the exact bytes of the wire, and the chunks made of them."""

from __future__ import annotations

from base64 import b64encode
from typing import Any
from zlib import crc32

import orjson

from ..exchange import Step
from .line import LONGEST_LINE, build_line, refuse_long_line

__all__ = ["frame_line"]


def frame_line(step: Step, n: int, call: int, t: int) -> bytes:
    """The line. Raises RecordingError for what JSON cannot hold, or what is too long."""
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
