"""Saves what can be read of a damaged recording, or of one that was edited by hand.

Every readable line is kept, in a new file with fresh numbers, checks and digests; the report says
what was lost and what had to be changed. Only `close` lines are left out: they may no longer be
true, and the next writer reads the file without one. Nothing is made up: a call whose request is
lost gets an empty one that says `"salvaged":true`, and an answer that lost frames is no longer
complete.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, cast

from ..core.clock import SYSTEM_CLOCK, Clock
from ..core.errors import RecordingCorruptError, TruncatedError
from ..core.truth.call_state import PayloadTally
from ..core.truth.line import FORMAT_VERSION, LONGEST_LINE, check_line, parse_line
from ..core.truth.recorded_frame import RecordedFrame
from ..core.truth.scan import check_header, is_whole, open_recording
from .derived_file import DerivedFile, unchanged

__all__ = ["SalvageNote", "SalvageReport", "salvage"]

_LINE_START = b'{"type":"'
_OF_CALLS = frozenset({"response", "frame", "end"})
_TYPES = _OF_CALLS | {"session", "open", "request"}


class SalvageNote(NamedTuple):
    """Something that was lost or changed.

    Attributes:
        message: What it was, for people.
        line: The number of its line in the old file.
        offset: Where in the old file it begins, in bytes.
        size: How many bytes were lost.
    """

    line: int
    offset: int
    size: int
    message: str


@dataclass(slots=True)
class SalvageReport:
    """The result of `salvage`.

    Attributes:
        path: The old recording.
        out: The new recording.
        lines: How many lines the new one has.
        lost: What was lost, in the order of the file.
        changed: What could not be kept as it was, in the order of the file.
    """

    path: Path
    out: Path
    lines: int = 0
    lost: list[SalvageNote] = field(default_factory=list[SalvageNote])
    changed: list[SalvageNote] = field(default_factory=list[SalvageNote])

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "path": str(self.path),
            "out": str(self.out),
            "lines": self.lines,
            "lost": [each._asdict() for each in self.lost],
            "changed": [each._asdict() for each in self.changed],
        }


def salvage(
    path: str | os.PathLike[str], out: str | os.PathLike[str], *, clock: Clock = SYSTEM_CLOCK
) -> SalvageReport:
    """Write what can be read of a damaged recording to a new, sound one.

    Args:
        path: The recording.
        out: The new file.
        clock: The source of times, for tests.

    Raises:
        RecordingCorruptError: `path` has no line of a recording.
        RecordingError: `out` exists or cannot be written.
        RecordingLockedError: The recording is being written.
        SessionNameError: The name of `out` cannot be a session's name.
        ConfigurationError: `out` does not end in .jsonl, or its folder cannot be used.
    """
    report = SalvageReport(Path(path), Path(out))
    with (
        DerivedFile(report.out, report.path, "salvage", clock) as file,
        unchanged(report.path),
    ):
        rewriter = _Rewriter(report, file)
        for line in _readable(report):
            rewriter.take(line)
        if not rewriter.begun:
            raise RecordingCorruptError(f"{report.path} has no line of a recording")
        report.lines = file.n + 1
    return report


class _Readable(NamedTuple):
    number: int
    offset: int
    size: int
    fields: dict[str, Any]
    check: bool | None

    def note(self, message: str) -> SalvageNote:
        return SalvageNote(self.number, self.offset, 0, message)

    def loss(self, message: str) -> SalvageNote:
        return SalvageNote(self.number, self.offset, self.size, message)


def _readable(report: SalvageReport) -> Iterator[_Readable]:
    """The readable lines; the others are reported as lost."""
    offset = number = 0
    with open_recording(report.path) as file:
        while raw := file.readline(LONGEST_LINE):
            number += 1
            body = raw.removesuffix(b"\n")
            start = _start_of_line(body)
            if start:
                lost = start if start > 0 else len(raw)
                what = "it cannot be read" if body.strip() else "an empty line"
                report.lost.append(SalvageNote(number, offset, lost, what))
            if start >= 0:
                fields = parse_line(body[start:])
                if fields is not None:
                    size = len(raw) - start
                    check = check_line(body[start:])
                    yield _Readable(number, offset + start, size, fields, check)
            offset += len(raw)


def _start_of_line(body: bytes) -> int:
    """Where a readable line begins in these bytes; -1 if there is none.

    A line may follow the remains of another one directly. Then it must match its check.
    """
    if parse_line(body) is not None:
        return 0
    start = body.find(_LINE_START, 1)
    while start > 0:
        if check_line(body[start:]) and parse_line(body[start:]) is not None:
            return start
        start = body.find(_LINE_START, start + 1)
    return -1


@dataclass(slots=True)
class _Call:
    """A call of the new file. losses: how many were reported before it began."""

    number: int
    started: int
    losses: int
    tally: PayloadTally = field(default_factory=PayloadTally)
    chunks: int = 0
    renumbered: bool = False


class _Rewriter:
    """Writes the readable lines to the new file. begun: whether it has a header."""

    def __init__(self, report: SalvageReport, file: DerivedFile) -> None:
        self._report = report
        self._file = file
        self._checked = False
        self._t = 0
        self._highest = 0
        self._numbers: dict[object, int] = {}
        self._running: dict[object, _Call] = {}
        self.begun = False

    def take(self, line: _Readable) -> None:
        """Write the next readable line."""
        fields = line.fields
        if fields["type"] == "close":
            return
        if not self.begun and fields["type"] in _TYPES:
            self._begin(line)
            if fields["type"] == "session":
                return
        elif not self.begun or fields["type"] == "session":
            self._lose(line, "another header" if self.begun else "it stands before the header")
            return
        if line.check is False or (self._checked and line.check is None):
            self._change(line, "it does not match its check: it was edited, or is damaged")
        fields = {**fields, "t": self._time(line)}
        if fields["type"] == "request":
            self._request(line, fields)
        elif fields["type"] in _OF_CALLS:
            self._of_call(line, fields)
        else:
            number = self._numbers.get(_key(fields.get("call")))
            self._file.line(fields if number is None else {**fields, "call": number})

    def _begin(self, line: _Readable) -> None:
        header = line.fields if line.fields["type"] == "session" else {}
        if header:
            version = header.get("vesselog")
            if line.check is not False and isinstance(version, int) and version > FORMAT_VERSION:
                check_header(header, self._report.path)
            self._checked = header.get("crc32") is True
            if line.check is False or (self._checked and line.check is None):
                self._change(line, "the header does not match its check")
        else:
            self._change(line, "there is no header; a new one was made")
        self._file.header(header)
        self.begun = True

    def _time(self, line: _Readable) -> int:
        t = line.fields.get("t")
        if is_whole(t) and t >= self._t:
            self._t = t
        else:
            self._change(line, f"its time {t!r:.40} is now {self._t}")
        return self._t

    def _request(self, line: _Readable, fields: dict[str, Any]) -> None:
        asked = _key(fields.get("call"))
        number = asked if is_whole(asked) and asked > self._highest else self._highest + 1
        if number != asked:
            self._change(line, f"its call number {asked!r} is now {number}")
        self._highest = number
        first = self._numbers.get(_key(fields.get("retry_of")))
        if first is not None:
            fields["retry_of"] = first
        self._numbers[asked] = number
        self._running[asked] = _Call(number, fields["t"], len(self._report.lost))
        self._file.line({**fields, "call": number})

    def _of_call(self, line: _Readable, fields: dict[str, Any]) -> None:
        asked = _key(fields.get("call"))
        if asked not in self._running:
            if asked in self._numbers:
                self._lose(line, f"call {asked} has ended before")
                return
            self._invent(line, asked)
        call = self._running[asked]
        fields["call"] = call.number
        if fields["type"] == "frame":
            self._frame(line, fields, call)
        elif fields["type"] == "end":
            del self._running[asked]
            self._file.line(self._end(line, fields, call))
        else:
            self._file.line(fields)

    def _invent(self, line: _Readable, asked: object) -> None:
        self._change(line, f"the request of its call {asked!r} is lost; an empty one was made")
        unknown = dict.fromkeys(("vessel", "vessel_version", "model", "method", "url"))
        known = {"type": "request", "call": asked, "t": self._t, "salvaged": True}
        self._request(line, {**known, **unknown, "headers": {}, "body": None, "stream": True})

    def _frame(self, line: _Readable, fields: dict[str, Any], call: _Call) -> None:
        try:
            frame = RecordedFrame.of({**fields, "n": 0}, call.started, "it")
        except RecordingCorruptError as error:
            self._lose(line, error.message)
            return
        call.tally.add(frame.raw)
        try:
            chunks = list(frame.chunks())
        except RecordingCorruptError as error:
            self._change(line, f"{error.message}; its chunks are left out")
            chunks, fields = [], {k: v for k, v in fields.items() if k != "chunks"}
        if chunks:
            first = call.chunks
            if [each.seq for each in chunks] != list(range(first, first + len(chunks))):
                if not call.renumbered:
                    self._change(line, f"the chunks of call {call.number} got new numbers")
                call.renumbered = True
            stored = cast("list[dict[str, Any]]", fields["chunks"])
            fields["chunks"] = [{**each, "seq": first + i} for i, each in enumerate(stored)]
            call.chunks += len(chunks)
        self._file.line(fields)

    def _end(self, line: _Readable, fields: dict[str, Any], call: _Call) -> dict[str, Any]:
        recorded, kept = fields.get("frames"), call.tally.record()
        fewer = isinstance(recorded, int) and recorded > call.tally.frames
        unknown = not isinstance(recorded, int) and len(self._report.lost) > call.losses
        if fewer or unknown:
            message = f"call {call.number} has lost frames"
            if fewer:
                message = (
                    f"call {call.number} has {call.tally.frames} of its {recorded} frames left"
                )
            self._change(line, message)
            if fields.get("outcome") == "complete":
                error = TruncatedError(f"{message}: it was salvaged", phase="body", retryable=False)
                fields |= {"outcome": "truncated", "error": error.to_record()}
        elif any(fields.get(name) != value for name, value in kept.items()):
            self._change(line, f"the frames of call {call.number} are not as they were recorded")
        return {**fields, **kept}

    def _lose(self, line: _Readable, message: str) -> None:
        self._report.lost.append(line.loss(message))

    def _change(self, line: _Readable, message: str) -> None:
        self._report.changed.append(line.note(message))


def _key(number: object) -> object:
    """A key for a call's number, which may be any JSON value in a file that was edited."""
    return number if number is None or isinstance(number, (int, str)) else repr(number)
