"""The recorded answers of a replay server, whatever dialect they are of.

By `match="order"` the answers of models, of all dialects, are one sequence. The next one is given
only to a request of its own route that asks for a stream if it is one: another client could not
read its bytes. Lists of models, embeddings and the like are no part of the sequence: a request for
them gets the next answer of the same method and path.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from ..core.errors import RecordingError, ReplayMissError
from ..core.replay.answer_index import AnswerIndex
from ..core.replay.compare_requests import (
    BEFORE_PATH,
    Comparison,
    Match,
    method_of,
    route_of,
)
from ..core.replay.recorded_requests import RecordedRequest, recorded_requests
from ..core.truth.recording import RecordedCall
from .gateway.routes import Route
from .gateway.routes import route_of as dialect_route

__all__ = ["ReplayAnswers", "recorded_route"]


class ReplayAnswers(AnswerIndex):
    """Answers as they were on the wire. match, repeat: as for an AnswerIndex.

    keeps: what is missing is asked for and recorded (`keep`). Then, by "strict" and "messages", a
    request that has a complete answer is never missing: it gets its last one again (`gives_last`).
    """

    def __init__(
        self, *paths: Path, match: Match = "strict", repeat: bool = False, keeps: bool = False
    ) -> None:
        super().__init__(*paths, match=match, repeat=repeat, wire=True)
        self.keeps = keeps
        self.gives_last = keeps and match in {"strict", "messages"}
        self._in_order = match == "order"
        if self._in_order:
            self._unread = map(_in_sequence, self._unread)

    def answer(self, request: Mapping[str, Any], *, repeat: bool | None = None) -> RecordedCall:
        """The next answer to this request. Raises ReplayMissError, RecordingError."""
        found = self.take(request, repeat=repeat)
        if found is None:
            raise self._why_missing(request)
        return found

    def take(
        self, request: Mapping[str, Any], *, repeat: bool | None = None
    ) -> RecordedCall | None:
        """The next answer to this request; None if there is none. Raises RecordingError."""
        key = self._key(request)
        with self._lock:
            found = self._next(key, repeat=self._repeat if repeat is None else repeat)
            if found is not None:
                call = found.call()
                if not self._in_order or _kind(call.request) == _kind(request):
                    return call
                self._put_back(key)
            elif self.gives_last and (given := self._given.get(key)):
                call = given[-1].call()
                return call if call.outcome == "complete" else None
        return None

    def has(self, request: Mapping[str, Any]) -> bool:
        """Whether a request will get an answer, as far as recordings are read.

        Raises RecordingError.
        """
        key = self._key(request)
        with self._lock:
            given = self._given.get(key) if self.gives_last else None
            if self._waiting.get(key) or not given:
                return bool(self._waiting.get(key))
            return given[-1].call().outcome == "complete"

    def turns(self, *requests: Mapping[str, Any]) -> list[asyncio.Lock]:
        """The turns of several requests, in the order in which every caller has to acquire them."""
        keys = sorted({self._key(each) for each in requests})
        return [self._turns.setdefault(key, asyncio.Lock()) for key in keys]

    def next_in_order(self, request: Mapping[str, Any]) -> RecordedCall | None:
        """What is next in the sequence, whether or not it answers this request.

        None if nothing is, and where answers are not given in order. Raises RecordingError.
        """
        key = self._key(request)
        with self._lock:
            if not self._in_order or (found := self._next(key, repeat=self._repeat)) is None:
                return None
            self._put_back(key)
        return found.call()

    def keep(self, path: Path, number: int) -> None:
        """A missing answer was recorded there; if it is complete, it counts as given.

        Raises RecordingError.
        """
        for each in recorded_requests([path], self._comparison):
            if each is not None and each.place[1] == number and each.call().outcome == "complete":
                found = _in_sequence(each) if self._in_order else each
                with self._lock:
                    if found and all(found.place[:2] != known.place[:2] for known in self._read):
                        self._read.append(found)
                        self._given.setdefault(found.key, []).append(found)

    def _key(self, request: Mapping[str, Any]) -> str:
        return _sequence(request) if self._in_order else super()._key(request)

    def _put_back(self, key: str) -> None:
        self._waiting[key].appendleft(self._given[key].pop())

    def _why_missing(self, request: Mapping[str, Any]) -> ReplayMissError:
        following = self.next_in_order(request)
        if following is None:
            try:
                return self._miss(self._key(request), request)
            except RecordingError:  # one that it is compared with was deleted or changed
                asked = f"{method_of(request)} {route_of(request)}"
                return ReplayMissError(f"{asked} was not recorded")
        advice = ""
        if recorded_route(following.request).dialect != recorded_route(request).dialect:
            advice = f"; with --upstream NAME={following.vessel or 'VESSEL'} it is translated"
        return ReplayMissError(
            f"the next answer in order, call {following.number} of {following.path.name}, was to "
            f"{_shown(following.request)}, and cannot be given to {_shown(request)}{advice}",
            session=following.session,
            call=following.number,
        )


def recorded_route(request: Mapping[str, Any]) -> Route:
    """The route of a request line."""
    query = urlsplit(str(request.get("url", ""))).query
    return dialect_route(method_of(request), BEFORE_PATH.sub("", route_of(request), 1), query, {})


def _in_sequence(request: RecordedRequest | None) -> RecordedRequest | None:
    if request is not None:
        request.key = _sequence({"method": request.method, "url": request.route})
    return request


def _sequence(request: Mapping[str, Any]) -> str:
    """What requests have in common that get answers in one order."""
    place = {"method": method_of(request), "url": f"{route_of(request)}?alt=sse"}
    return "" if recorded_route(place).decoded else Comparison("route", wire=True).key(place)


def _kind(request: Mapping[str, Any]) -> tuple[str | None, str, bool]:
    """What has to be the same for a client to be able to read an answer."""
    route, body = recorded_route(request), request.get("body")
    streams = route.streams(cast("dict[str, Any]", body)) if isinstance(body, dict) else False
    return route.dialect, route.route, streams


def _shown(request: Mapping[str, Any]) -> str:
    what = "a stream" if _kind(request)[2] else "a whole body"
    return f"{method_of(request)} {route_of(request)} for {what}"
