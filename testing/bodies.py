"""The bodies that a vessel is tested with: files as a server sent them, and recordings.

A folder holds any of these, recognised by their names:

    hello.sse, hello.ndjson     the body of a stream
    hello.json                  the body of an answer in one piece
    busy.429.json               the same with another status than 200
    hello.expected.json         what the body of that name comes to: fields of `Completion`, and
                                `outcome` ("complete", or the name of an error)
    hello.jsonl                 a recording: each of its calls is a body, and what it stores is
                                what is expected
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..core.truth.recording import RecordedCall, Recording
from ..vessels import ConfigurationError, WireRequest

__all__ = ["COMPARED", "Body", "bodies_in"]

COMPARED = ("text", "reasoning", "refusal", "tool_calls", "finish_reason", "usage")
"""The fields in which an answer is compared with the stored one of a recording."""

_STREAMS = {".sse": "text/event-stream", ".ndjson": "application/x-ndjson"}
_WHOLE = {".json": "application/json", ".html": "text/html", ".txt": "text/plain"}
_EXPECTED = ".expected.json"


@dataclass(frozen=True, slots=True)
class Body:
    """A response's body, and what is known of it.

    stream: whether a stream was asked for. request: what was asked, None for a plain question.
    expected: fields of the completion and `outcome`, those left out that do not matter.
    """

    name: str
    content: bytes
    status: int = 200
    content_type: str = ""
    stream: bool = True
    request: WireRequest | None = None
    expected: Mapping[str, Any] | None = None


def bodies_in(folder: Path) -> list[Body]:
    """The bodies in a folder, or in one file.

    Raises ConfigurationError if there are none or a file's kind is unknown, RecordingError for a
    recording that cannot be read.
    """
    if not folder.exists():
        raise ConfigurationError(f"there is no {folder}")
    paths = sorted(folder.iterdir()) if folder.is_dir() else [folder]
    found = [body for path in paths if path.is_file() for body in _bodies_of(path)]
    if not found:
        raise ConfigurationError(f"{folder} holds no bodies and no recordings")
    return found


def _bodies_of(path: Path) -> Iterator[Body]:
    if path.name.endswith(_EXPECTED) or path.name.startswith("."):
        return
    if path.suffix == ".jsonl":
        for call in Recording(path).calls():
            if call.response is not None:
                yield _recorded(call)
        return
    content_type = {**_STREAMS, **_WHOLE}.get(path.suffix)
    if content_type is None:
        known = ", ".join((*_STREAMS, *_WHOLE, ".jsonl"))
        raise ConfigurationError(f"{path} is neither a body nor a recording; use one of {known}")
    name, _, status = path.stem.rpartition(".")
    body = Body(
        path.name,
        path.read_bytes(),
        status=int(status) if name and status.isdecimal() else 200,
        content_type=content_type,
        stream=path.suffix in _STREAMS,
    )
    beside = path.with_name((name if body.status != 200 else path.stem) + _EXPECTED)
    if beside.exists():
        body = replace(body, expected=json.loads(beside.read_text("utf-8")))
    yield body


def _recorded(call: RecordedCall) -> Body:
    asked, response = call.request, call.response or {}
    stream = asked.get("stream") is not False
    request = WireRequest(
        url=str(asked.get("url", "")),
        body=asked.get("body"),
        method=str(asked.get("method", "POST")),
        stream=stream,
        split_think=asked.get("split_think", False),
        model=asked.get("model"),
    )
    stored = call.completion().model_dump(mode="json", include=set(COMPARED))
    return Body(
        f"{call.path.name}, call {call.number}",
        b"".join(frame.raw for frame in call.frames()),
        status=int(response.get("status", 200)),
        content_type=str(response.get("headers", {}).get("content-type", "")),
        stream=stream,
        request=request,
        expected=stored,
    )
