"""Saves what can be saved of a damaged recording, or of one that was edited by hand.

Every line that can be read is kept, in a new file with fresh numbers, checks and digests; whatever
was lost or had to be changed is told. Nothing is made up: a call whose request is lost gets one
that says `"salvaged":true` and knows nothing, and an answer that lost frames is no longer complete.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, cast

from ..clock import SYSTEM_CLOCK, Clock
from ..errors import RecordingCorruptError, TruncatedError
from .derived_file import DerivedFile, unchanged
from .line import FORMAT_VERSION, LONGEST_LINE, check_line, parse_line
from .payload_tally import PayloadTally
from .recorded_frame import RecordedFrame
from .scan import check_header, is_whole, open_recording

__all__ = ["Note", "Salvaged", "salvage"]

_LINE_START = b'{"type":"'
_OF_CALLS = frozenset({"response", "frame", "end"})
_TYPES = _OF_CALLS | {"session", "open", "request"}


class Note(NamedTuple):
    """What was lost or changed. line, offset: where, in the old file; size: bytes, if lost."""

    line: int
    offset: int
    size: int
    message: str


@dataclass(slots=True)
class Salvaged:
    """The result. lines: how many the new file has. lost, changed: what it cost, in order."""

    path: Path
    out: Path
    lines: int = 0
    lost: list[Note] = field(default_factory=list[Note])
    changed: list[Note] = field(default_factory=list[Note])

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
) -> Salvaged:
    """Write what can be read of `path` to a new, sound recording at `out`.

    Raises RecordingCorruptError if `path` has no line of a recording, RecordingError if `out` is
    there already or cannot be written, RecordingLockedError while `path` is written,
    SessionNameError and ConfigurationError if `out` is no recording's name.
    """
    report = Salvaged(Path(path), Path(out))
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

    def note(self, message: str) -> Note:
        return Note(self.number, self.offset, 0, message)

    def loss(self, message: str) -> Note:
        return Note(self.number, self.offset, self.size, message)


def _readable(report: Salvaged) -> Iterator[_Readable]:
    """The lines that can be read; what cannot is told as lost."""
    offset = number = 0
    with open_recording(report.path) as file:
        while raw := file.readline(LONGEST_LINE):
            number += 1
            body = raw.removesuffix(b"\n")
            start = _start_of_line(body)
            if start:
                lost = start if start > 0 else len(raw)
                what = "it cannot be read" if body.strip() else "an empty line"
                report.lost.append(Note(number, offset, lost, what))
            if start >= 0:
                fields = parse_line(body[start:])
                if fields is not None:
                    size = len(raw) - start
                    check = check_line(body[start:])
                    yield _Readable(number, offset + start, size, fields, check)
            offset += len(raw)


def _start_of_line(body: bytes) -> int:
    """Where in these bytes a line begins that can be read; -1 if nowhere.

    A line may be glued to the remains of another one. Then it counts only if its check holds.
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
    """A call of the new file. losses: how many had been told when it began."""

    number: int
    started: int
    losses: int
    tally: PayloadTally = field(default_factory=PayloadTally)
    chunks: int = 0
    renumbered: bool = False


class _Rewriter:
    """Gives every line its place in the new file. begun: whether there is one."""

    def __init__(self, report: Salvaged, file: DerivedFile) -> None:
        self._report = report
        self._file = file
        self._checked = False
        self._t = 0
        self._highest = 0
        self._numbers: dict[object, int] = {}
        self._running: dict[object, _Call] = {}
        self.begun = False

    def take(self, line: _Readable) -> None:
        """The next line that can be read."""
        fields = line.fields
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
            self._change(line, f"its time {t!r} is not behind {self._t}, which it was given")
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
                    self._change(line, f"the chunks of call {call.number} are numbered anew")
                call.renumbered = True
            stored = cast("list[dict[str, Any]]", fields["chunks"])
            fields["chunks"] = [{**each, "seq": first + i} for i, each in enumerate(stored)]
            call.chunks += len(chunks)
        self._file.line(fields)

    def _end(self, line: _Readable, fields: dict[str, Any], call: _Call) -> dict[str, Any]:
        told, kept = fields.get("frames"), call.tally.record()
        fewer = isinstance(told, int) and told > call.tally.frames
        unknown = not isinstance(told, int) and len(self._report.lost) > call.losses
        if fewer or unknown:
            message = f"call {call.number} has lost frames"
            if fewer:
                message = f"call {call.number} has {call.tally.frames} of its {told} frames left"
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
    """What stands for a call's number, which may be anything in a file that was edited."""
    return number if number is None or isinstance(number, (int, str)) else repr(number)
