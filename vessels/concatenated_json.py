r"""Parses a payload that has several JSON values, one after the other.

Some gateways lose the line end between two events, so that one payload is `{…}{…}`, `{…}\n{…}`
or `{…}data: {…}`. Control characters in a string should be escaped, and some servers do not do so:
https://github.com/openclaw/openclaw/issues/14321, https://github.com/earendil-works/pi/pull/4446.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ..core.frame import Frame

__all__ = ["DONE", "json_values"]

DONE = "[DONE]"
"""What ends a stream of the OpenAI dialect: the data of its last event, which is not JSON."""

_BETWEEN = re.compile(r"(?:\s|data:)*")
_READ = json.JSONDecoder().raw_decode
_CONTROL = re.compile(r"[\x00-\x1f]")
_READ_CONTROL = json.JSONDecoder(strict=False).raw_decode


def json_values(text: str, frame: Frame | None = None) -> list[Any]:
    """The JSON values in `text`, which follow each other; `DONE` for the stream's terminator.

    Args:
        text: The payload of a frame.
        frame: The frame whose `count` they are added to, and that gets the name of the repair if
            a string has control characters.

    Raises:
        ValueError: There is something else between them, or one of them is incomplete.
    """
    values: list[Any] = []
    position = _skip(text, 0)
    while position < len(text):
        if frame is not None:
            frame.count(1)
        if text.startswith(DONE, position):
            values.append(DONE)
            position += len(DONE)
        else:
            value, position = _read(text, position, frame)
            values.append(value)
        position = _skip(text, position)
    return values


def _read(text: str, position: int, frame: Frame | None) -> tuple[Any, int]:
    try:
        return _READ(text, position)
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None
    except ValueError:
        if not _CONTROL.search(text, position):
            raise
    read = _READ_CONTROL(text, position)
    if frame is not None:
        frame.repair("control-character")
    return read


def _skip(text: str, position: int) -> int:
    match = _BETWEEN.match(text, position)
    return match.end() if match else position
