"""Finds the recorded request that is most like another one, and says where the two differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher
from typing import Any, cast

from ..jsontext import canonical
from .recording import RecordedCall
from .request_key import comparable

__all__ = ["differing_places", "nearest_call"]

# The comparison is quadratic. This much of a body tells conversations apart.
_COMPARED_CHARACTERS = 2_000
_NAMED_PLACES = 3


def nearest_call(calls: Iterable[RecordedCall], request: Mapping[str, Any]) -> RecordedCall | None:
    """The call whose URL and body are most like those of `request`; None without calls."""
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
        "body": comparable(cast("dict[str, Any]", body)) if isinstance(body, dict) else body,
    }


def _text(request: Mapping[str, Any]) -> str:
    return canonical(_compared(request)).decode(errors="replace")[:_COMPARED_CHARACTERS]


def _differences(old: Any, new: Any, place: str = "") -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        before, after = cast("dict[str, Any]", old), cast("dict[str, Any]", new)
        return [
            found
            for key in sorted({*before, *after})
            for found in _differences(before.get(key), after.get(key), f"{place}.{key}".lstrip("."))
        ]
    if isinstance(old, list) and isinstance(new, list):
        first, second = cast("list[Any]", old), cast("list[Any]", new)
        if len(first) == len(second):
            return [
                found
                for index, pair in enumerate(zip(first, second, strict=True))
                for found in _differences(*pair, f"{place}[{index}]")
            ]
    return [] if old == new else [place]
