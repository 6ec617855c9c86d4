"""Reads a recording, lazily and in constant memory.

Everything is as it was stored; nothing is decoded again. A torn tail is left out, damage before it
raises RecordingCorruptError. A line that does not match its check is read all the same, and so are
lines around a missing one, since recordings may be edited by hand: that is logged once, and
`verify` fails.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

from pydantic import ValidationError

from ..assembler import Assembler
from ..chunk import StreamChunk
from ..completion import Completion, Metrics, Outcome
from ..errors import RecordingCorruptError, TruncatedError, VesselogError, error_from_record
from ..native import natives_of
from .conversation import conversation_in
from .recorded_frame import RecordedFrame, chunks_of
from .scan import ScannedLine, Torn, is_whole, scan

if TYPE_CHECKING:
    from ..request import Message
    from ..vessel import Vessel

__all__ = [
    "RecordedCall",
    "Recording",
    "ending_error",
    "metrics_of",
    "outcome_of",
    "recorded_outcome",
]

_LOGGER = logging.getLogger("vesselog")
_OUTCOMES = frozenset(get_args(Outcome))


class Recording:
    """A recording, to be read; another process may still be writing it.

    Attributes:
        path: Its file.
        header: The first line, empty if the file has none yet.
        session: The session's name.

    Raises:
        RecordingError: The file cannot be read.
        RecordingCorruptError: It is no recording.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._warned = False
        first = next(self.scanned(), None)
        self.header: dict[str, Any] = {} if first is None else first.fields
        self.session = str(self.header.get("session", self.path.stem))

    @property
    def torn(self) -> int:
        """How many bytes at the end are not a whole line (a torn tail). Reads the whole file."""
        tails: list[Torn] = []
        for _ in scan(self.path, torn=tails.append):
            pass
        return sum(tail.size for tail in tails)

    def lines(self) -> Iterator[dict[str, Any]]:
        """All lines as they are stored, the header and those of unknown types too."""
        return (line.fields for line in self.scanned())

    def calls(self) -> Iterator[RecordedCall]:
        """The calls, in the order of their requests."""
        for line in self.scanned():
            if line.fields["type"] == "request":
                yield RecordedCall(self, line)

    def messages(self, call: int | None = None, *, vessel: Vessel | None = None) -> list[Message]:
        """The conversation as of a call: what was asked, and the answer.

        Each message can be sent again as it is; docs/conversations.md has the rules.

        Args:
            call: The call's number, by default the last one's.
            vessel: Reads the request if the vessel that the recording names is not installed.

        Raises:
            RecordingError: There is no such call.
            UnknownVesselError: No vessel reads its request.
            InvalidRequestError: The request is not a conversation.
        """
        return conversation_in(self, call, vessel)

    def frames(self) -> Iterator[RecordedFrame]:
        """The frames of all calls, in the order in which they came."""
        return (
            RecordedFrame.of(line.fields, started, line.where) for line, started in self._framed()
        )

    def chunks(self) -> Iterator[StreamChunk]:
        """The chunks of all calls, in the order in which they came."""
        for line, started in self._framed():
            yield from chunks_of(line, line.call, line.t - started)

    def scanned(self, offset: int = 0, number: int = 0) -> Iterator[ScannedLine]:
        """The lines from `offset` on, before which `number` lines stand."""
        following = -1
        for line in scan(self.path, offset=offset, number=number):
            n = line.fields.get("n", 0)  # the header has none
            if n == following and line.check is True:
                following += 1
            else:
                self._check_line(line, n, following)
                following = n + 1 if is_whole(n) else -1
            yield line

    def _framed(self) -> Iterator[tuple[ScannedLine, int]]:
        """The lines of frames, with the times of their calls' requests."""
        started: dict[int, int] = {}
        for line in self.scanned():
            kind = line.fields["type"]
            if kind == "frame":
                begun = started.get(line.call)
                if begun is None:
                    raise RecordingCorruptError(
                        f"{self.path} is damaged at {line.place}: a frame of no running call"
                    )
                yield line, begun
            elif kind == "request":
                started[line.call] = line.t
            elif kind == "end":
                started.pop(line.call, None)

    def _check_line(self, line: ScannedLine, n: object, following: int) -> None:
        """Log a warning for a line that was changed or moved; only once."""
        if line.check is not True:
            what = "does not match its check: it was edited, or is damaged"
        elif following >= 0:
            what = f"has number {n}, not {following}: lines are missing or moved"
        else:
            return
        checked = self.header if line.number > 1 else line.fields
        if not self._warned and (line.check is False or checked.get("crc32") is True):
            self._warned = True
            _LOGGER.warning("%s %s", line.where, what)

    def __repr__(self) -> str:
        return f"Recording({str(self.path)!r})"


class RecordedCall:
    """One call of a recording: its request and what was answered.

    Attributes:
        session: The session's name.
        path: The recording's file.
        number: The call's number, from 1.
        request: The request line, as JSON values.
        started: When it was written, in microseconds since the session began.

    Raises:
        RecordingError: The file cannot be read.
        RecordingCorruptError: It is damaged.
    """

    def __init__(self, recording: Recording, line: ScannedLine) -> None:
        self._recording = recording
        self._line = line
        self._response: dict[str, Any] | None = None
        self._end: dict[str, Any] | None = None
        self.request: dict[str, Any] = line.fields
        self.session = recording.session
        self.path = recording.path
        self.number = line.call
        self.started = line.t

    @property
    def vessel(self) -> str | None:
        """The name of the vessel that was asked."""
        name = self.request.get("vessel")
        return name if isinstance(name, str) else None

    @property
    def retry_of(self) -> int | None:
        """The number of the call that this one retries; None if it is not a retry."""
        first = self.request.get("retry_of")
        return first if is_whole(first) else None

    @property
    def response(self) -> dict[str, Any] | None:
        """The response line, None if there is none (yet)."""
        self._response = self._response or self._first("response")
        return self._response

    @property
    def responded(self) -> int:
        """When the response came, in microseconds since the session began; else `started`."""
        t = None if self.response is None else self.response.get("t")
        return t if is_whole(t) else self.started

    @property
    def headers(self) -> dict[str, str]:
        """The answer's headers that were recorded; empty if there are none (yet)."""
        headers = None if self.response is None else self.response.get("headers")
        if not isinstance(headers, dict):
            return {}
        given = cast("dict[str, Any]", headers)
        return {name: value for name, value in given.items() if isinstance(value, str)}

    @property
    def end(self) -> dict[str, Any] | None:
        """The end line, None if there is none (yet)."""
        self._end = self._end or self._first("end")
        return self._end

    @property
    def ended(self) -> int | None:
        """When the call ended, in microseconds since the session began; None without an end."""
        t = None if self.end is None else self.end.get("t")
        return t if is_whole(t) else None

    @property
    def outcome(self) -> Outcome:
        """How the call ended; "interrupted" if there is no end line."""
        return recorded_outcome(self.end)

    @property
    def error(self) -> VesselogError | None:
        """The error that the caller got after the chunks; None if the call ended without one.

        An answer whose writer died before its end is a TruncatedError.
        """
        return self.error_of(self.end)

    @property
    def metrics(self) -> Metrics | None:
        """How the answer arrived, as it was measured when it was recorded."""
        return metrics_of(self.end)

    def lines(self) -> Iterator[dict[str, Any]]:
        """The call's lines, from its request to its end."""
        return (line.fields for line in self._scanned())

    def frames(self) -> Iterator[RecordedFrame]:
        """The call's frames."""
        for line in self._scanned():
            if line.fields["type"] == "frame":
                yield RecordedFrame.of(line.fields, self.started, line.where)

    def chunks(self) -> Iterator[StreamChunk]:
        """The call's chunks, equal to those that the caller saw."""
        for line in self._scanned():
            if line.fields["type"] == "frame":
                yield from chunks_of(line, self.number, line.t - self.started)

    def completion(self) -> Completion:
        """The answer as far as it arrived; its outcome is None if the call has no end."""
        assembler = Assembler()
        for chunk in self.chunks():
            assembler.add(chunk)
        return self.assembled(assembler, self.end)

    def assembled(self, assembler: Assembler, end: Mapping[str, Any] | None) -> Completion:
        """The completion of these chunks of the call; `end` is its end line, once it was read."""
        return assembler.completion(
            outcome=outcome_of(end),
            metrics=metrics_of(end),
            session=self.session,
            call=self.number,
            vessel=self.vessel,
            natives=natives_of(end),
            headers=self.headers,
        )

    def error_of(self, end: Mapping[str, Any] | None) -> VesselogError | None:
        """The error with which the call ended, by this end line; None without one."""
        error = ending_error(end)
        if error is not None:
            error.session, error.call = self.session, self.number
            error.headers = self.headers
        return error

    def _first(self, kind: str) -> dict[str, Any] | None:
        return next((line for line in self.lines() if line["type"] == kind), None)

    def _scanned(self) -> Iterator[ScannedLine]:
        # A file edited by hand may repeat a call number: the call ends with its end line.
        for line in self._recording.scanned(self._line.offset, self._line.number - 1):
            if line.fields.get("call") == self.number:
                if line.fields["type"] == "end":
                    self._end = line.fields
                    yield line
                    return
                yield line

    def __repr__(self) -> str:
        return f"RecordedCall({str(self.path)!r}, {self.number})"


def outcome_of(end: Mapping[str, Any] | None) -> Outcome | None:
    """The outcome in an end line; None if there is no end, or its outcome is unknown here."""
    outcome = None if end is None else end.get("outcome")
    known = isinstance(outcome, str) and outcome in _OUTCOMES
    return cast("Outcome", outcome) if known else None


def recorded_outcome(end: Mapping[str, Any] | None) -> Outcome:
    """How a call with this end line ended: "interrupted" without one.

    An outcome that is unknown here counts as "truncated": the answer is not known to be whole.
    """
    return "interrupted" if end is None else outcome_of(end) or "truncated"


def metrics_of(end: Mapping[str, Any] | None) -> Metrics | None:
    """The metrics in an end line."""
    if end is None or not isinstance(end.get("metrics"), dict):
        return None
    try:
        return Metrics.model_validate(end["metrics"])
    except ValidationError:
        return None


def ending_error(end: Mapping[str, Any] | None) -> VesselogError | None:
    """The error with which a call ended, made from its end line; None if there was none.

    Without an end line, or with a damaged one, the answer is truncated.
    """
    record = None if end is None else end.get("error")
    if isinstance(record, dict):
        return error_from_record(cast("dict[str, Any]", record))
    outcome = recorded_outcome(end)
    if outcome in {"complete", "cancelled", "abandoned"}:
        return None
    if outcome in {"crashed", "interrupted"}:
        writer = "died" if outcome == "crashed" else "was stopped, or still writes"
        return TruncatedError(
            f"the recording ends before the answer does: its writer {writer}", phase="body"
        )
    said = None if end is None else end.get("outcome")
    return TruncatedError(f"the recorded answer ended as {said!r:.100}", phase="body")
