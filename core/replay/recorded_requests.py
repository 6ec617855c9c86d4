"""The requests in some recordings, in the order in which they were recorded, read lazily.

A recording is read once all requests that may be older have been given out. Its beginning is the
time in its generated name, or else in its `open` line. Frames are passed over.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from typing import Any, cast

from ..clock import parse_timestamp
from ..errors import RecordingError
from ..truth.files import explained
from ..truth.recording import RecordedCall, Recording
from ..truth.scan import scan
from ..truth.session_names import SUFFIX, time_in_name
from .compare_requests import Comparison, method_of, request_key, route_of

__all__ = ["RecordedRequest", "recorded_requests", "recordings_in"]

_LOGGER = logging.getLogger("vesselog")

# Where a call's request line is: its file, its call, its first byte, its number. There may be very
# many, and the garbage collector passes over a plain tuple of plain values.
_Place = tuple[str, int, int, int]


@dataclass(slots=True)
class RecordedRequest:
    """A request and its retries.

    wall: when it was recorded, in microseconds since 1970. key: what it has in common with requests
    that get its answer. place: where its last attempt is. answered: an attempt got a response.
    """

    wall: int
    key: str
    method: str
    route: str
    vessel: str | None
    model: str | None
    place: _Place
    answered: bool = False

    def call(self) -> RecordedCall:
        """The last attempt, which is the answer. Raises RecordingError if it cannot be read."""
        path, call, offset, number = self.place
        recording = Recording(path)
        line = next(recording.scanned(offset, number - 1), None)
        if line is None or line.fields.get("call") != call:
            raise RecordingError(f"{path} was changed while answers were taken from it")
        return RecordedCall(recording, line)


def recordings_in(folder: Path) -> list[Path]:
    """The files in a folder that are named like recordings, by name. Raises RecordingError."""
    with explained(f"read {folder}"):
        names = sorted(name for name in os.listdir(folder) if name.endswith(SUFFIX))  # noqa: PTH208
    return [folder / name for name in names]


def recorded_requests(
    paths: Iterable[Path], comparison: Comparison
) -> Iterator[RecordedRequest | None]:
    """The requests in files, and in those in folders that can be read; the others are logged.

    None: there is more to read before the next one; each step takes a moment. Raises RecordingError
    if a file that is named cannot be read.
    """
    # A heap of requests, and of recordings that are unread (True): a request goes first.
    due: list[tuple[int, bool, int, Any]] = []
    order = count()  # requests of the same microsecond stay in the order of their files
    for named in paths:
        lenient = named.is_dir()
        for path in recordings_in(named) if lenient else (named,):
            heappush(due, (_begins(path), True, next(order), (str(path), lenient)))
            yield None
    while due:
        _, unread, _, item = heappop(due)
        if not unread:
            yield item
            continue
        name, lenient = item
        try:
            for request in _requests_in(Path(name), comparison):
                heappush(due, (request.wall, False, next(order), request))
        except RecordingError as error:
            if not lenient:
                raise
            _LOGGER.warning("not used for replay: %s", error)
        yield None


def _begins(path: Path) -> int:
    """A time before the recording's first request, in microseconds since 1970."""
    named = time_in_name(path.stem)
    if named is not None:
        return named
    with suppress(RecordingError):  # raised again when its requests are read
        for line in scan(path, frames=False):
            if line.fields["type"] == "open":
                return parse_timestamp(line.fields.get("at")) or 0
    return 0


def _requests_in(path: Path, comparison: Comparison) -> list[RecordedRequest]:
    """The requests in one recording, in its order."""
    requests: list[RecordedRequest] = []
    running: dict[int, RecordedRequest] = {}
    begun: int | None = None
    for line in scan(path, frames=False):
        fields, call = line.fields, line.fields.get("call")
        if fields["type"] == "open" and begun is None:
            begun = parse_timestamp(fields.get("at"))
        elif type(call) is not int:
            continue
        elif fields["type"] == "response" and call in running:
            running[call].answered = True
        elif fields["type"] == "request":
            first = fields.get("retry_of")
            place = str(path), line.call, line.offset, line.number
            if type(first) is int and first in running and not comparison.wire:
                running[call] = running[first]
                running[call].place = place
            else:
                running[call] = _request(fields, (begun or 0) + line.t, place, comparison)
                requests.append(running[call])
    return requests


def _request(
    fields: dict[str, Any], wall: int, place: _Place, comparison: Comparison
) -> RecordedRequest:
    route, key, body = route_of(fields), fields.get("key"), fields.get("body")
    vessel, model = fields.get("vessel"), fields.get("model")
    if not isinstance(key, str):
        key = request_key(route, cast("dict[str, Any]", body) if isinstance(body, dict) else None)
    return RecordedRequest(
        wall=wall,
        key=comparison.key({**fields, "key": key}),
        method=method_of(fields),
        route=route,
        vessel=vessel if isinstance(vessel, str) else None,
        model=model if isinstance(model, str) else None,
        place=place,
    )
