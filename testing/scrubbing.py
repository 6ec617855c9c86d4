"""Hides what a recording must not show, before it is written, and in requests that are compared.

A rule finds parts of texts; each is replaced by a stand-in, the same wherever it occurs, so that a
request and the answer that repeats a part of it stay consistent. An answer's text is looked at as a
whole: a part that arrived in several frames is found too, and replaced in the first of them. What a
rule finds in a request is also looked for, literally, in its answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from ..core.replay.compare_requests import request_key, route_of
from ..core.truth.recorded_frame import payload_of
from ..vessels import ConfigurationError
from .json_strings import JSONString, replaced, strings_in
from .rewriting import DraftCall

__all__ = ["ScrubRule", "ScrubRules", "Scrubber", "answer_texts"]

ScrubRule = str | re.Pattern[str] | Callable[[str], Iterable[str]]
"""A regular expression, or a function that gives the parts of a text that are to be hidden."""

ScrubRules = Sequence[ScrubRule] | Mapping[str, ScrubRule]
"""Rules; those of a mapping have names, which their stand-ins show."""

_STAND_IN = "scrubbed"
# What says how a line is to be read, and is nobody's secret.
_STRUCTURE = frozenset({"type", "vessel", "vessel_version", "key", "method", "outcome", "sha256"})

_Span = tuple[int, int, str]


class Scrubber:
    """Applies rules. Raises ConfigurationError for one that cannot be used."""

    def __init__(self, rules: ScrubRules = ()) -> None:
        if isinstance(rules, Mapping):
            named = [*rules.items()]
        elif isinstance(rules, str):
            raise ConfigurationError("scrub takes a list or a dict of rules", setting="scrub")
        else:
            named = [(_STAND_IN, rule) for rule in rules]
        self._rules = [(f"[{name}]", _finder(rule)) for name, rule in named]

    def __bool__(self) -> bool:
        return bool(self._rules)

    def value(self, value: Any) -> Any:
        """A JSON value with what is found in its strings replaced."""
        return self._value(value, {})

    def call(self, call: DraftCall) -> None:
        """Replace what is found in a call's request and its answer."""
        known: dict[str, str] = {}
        request = call.request
        scrubbed = self._line(request, known)
        if scrubbed != request:
            call.lines[0] = {**scrubbed, "key": _key(request, scrubbed), "masked": True}
        frames = call.of_type("frame")
        for line in call.lines[1:]:
            if line["type"] != "frame":
                line.update(self._line(line, known))
        call.changed = self._frames(frames, known) or call.changed

    def _line(self, line: Mapping[str, Any], known: dict[str, str]) -> dict[str, Any]:
        return {
            name: value if name in _STRUCTURE else self._value(value, known)
            for name, value in line.items()
        }

    def _value(self, value: Any, known: dict[str, str]) -> Any:
        if isinstance(value, str):
            return _applied(value, self._spans(value, known))
        if isinstance(value, list):
            return [self._value(each, known) for each in cast("list[Any]", value)]
        if isinstance(value, dict):
            fields = cast("dict[str, Any]", value)
            return {name: self._value(each, known) for name, each in fields.items()}
        return value

    def _frames(self, frames: list[dict[str, Any]], known: dict[str, str]) -> bool:
        texts = [_text(line) for line in frames]
        changes: list[dict[int, str]] = [{} for _ in frames]
        for pieces in _joined(texts).values():
            whole = "".join(piece.value for _, piece in pieces)
            spans = self._spans(whole, known)
            at = 0
            for number, piece in pieces:
                end = at + len(piece.value)
                value = _applied_within(piece.value, at, spans)
                if value != piece.value:
                    changes[number][piece.start] = value
                at = end
        changed = False
        for line, text, values in zip(frames, texts, changes, strict=True):
            if text is not None:
                plain = next(strings_in(text), None) is None  # an error page, a comment
                raw = self._value(text, known) if plain else replaced(text, values)
                if raw != text:
                    changed, line["raw"], line["masked"] = True, raw, True
        return changed

    def _spans(self, text: str, known: dict[str, str]) -> list[_Span]:
        """What to replace, in order and without overlaps. known: what was found before."""
        spans: list[_Span] = []
        for stand_in, find in self._rules:
            for start, end in find(text):
                spans.append((start, end, stand_in))
                known.setdefault(text[start:end], stand_in)
        for part, stand_in in known.items():
            spans += [(*found.span(), stand_in) for found in re.finditer(re.escape(part), text)]
        kept: list[_Span] = []
        for span in sorted(spans, key=lambda span: (span[0], -span[1])):
            if not kept or span[0] >= kept[-1][1]:
                kept.append(span)
        return kept


def _key(request: Mapping[str, Any], scrubbed: Mapping[str, Any]) -> str:
    """The key of a scrubbed request, over the route that the old key was made with."""
    route = route_of(request)
    if request.get("key") != request_key(route, request.get("body")):
        route = (
            f"/models/{request.get('model')}"  # Gemini's paths say whether a stream is asked for
        )
    return request_key(route, scrubbed.get("body"))


def answer_texts(call: DraftCall) -> Iterator[tuple[str, str]]:
    """The texts of an answer, each joined over its frames, with its place."""
    for place, pieces in _joined([_text(line) for line in call.of_type("frame")]).items():
        yield place, "".join(piece.value for _, piece in pieces)


def _joined(texts: Sequence[str | None]) -> dict[str, list[tuple[int, JSONString]]]:
    """The strings of all frames by their place, each with the number of its frame."""
    groups: dict[str, list[tuple[int, JSONString]]] = {}
    for number, text in enumerate(texts):
        for piece in strings_in(text or ""):
            groups.setdefault(piece.place, []).append((number, piece))
    return groups


def _text(line: Mapping[str, Any]) -> str | None:
    """A frame's text; None for one that is not UTF-8."""
    try:
        return payload_of(dict(line)).decode()
    except ValueError:
        return None


def _finder(rule: ScrubRule) -> Callable[[str], Iterator[tuple[int, int]]]:
    if callable(rule):
        return _Parts(rule)
    if not isinstance(rule, str | re.Pattern):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(
            f"scrub={rule!r}: give regular expressions or functions", setting="scrub"
        )
    try:
        pattern = re.compile(rule)
    except re.error as error:
        raise ConfigurationError(
            f"scrub={rule!r} is no regular expression: {error}", setting="scrub"
        ) from None
    return lambda text: (found.span() for found in pattern.finditer(text) if found[0])


@dataclass(frozen=True, slots=True)
class _Parts:
    """Where the parts stand that a function names."""

    rule: Callable[[str], Iterable[str]]

    def __call__(self, text: str) -> Iterator[tuple[int, int]]:
        for part in self.rule(text):
            if part:
                yield from (found.span() for found in re.finditer(re.escape(part), text))


def _applied(text: str, spans: Sequence[_Span]) -> str:
    return _applied_within(text, 0, spans) if spans else text


def _applied_within(text: str, at: int, spans: Sequence[_Span]) -> str:
    """A piece, which begins at `at` of the whole text: a stand-in goes where its part begins."""
    parts: list[str] = []
    done = at
    end = at + len(text)
    for start, stop, stand_in in spans:
        if stop <= at or start >= end:
            continue
        parts.append(text[done - at : max(start, at) - at])
        if start >= at:
            parts.append(stand_in)
        done = min(stop, end)
    return "".join([*parts, text[done - at :]])
