"""Tells whether a recorded request answers another one, and where two requests differ.

Compared is what is asked: the method, the route of the dialect, and the body. Two bodies are the
same if their JSON is, or if the dialect reads the same request from both: a text, and a list of one
text part, for example. What may differ is named in `ignore`.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from ..core.jsontext import canonical
from ..core.registry import dialect
from ..core.replay.compare_requests import method_of, route_of
from ..vessels import ConfigurationError, VesselogError
from .scrubbing import Scrubber

__all__ = ["Ignored", "Matching", "Question"]

Ignored = str | Callable[[dict[str, Any]], dict[str, Any] | None]
"""A place in the body, such as `metadata.date` or `messages[*].name`; or a function, which changes
the body that it is given, or returns the one to compare."""

_HOW_STREAMED = frozenset({"stream", "stream_options"})
_VERSION = re.compile(r"v\d+\w*")
_PART = re.compile(r"[^.\[\]]+|\[(?:\d+|\*)\]")
_PLACE = re.compile(r"(?:[^.\[\]]+|\[(?:\d+|\*)\])(?:\.[^.\[\]]+|\[(?:\d+|\*)\])*")
_WIDTH = 100
_MOST_TOLD = 5
_NOTHING = object()


@dataclass(frozen=True, slots=True)
class Question:
    """What is compared of a request. streams: whether a stream was asked for, None if unknown."""

    method: str
    route: tuple[str, ...]
    body: Any
    vessel: str | None
    url: str
    streams: bool | None

    def answers(self, asked: Question) -> bool:
        """Whether what answered this request also answers `asked`."""
        if self.method != asked.method or not _same_route(self.route, asked.route):
            return False
        if None not in {self.streams, asked.streams} and self.streams != asked.streams:
            return False
        if canonical(self.body) == canonical(asked.body):
            return True
        read = self._read(self.body)
        return read is not None and read == self._read(asked.body)

    def _read(self, body: Any) -> Any:
        """The request as the dialect reads it; None where it cannot."""
        if self.vessel is None or not isinstance(body, dict):
            return None
        try:
            chat = dialect(self.vessel).read_request(self.url, body)
        except (VesselogError, NotImplementedError):
            return None
        return _said(chat.model_dump(exclude={"stream"}))

    def differences(self, asked: Question) -> list[str]:
        """Where `asked` differs from this recorded request, with both values, in lines."""
        told = list(_differences(self.body, asked.body, "body"))
        if not _same_route(self.route, asked.route) or self.method != asked.method:
            pair = (f"{each.method} /{'/'.join(each.route)}" for each in (self, asked))
            told.insert(0, _difference("route", *pair))
        elif self.streams != asked.streams and None not in {self.streams, asked.streams}:
            told.append(_difference("stream", self.streams, asked.streams))
        more = len(told) - _MOST_TOLD
        return told[:_MOST_TOLD] + ([f"  and {more} more"] if more > 0 else [])


class Matching:
    """How requests are compared. Raises ConfigurationError.

    ignore: places in the body that do not count, and functions that change the body first. only:
    the fields of the body that count, all by default. scrubber: applied to what is asked, since the
    recorded requests are scrubbed too.
    """

    def __init__(
        self,
        ignore: Sequence[Ignored] = (),
        only: Sequence[str] = (),
        scrubber: Scrubber | None = None,
    ) -> None:
        for name, given in {"ignore": ignore, "only": only}.items():
            if isinstance(given, str):
                raise ConfigurationError(f"{name} takes a list: [{given!r}]", setting=name)
        self._functions = [each for each in ignore if callable(each)]
        self._places = [_parts(each) for each in ignore if not callable(each)]
        self._only = frozenset(only)
        self._scrubber = scrubber

    def question(self, request: Mapping[str, Any], *, streams: bool | None = None) -> Question:
        """What is compared of a request line, or of what would be in one."""
        method, url = method_of(request), request.get("url")
        scrubbed = self._scrubber.value(dict(request)) if self._scrubber else request
        vessel = scrubbed.get("vessel")
        return Question(
            method=method,
            route=_route(route_of(scrubbed)),
            body=self._compared(scrubbed.get("body")),
            vessel=vessel if isinstance(vessel, str) else None,
            url=url if isinstance(url, str) else "",
            streams=streams,
        )

    def _compared(self, body: Any) -> Any:
        if not isinstance(body, dict):
            return body
        fields = copy.deepcopy(cast("dict[str, Any]", body))
        for function in self._functions:
            returned = function(fields)
            fields = fields if returned is None else returned
        fields = {
            name: value
            for name, value in fields.items()
            if name not in _HOW_STREAMED and (not self._only or name in self._only)
        }
        for place in self._places:
            _remove(fields, place)
        return fields


def _said(read: Any) -> Any:
    """A request that was read, without what says nothing: empty fields, and the dialect's form."""
    if isinstance(read, list | tuple):
        parts: list[Any] = [_said(each) for each in cast("Sequence[Any]", read)]
        only = cast("dict[str, Any]", parts[0]) if parts and isinstance(parts[0], dict) else {}
        return only["text"] if len(parts) == 1 and only.keys() == {"type", "text"} else parts
    if not isinstance(read, dict):
        return read
    fields = {
        name: _said(value)
        for name, value in cast("dict[str, Any]", read).items()
        if name != "native"
    }
    return {name: value for name, value in fields.items() if value not in (None, [], {})}


def _route(path: str) -> tuple[str, ...]:
    """The segments of a path that count: no versions, and one route for streams and others."""
    path = path.replace(":streamGenerateContent", ":generateContent")
    return tuple(each for each in path.split("/") if each and not _VERSION.fullmatch(each))


def _same_route(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether two routes are the same but for what the base URLs have in front of them."""
    length = min(len(one), len(other))
    return length > 0 and one[-length:] == other[-length:]


def _parts(place: str) -> list[str]:
    name = place.removeprefix("body.")
    if not _PLACE.fullmatch(name):
        raise ConfigurationError(
            f"ignore={place!r} is no place in a body: write metadata.date, messages[0].content or "
            "messages[*].name",
            setting="ignore",
        )
    return _PART.findall(name)


def _remove(value: Any, parts: Sequence[str]) -> None:
    """Remove what is at a place, if it is there."""
    first, rest = parts[0], parts[1:]
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        names = list(fields) if first in {"*", "[*]"} else [first] if first in fields else []
        for name in names:
            if rest:
                _remove(fields[name], rest)
            else:
                del fields[name]
    elif isinstance(value, list):
        items = cast("list[Any]", value)
        index = first.strip("[]")
        chosen = range(len(items)) if index == "*" else [int(index)] if index.isdecimal() else []
        for each in reversed([number for number in chosen if number < len(items)]):
            if rest:
                _remove(items[each], rest)
            else:
                del items[each]


def _differences(recorded: Any, asked: Any, place: str) -> Iterator[str]:
    if isinstance(recorded, dict) and isinstance(asked, dict):
        before, after = cast("dict[str, Any]", recorded), cast("dict[str, Any]", asked)
        for name in dict.fromkeys([*before, *after]):
            pair = before.get(name, _NOTHING), after.get(name, _NOTHING)
            yield from _differences(*pair, f"{place}.{name}")
    elif isinstance(recorded, list) and isinstance(asked, list):
        earlier, later = cast("list[Any]", recorded), cast("list[Any]", asked)
        for index in range(max(len(earlier), len(later))):
            one = earlier[index] if index < len(earlier) else _NOTHING
            other = later[index] if index < len(later) else _NOTHING
            yield from _differences(one, other, f"{place}[{index}]")
    elif _NOTHING in (recorded, asked) or canonical(recorded) != canonical(asked):
        yield _difference(place, recorded, asked)


def _difference(place: str, recorded: Any, asked: Any) -> str:
    before, after = _shown(recorded, asked), _shown(asked, recorded)
    return f"  {place}\n    recorded: {before}\n    asked:    {after}"


def _shown(value: Any, other: Any) -> str:
    """A value as JSON, shortened around the first character in which it differs from the other."""
    if value is _NOTHING:
        return "nothing"
    text = canonical(value).decode(errors="replace")
    if len(text) <= _WIDTH:
        return text
    beside = "" if other is _NOTHING else canonical(other).decode(errors="replace")
    pairs = enumerate(zip(text, beside, strict=False))
    at = next((number for number, (one, two) in pairs if one != two), min(len(text), len(beside)))
    start = max(0, min(at - _WIDTH // 3, len(text) - _WIDTH))
    shown = text[start : start + _WIDTH]
    return f"{'…' if start else ''}{shown}{'…' if start + _WIDTH < len(text) else ''}"
