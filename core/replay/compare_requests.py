"""Tells which requests are the same, by their key, and which recorded one is most like another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, cast

from ..jsontext import canonical
from ..truth.recording import RecordedCall

__all__ = ["differing_places", "nearest_call", "request_key"]

# `complete()` finds a recorded `stream()`, and the reverse.
_IGNORED = frozenset({"stream", "stream_options"})

# The comparison is quadratic. This much of a body tells conversations apart.
_COMPARED_CHARACTERS = 2_000
_NAMED_PLACES = 3


def request_key(route: str, body: Mapping[str, Any] | None) -> str:
    """SHA-256 over the route (the URL's path), a line feed, and the body in canonical JSON.

    `stream` and `stream_options` are left out of the body, and the order of its keys is ignored.
    """
    digest = sha256(route.encode())
    digest.update(b"\n")
    digest.update(canonical(_comparable(body)))
    return f"sha256:{digest.hexdigest()}"


def _comparable(body: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The part of a body that counts for the key."""
    if body is None:
        return None
    return {name: value for name, value in body.items() if name not in _IGNORED}


def nearest_call(calls: Iterable[RecordedCall], request: Mapping[str, Any]) -> RecordedCall | None:
    """The call whose URL and body are most like those of `request`; None without calls."""
    from difflib import SequenceMatcher  # noqa: PLC0415 - a millisecond, for a miss alone

    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(_text(request))
    best: tuple[float, RecordedCall] | None = None
    for call in calls:
        matcher.set_seq1(_text(call.request))
        least = best[0] if best is not None else -1.0
        if matcher.real_quick_ratio() <= least or matcher.quick_ratio() <= least:
            continue
        ratio = matcher.ratio()
        if ratio > least:
            best = ratio, call
    return None if best is None else best[1]


def differing_places(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Where two requests differ, as `body.messages[0].content`; never what they say there."""
    places = _differences(_compared(one), _compared(other))
    if not places:
        return "nothing but its key"
    more = len(places) - _NAMED_PLACES
    named = ", ".join(places[:_NAMED_PLACES])
    return f"{named} and {more} more" if more > 0 else named


def _compared(request: Mapping[str, Any]) -> dict[str, Any]:
    body = request.get("body")
    return {
        "url": request.get("url"),
        "body": _comparable(cast("dict[str, Any]", body)) if isinstance(body, dict) else body,
    }


def _text(request: Mapping[str, Any]) -> str:
    return canonical(_compared(request)).decode(errors="replace")[:_COMPARED_CHARACTERS]


def _differences(old: Any, new: Any, place: str = "") -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        before, after = cast("dict[str, Any]", old), cast("dict[str, Any]", new)
        parts = [
            (before.get(key), after.get(key), f"{place}.{key}".lstrip("."))
            for key in sorted({*before, *after})
        ]
    elif isinstance(old, list) and isinstance(new, list):
        earlier, later = cast("list[Any]", old), cast("list[Any]", new)
        if len(earlier) != len(later):
            return [place]
        pairs = zip(earlier, later, strict=True)
        parts = [(*pair, f"{place}[{index}]") for index, pair in enumerate(pairs)]
    else:
        return [] if old == new else [place]
    return [found for part in parts for found in _differences(*part)]
