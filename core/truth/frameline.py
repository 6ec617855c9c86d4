"""The line of a frame: what the wire said, and what the vessel made of it, in one."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import orjson

from ..exchange import Step
from .line import build_line, seal

__all__ = ["frame_line"]


def frame_line(step: Step, n: int, call: int, t: int) -> bytes:
    """The line. Raises RecordingError for what JSON cannot hold."""
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
        return seal(orjson.dumps(fields))
    except TypeError:  # the standard module writes what orjson does not
        return build_line(fields, exact=True)
