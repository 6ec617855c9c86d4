"""Decides which recorded answer a request gets, for replaying clients and for the replay server.

Requests with the same key get their answers in the order in which they were recorded, each once.
The recordings are read, the oldest first, only as far as is needed to find an answer; requests are
held in memory by their place, answers are read when they are given. Nothing else is ever tried: a
miss is an error that says what was recorded.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal
from weakref import WeakValueDictionary

from ..errors import ConfigurationError, RecordingError, ReplayMissError
from ..truth.files import explained
from ..truth.recording import RecordedCall, Recording
from ..truth.session_names import SUFFIX
from .compare_requests import differing_places, nearest_call
from .recorded_requests import RecordedRequest, method_of, recorded_requests, route_of

__all__ = ["AnswerIndex", "Match"]

Match = Literal["key", "route"]

_COMPARED_CALLS = 200  # the latest; comparing one takes up to a millisecond


class AnswerIndex:
    """The answers in some recordings, and in all recordings of some folders. Threads may share it.

    match: with "key", a request that was not recorded, or not that often, is a miss. With "route"
    it gets the next recorded answer of its method and path instead, beginning again after the last.
    repeat: a request that is asked more often than it was recorded gets its last answer again.
    each_attempt: every attempt that got a response is an answer, as it was on the wire; without it
    a request and its retries give one answer, the last attempt's.

    Raises RecordingError for a path without a recording, RecordingCorruptError for a file that is
    no recording. In a folder such a file is skipped, with a warning in the log.
    """

    def __init__(
        self,
        *paths: Path,
        match: Match = "key",
        repeat: bool = False,
        each_attempt: bool = False,
    ) -> None:
        if match not in {"key", "route"}:
            raise ConfigurationError(f'no match {match!r}: give "key" or "route"', setting="match")
        if not isinstance(repeat, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"repeat={repeat!r}: give True or False", setting="repeat")
        self._match = match
        self._repeat = repeat
        self._each_attempt = each_attempt
        self._where = str(paths[0]) if len(paths) == 1 else "the recordings"
        self._lock = threading.Lock()
        self._failure: RecordingError | None = None
        for path in paths:
            _check(path)
        self._unread = recorded_requests(paths, each_attempt=each_attempt)
        self._read: list[RecordedRequest] = []
        self._by_key: dict[tuple[str, str], deque[RecordedRequest]] = {}
        self._by_route: dict[tuple[str, str], deque[RecordedRequest]] = {}
        self._given: dict[tuple[str, str], tuple[int, RecordedRequest]] = {}
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    def answer(
        self, key: str, request: Mapping[str, Any], *, repeat: bool | None = None
    ) -> RecordedCall:
        """The next answer to the request with this key. Raises ReplayMissError, RecordingError.

        request: what its request line would say: method, url and body. repeat: other than set.
        """
        place = key, method_of(request)
        with self._lock:
            found = self._with_key(place, repeat=self._repeat if repeat is None else repeat)
            if found is None and self._match == "route":
                found = self._next_of_route(request)
        if found is None:  # in a large folder comparing takes a while: not with the lock held
            raise self._miss(place, request)
        return found.call()

    def turn(self, key: str, request: Mapping[str, Any]) -> asyncio.Lock:
        """Held by an async caller while it looks: the first to ask gets the first answer.

        Requests that cannot get each other's answers do not wait for each other.
        """
        place = route_of(request) if self._match == "route" else key, method_of(request)
        return self._turns.setdefault(place, asyncio.Lock())

    def look_for(self, key: str, request: Mapping[str, Any], wanted: Callable[[], bool]) -> None:
        """Read on until the answer to this request is found, or nobody wants it any more.

        In a large folder that takes seconds: other threads get answers meanwhile.
        """
        place = key, method_of(request)
        while wanted():
            with self._lock:
                if (self._match == "key" and self._by_key.get(place)) or not self._read_next():
                    return

    def requests(self) -> list[RecordedRequest]:
        """All requests, the oldest first. Reads all recordings."""
        reading = True
        while reading:  # other threads get answers meanwhile
            with self._lock:
                reading = self._read_next()
        return list(self._read)

    def _with_key(self, key: tuple[str, str], *, repeat: bool) -> RecordedRequest | None:
        while self._match == "route" and self._read_next():
            pass  # the order of a route's answers counts
        times, last = self._given.get(key, (0, None))
        while not (waiting := self._by_key.get(key)):
            if not self._read_next():
                return last if repeat else None
        found = waiting.popleft()
        self._given[key] = times + 1, found
        if self._match == "route":
            route = self._by_route[found.method, found.route]
            route.remove(found)
            route.append(found)
        return found

    def _next_of_route(self, request: Mapping[str, Any]) -> RecordedRequest | None:
        route = self._by_route.get((method_of(request), route_of(request)))
        if not route:
            return None
        route.rotate(-1)
        return route[-1]

    def _read_next(self) -> bool:
        """Read on. False if there is nothing left to read."""
        if self._failure is not None:
            raise self._failure
        try:
            request = next(self._unread)
        except StopIteration:
            return False
        except RecordingError as error:
            self._failure = error
            raise
        if request is not None and (request.answered or not self._each_attempt):
            self._read.append(request)
            self._by_key.setdefault((request.key, request.method), deque()).append(request)
            route = request.method, request.route
            self._by_route.setdefault(route, deque()).append(request)
        return True

    def _miss(self, key: tuple[str, str], request: Mapping[str, Any]) -> ReplayMissError:
        given, _ = self._given.get(key, (0, None))
        if given:
            times = "once" if given == 1 else f"{given} times"
            return ReplayMissError(
                f"{self._where} has this request {times}, and every answer has been given; "
                "repeat=True gives the last one again"
            )
        if not self._read:
            return ReplayMissError(f"{self._where} has no recorded request at all")
        method, path = method_of(request), route_of(request)
        asked = f"{method} {path} was not recorded"
        if (method, path) not in self._by_route:
            routes = ", ".join(f"{each} {route}" for each, route in sorted(self._by_route))
            return ReplayMissError(f"{asked}; recorded: {routes}")
        latest = self._read[-_COMPARED_CALLS:]
        nearest = nearest_call((each.call() for each in latest), request)
        if nearest is None:
            return ReplayMissError(f"{asked} with this body")
        return ReplayMissError(
            f"{asked} with this body; the nearest is call {nearest.number} of {nearest.path.name}, "
            f"which differs in {differing_places(nearest.request, request)}",
            session=nearest.session,
            call=nearest.number,
        )


def _check(path: Path) -> None:
    """Raise RecordingError unless this is a recording, or a folder of files named like one."""
    if not path.is_dir():
        Recording(path)
        return
    with explained(f"read {path}"), os.scandir(path) as entries:
        if not any(entry.name.endswith(SUFFIX) for entry in entries):
            raise RecordingError(f"there is no recording (*{SUFFIX}) in {path}")
