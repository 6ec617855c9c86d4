"""Decides which recorded answer a request gets, for replaying clients and for the replay server.

Requests that match get their answers in the order in which they were recorded, each once.
The recordings are read, the oldest first, only as far as is needed to find an answer; requests are
held in memory by their place, answers are read when they are given. Nothing else is ever tried: a
miss is an error that says what was recorded.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from ..errors import ConfigurationError, RecordingError, ReplayMissError
from ..truth.recording import RecordedCall, Recording
from ..truth.session_names import SUFFIX
from .compare_requests import MATCHES, Comparison, Match, method_of, route_of
from .recorded_requests import RecordedRequest, recorded_requests, recordings_in

__all__ = ["AnswerIndex"]

_COMPARED_CALLS = 200  # the latest; comparing one takes up to a millisecond


class AnswerIndex:
    """The answers in some recordings, and in all recordings of some folders. Threads may share it.

    match: which requests get each other's answers, in recorded order, each once; any other request
    is a miss. repeat: a request that is asked more often than it was recorded gets its last answer
    again; with "order" and "route", the answers begin again. wire: answers are for other clients
    than this library's. Then every attempt that got a response is an answer, as it was on the wire;
    without it a request and its retries give one answer, the last attempt's.

    Raises RecordingError for a path without a recording, RecordingCorruptError for a file that is
    no recording. In a folder such a file is skipped, with a warning in the log.
    """

    def __init__(
        self, *paths: Path, match: Match = "strict", repeat: bool = False, wire: bool = False
    ) -> None:
        if match not in MATCHES:
            names = ", ".join(MATCHES)
            raise ConfigurationError(f"no match {match!r}: give one of {names}", setting="match")
        if not isinstance(repeat, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"repeat={repeat!r}: give True or False", setting="repeat")
        self._comparison = Comparison(match, wire)
        self._repeat = repeat
        self._where = str(paths[0]) if len(paths) == 1 else "the recordings"
        self._lock = threading.Lock()
        self._failure: RecordingError | None = None
        for path in paths:
            _check(path)
        self._unread = recorded_requests(paths, self._comparison)
        self._read: list[RecordedRequest] = []
        self._waiting: dict[str, deque[RecordedRequest]] = {}
        self._given: dict[str, list[RecordedRequest]] = {}
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def answer(self, request: Mapping[str, Any], *, repeat: bool | None = None) -> RecordedCall:
        """The next answer to this request. Raises ReplayMissError, RecordingError.

        request: what its request line would say: method, url, body, and key unless `wire`. repeat:
        other than set.
        """
        key = self._key(request)
        with self._lock:
            found = self._next(key, repeat=self._repeat if repeat is None else repeat)
        if found is None:  # in a large folder comparing takes a while: not with the lock held
            raise self._miss(key, request)
        return found.call()

    def turn(self, request: Mapping[str, Any]) -> asyncio.Lock:
        """Held by an async caller while it looks: the first to ask gets the first answer.

        Requests that cannot get each other's answers do not wait for each other.
        """
        return self._turns.setdefault(self._key(request), asyncio.Lock())

    def look_for(self, request: Mapping[str, Any], wanted: Callable[[], bool]) -> None:
        """Read on until the answer to this request is found, or nobody wants it any more.

        In a large folder that takes seconds: other threads get answers meanwhile.
        """
        key = self._key(request)
        while wanted():
            with self._lock:
                if self._waiting.get(key) or not self._read_next():
                    return

    def requests(self) -> list[RecordedRequest]:
        """All requests, the oldest first. Reads all recordings."""
        reading = True
        while reading:  # other threads get answers meanwhile
            with self._lock:
                reading = self._read_next()
        return list(self._read)

    def _key(self, request: Mapping[str, Any]) -> str:
        return self._comparison.key(request)

    def _next(self, key: str, *, repeat: bool) -> RecordedRequest | None:
        given = self._given.get(key, [])
        while not (waiting := self._waiting.get(key)):
            if self._read_next():
                continue
            if not repeat or not given:
                return None
            again = given if self._comparison.match in {"order", "route"} else given[-1:]
            self._waiting[key] = deque(again)
            del given[-len(again) :]
        self._given[key] = given
        given.append(waiting.popleft())
        return given[-1]

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
        if request is not None and (request.answered or not self._comparison.wire):
            self._read.append(request)
            self._waiting.setdefault(request.key, deque()).append(request)
        return True

    def _miss(self, key: str, request: Mapping[str, Any]) -> ReplayMissError:
        comparison = self._comparison
        if given := len(self._given.get(key, ())):
            times = "once" if given == 1 else f"{given} times"
            return ReplayMissError(
                f"{self._where}: recorded {times}, and every answer has been given; "
                f"{'--repeat' if comparison.wire else 'repeat=True'} gives answers again"
            )
        if not self._read:
            return ReplayMissError(f"{self._where} has no recorded request at all")
        asked = method_of(request), route_of(request)
        recorded = sorted({(each.method, each.route) for each in self._read})
        by_route = replace(comparison, match="route")
        key, *known = (
            by_route.key({"method": method, "url": route}) for method, route in (asked, *recorded)
        )
        missing = f"{' '.join(asked)} was not recorded"
        if key not in known:
            return ReplayMissError(f"{missing}; recorded: {', '.join(map(' '.join, recorded))}")
        latest = self._read[-_COMPARED_CALLS:]
        nearest = comparison.nearest((each.call() for each in latest), request)
        if nearest is None:
            return ReplayMissError(f"{missing} with this body")
        return ReplayMissError(
            f"{missing} with this body; "
            f"the nearest is call {nearest.number} of {nearest.path.name}, which "
            f"differs in {comparison.differing_places(nearest.request, request)}",
            session=nearest.session,
            call=nearest.number,
        )


def _check(path: Path) -> None:
    """Raise RecordingError unless this is a recording, or a folder of files named like one."""
    if not path.is_dir():
        Recording(path)
    elif not recordings_in(path):
        raise RecordingError(f"there is no recording (*{SUFFIX}) in {path}")
