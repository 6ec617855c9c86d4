"""Tells which requests are the same, and which recorded one is most like another."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal, cast, get_args
from urllib.parse import urlsplit

from ..jsontext import canonical, dumps
from ..truth.recording import RecordedCall

__all__ = [
    "BEFORE_PATH",
    "MATCHES",
    "Comparison",
    "Match",
    "method_of",
    "request_key",
    "route_of",
]

Match = Literal["strict", "messages", "order", "route"]
"""Which recorded requests are the same as one that is asked.

- "strict": of the same method, path and body.
- "messages": of the same method, path, messages and tools, whatever the model and its options.
- "order": all of them: each request gets the next answer.
- "route": of the same method and path.
"""

MATCHES: tuple[Match, ...] = get_args(Match)
_Request = Mapping[str, Any]  # a request line's fields

# `complete()` finds a recorded `stream()`, and the reverse.
_IGNORED = frozenset({"stream", "stream_options"})

# What is said to a model, in any dialect.
_MESSAGES = frozenset(
    {
        *("messages", "prompt", "suffix", "system", "images", "tools", "functions"),
        *("input", "instructions", "contents", "systemInstruction", "system_instruction"),
    }
)
# What servers put before a dialect's own path: `/api/v1`, `/v1beta/openai`, `/inference`.
_OWN = r"/(?:(?:chat/)?completions|responses|messages|models|api/\w+)\Z"
BEFORE_PATH = re.compile(rf".*?(?={_OWN})|.*/(?:v\d+\w*|deployments/[^/]+)(?=/)")
_MODEL_IN_PATH = re.compile(r"/models/[^/:]+(?=:)")

# The comparison is quadratic. This much of a body tells conversations apart.
_COMPARED_BYTES = 2_000
_NAMED_PLACES = 3
_SHOWN_CHARACTERS = 60


def request_key(route: str, body: Mapping[str, Any] | None) -> str:
    """SHA-256 over the route (the URL's path), a line feed, and the body in canonical JSON.

    `stream` and `stream_options` are left out of the body, and the order of its keys is ignored.
    """
    digest = sha256(route.encode() + b"\n")
    digest.update(canonical(_comparable(body)))
    return f"sha256:{digest.hexdigest()}"


def method_of(request: _Request) -> str:
    """The HTTP method in a request line, POST if there is none."""
    return str(request.get("method", "POST")).upper()


def route_of(request: _Request) -> str:
    """The path of the URL in a request line."""
    try:
        return urlsplit(str(request.get("url", ""))).path or "/"
    except ValueError:  # something that is no URL, such as http://[
        return "/"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Compares requests, which are given as the fields of their lines.

    wire: the answers are given as the bytes that they were; so `stream` counts, and only the
    dialect's own part of the path.
    """

    match: Match = "strict"
    wire: bool = False

    def key(self, request: _Request) -> str:
        """What requests that get each other's answers have in common."""
        if self.match == "order":
            return ""
        if self.match == "strict" and not self.wire:
            return f"{method_of(request)} {request['key']}"
        return f"{method_of(request)} {sha256(self._text(request)).hexdigest()}"

    def nearest(self, calls: Iterable[RecordedCall], request: _Request) -> RecordedCall | None:
        """The call that is most like `request` in what is compared; None without calls."""
        from difflib import SequenceMatcher  # noqa: PLC0415 - a millisecond, for a miss alone

        matcher = SequenceMatcher[str](autojunk=False)
        matcher.set_seq2(self._text(request)[:_COMPARED_BYTES].decode("latin-1"))
        nearest, most = None, -1.0
        for call in calls:
            matcher.set_seq1(self._text(call.request)[:_COMPARED_BYTES].decode("latin-1"))
            bounds = matcher.real_quick_ratio, matcher.quick_ratio, matcher.ratio  # cheapest first
            if all(bound() > most for bound in bounds):
                nearest, most = call, matcher.ratio()
        return nearest

    def differing_places(self, one: _Request, other: _Request) -> str:
        """Where two requests differ, as `body.messages[0].content`; for `wire` with the values."""
        found = _differences(self._compared(one), self._compared(other))
        if not found:
            return "nothing but its key"
        places = [
            f"{place} (recorded: {_shown(old)}, asked: {_shown(new)})" if self.wire else place
            for place, old, new in found
        ]
        more = len(places) - _NAMED_PLACES
        named = ", ".join(places[:_NAMED_PLACES])
        return f"{named} and {more} more" if more > 0 else named

    def _text(self, request: _Request) -> bytes:
        return canonical(self._compared(request))

    def _compared(self, request: _Request) -> dict[str, Any]:
        """What of a path and of a body counts. Bytes of a stream are no answer for a whole body."""
        body, url = request.get("body"), route_of(request)
        fields = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
        if self.match == "strict" and not self.wire:  # as in a request key
            url = url.replace(":streamGen", ":gen")
            return {"url": url, "body": _comparable(fields) if fields else body}
        url = BEFORE_PATH.sub("", url, count=1)
        if self.match == "route":
            streams = fields.get("stream", url.startswith("/api/")) is True  # Ollama's default
            return {"url": url, "body": {"stream": streams} if self.wire else None}
        if self.match == "messages" and not _MESSAGES.isdisjoint(fields):
            url = _MODEL_IN_PATH.sub("", url)
            kept = _MESSAGES | {"stream"} if self.wire else _MESSAGES
            body = {name: value for name, value in fields.items() if name in kept}
        return {"url": url, "body": body}


def _comparable(body: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The part of a body that counts for the key."""
    return body and {name: value for name, value in body.items() if name not in _IGNORED}


def _shown(value: Any) -> str:
    text = dumps(value).decode(errors="replace")
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


def _differences(old: Any, new: Any, place: str = "") -> list[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        before, after = cast("dict[str, Any]", old), cast("dict[str, Any]", new)
        parts = [
            (before.get(key), after.get(key), f"{place}.{key}".lstrip("."))
            for key in sorted({*before, *after})
        ]
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):  # pyright: ignore[reportUnknownArgumentType]
        pairs = zip(cast("list[Any]", old), cast("list[Any]", new), strict=True)
        parts = [(*pair, f"{place}[{index}]") for index, pair in enumerate(pairs)]
    else:
        return [] if old == new else [(place, old, new)]
    return [found for part in parts for found in _differences(*part)]
