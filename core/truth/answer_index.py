"""Answers from recordings: what was once answered to a request, by its key, in recorded order.

A request and its retries give one answer: the last attempt's. Each answer is given once; then the
key is exhausted. Nothing else is ever tried: a miss is an error that names the nearest recorded
request.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, NamedTuple, cast

from ..errors import RecordingError, ReplayMissError
from ..jsontext import canonical
from .recording import RecordedCall, Recording
from .request_key import comparable
from .session_names import SUFFIX
from .timestamps import parse_timestamp

__all__ = ["AnswerIndex", "RecordedAnswer"]

# The comparison is quadratic: enough of a body to tell conversations apart, and of the calls the
# latest.
_COMPARED_CHARACTERS = 2_000
_COMPARED_CALLS = 200
_NAMED_DIFFERENCES = 3


@dataclass(frozen=True, slots=True)
class RecordedAnswer:
    """What is replayed. call: the attempt that is the answer. attempts: all of them, in order."""

    call: RecordedCall
    attempts: tuple[RecordedCall, ...]


class _Place(NamedTuple):
    """Where a call stands. `wall` orders the calls of all files by the clock."""

    wall: int
    path: Path
    number: int
    offset: int
    line: int


class AnswerIndex:
    """The recording at `path`, or all that are in the folder of that name. Threads may share it.

    Raises RecordingError if there is nothing, and RecordingCorruptError for what is no recording.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._given: dict[str, int] = {}
        self._waiting: dict[str, deque[list[_Place]]] = {}
        self._places: list[_Place] = []
        answers: list[tuple[str, list[_Place]]] = []
        for file in _files(path):
            answers += _index(file)
        for key, attempts in sorted(answers, key=lambda answer: answer[1][0]):
            self._waiting.setdefault(key, deque()).append(attempts)
            self._places.append(attempts[0])

    def answer(self, key: str, request: Mapping[str, Any]) -> RecordedAnswer:
        """The next answer to the request with this key. Raises ReplayMissError.

        request: what its request line would say, to find the nearest one on a miss.
        """
        with self._lock:
            waiting = self._waiting.get(key)
            if waiting:
                attempts = waiting.popleft()
                self._given[key] = self._given.get(key, 0) + 1
            else:
                raise self._miss(key, request)
        calls = tuple(_call_at(place) for place in attempts)
        return RecordedAnswer(calls[-1], calls)

    def _miss(self, key: str, request: Mapping[str, Any]) -> ReplayMissError:
        given = self._given.get(key, 0)
        if given:
            times = "once" if given == 1 else f"{given} times"
            return ReplayMissError(
                f"{self._path} has this request {times}, and every answer was given already"
            )
        nearest = self._nearest(request)
        if nearest is None:
            return ReplayMissError(f"{self._path} has no recorded request at all")
        differing = _differences(_essence(nearest.request), _essence(request))
        return ReplayMissError(
            f"{self._path} has no answer to this request; the nearest is call {nearest.number} of "
            f"{nearest.path.name}, which differs in {_listed(differing)}",
            session=nearest.session,
            call=nearest.number,
        )

    def _nearest(self, request: Mapping[str, Any]) -> RecordedCall | None:
        matcher = SequenceMatcher(autojunk=False)
        matcher.set_seq2(_text(request))
        best: tuple[float, RecordedCall] | None = None
        for place in self._places[-_COMPARED_CALLS:]:
            call = _call_at(place)
            matcher.set_seq1(_text(call.request))
            least = best[0] if best is not None else -1.0
            if matcher.real_quick_ratio() <= least or matcher.quick_ratio() <= least:
                continue
            ratio = matcher.ratio()
            if ratio > least:
                best = ratio, call
        return None if best is None else best[1]


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(path.glob("*" + SUFFIX))
    if not files:
        raise RecordingError(f"there is no recording (*{SUFFIX}) in {path}")
    return files


def _index(path: Path) -> list[tuple[str, list[_Place]]]:
    """The answers in a file: the key, and where the attempts are."""
    answers: list[tuple[str, list[_Place]]] = []
    chains: dict[int, list[_Place]] = {}
    begun: int | None = None
    for line in Recording(path).scanned():
        fields = line.fields
        if fields["type"] == "open" and begun is None:
            begun = parse_timestamp(fields.get("at"))
        if fields["type"] != "request":
            continue
        key, number, t = fields.get("key"), fields.get("call"), fields.get("t")
        if not (isinstance(key, str) and isinstance(number, int) and isinstance(t, int)):
            continue
        place = _Place((begun or 0) + t, path, number, line.offset, line.number)
        first = fields.get("retry_of")
        chain = chains.get(first) if isinstance(first, int) else None
        if chain is None:
            chain = list[_Place]()
            answers.append((key, chain))
        chain.append(place)
        chains[number] = chain
    return answers


def _call_at(place: _Place) -> RecordedCall:
    recording = Recording(place.path)
    line = next(recording.scanned(place.offset, place.line - 1), None)
    if line is None or line.fields.get("call") != place.number:
        raise RecordingError(f"{place.path} was changed while answers were taken from it")
    return RecordedCall(recording, line)


def _essence(request: Mapping[str, Any]) -> dict[str, Any]:
    body = request.get("body")
    return {
        "url": request.get("url"),
        "body": comparable(cast("dict[str, Any]", body)) if isinstance(body, dict) else body,
    }


def _text(request: Mapping[str, Any]) -> str:
    return canonical(_essence(request)).decode(errors="replace")[:_COMPARED_CHARACTERS]


def _differences(old: Any, new: Any, place: str = "") -> list[str]:
    """Where two JSON values differ; never what is there, which may be private."""
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


def _listed(places: list[str]) -> str:
    if not places:
        return "nothing but its key"
    more = len(places) - _NAMED_DIFFERENCES
    listed = ", ".join(places[:_NAMED_DIFFERENCES])
    return f"{listed} and {more} more" if more > 0 else listed
