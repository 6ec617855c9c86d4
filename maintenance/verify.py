"""Checks a recording: every line, its number and time, each call's payload and chunks.

An error is anything that a healthy writer and disk cannot have left. Drift is no error: the
installed vessel makes other chunks of the same frames than the one that recorded them. A note is
about something that is allowed: a call without an end, a vessel that is not installed, a line of an
unknown type.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..core.errors import RecordingCorruptError, RecordingError, VesselogError
from ..core.truth.call_state import PayloadTally
from ..core.truth.recorded_frame import RecordedFrame
from ..core.truth.scan import ScannedLine, Torn, is_whole, scan
from .chunk_comparison import Comparison
from .redecoding import Redecoding

__all__ = ["Finding", "VerifyReport", "verify"]

_TYPES = frozenset({"session", "open", "request", "response", "frame", "end", "close"})

# Where everything is wrong, more findings tell nothing new.
_MOST_FINDINGS = 100


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that `verify` found.

    Attributes:
        severity: "error" for damage, "drift" where the vessel now decodes other chunks, "note".
        kind: One word for programs.
        message: The finding for people.
        line: The line's number, from 1; None for the whole file.
        offset: The offset of the line's first byte.
    """

    severity: Literal["error", "drift", "note"]
    kind: str
    message: str
    line: int | None = None
    offset: int | None = None


@dataclass(slots=True)
class VerifyReport:
    """The result of `verify`.

    Attributes:
        path: The recording.
        session: The session's name; None if there is no header.
        lines: How many lines there are.
        calls: How many calls there are.
        frames: How many frames there are.
        chunks: How many chunks there are.
        decoded: How many calls were decoded again.
        drifting: How many of them gave other chunks.
        errors: How many errors were found.
        findings: The first 100, in the order of the file.
    """

    path: Path
    session: str | None = None
    lines: int = 0
    calls: int = 0
    frames: int = 0
    chunks: int = 0
    decoded: int = 0
    drifting: int = 0
    errors: int = 0
    findings: list[Finding] = field(default_factory=list[Finding])

    @property
    def ok(self) -> bool:
        """Whether there were no errors."""
        return self.errors == 0

    def add(self, finding: Finding) -> None:
        """Count `finding`, and keep it if it is one of the first 100."""
        if finding.severity == "error":
            self.errors += 1
        if len(self.findings) < _MOST_FINDINGS:
            self.findings.append(finding)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "path": str(self.path),
            "ok": self.ok,
            "session": self.session,
            "lines": self.lines,
            "calls": self.calls,
            "frames": self.frames,
            "chunks": self.chunks,
            "decoded": self.decoded,
            "drifting": self.drifting,
            "errors": self.errors,
            "findings": [
                {name: getattr(each, name) for name in Finding.__slots__} for each in self.findings
            ],
        }


def verify(path: str | os.PathLike[str], *, decode: bool = True) -> VerifyReport:
    """Check a recording, in one pass and constant memory. Damage is reported, not raised.

    Args:
        path: The recording.
        decode: Also decode the frames again, with the installed vessels.

    Raises:
        RecordingError: The file cannot be read at all.
    """
    report = VerifyReport(Path(path))
    checker = _Checker(report, decode=decode)

    def add_torn(tail: Torn) -> None:
        message = f"{tail.size} bytes at the end are a torn tail"
        report.add(Finding("error", "torn", message, None, tail.offset))

    try:
        for line in scan(report.path, torn=add_torn):
            for finding in checker.check(line):
                report.add(finding)
    except RecordingCorruptError as error:
        report.add(Finding("error", "damaged", error.message))
        return report  # what follows is unknown, and so is what is missing
    for finding in checker.finish():
        report.add(finding)
    return report


@dataclass(slots=True)
class _Call:
    """A call that runs. again: None where its frames are not decoded again."""

    started: int
    then: str
    again: Redecoding | None
    tally: PayloadTally = field(default_factory=PayloadTally)
    next_seq: int = 0
    comparison: Comparison = field(default_factory=Comparison)


class _Checker:
    def __init__(self, report: VerifyReport, *, decode: bool) -> None:
        self._report = report
        self._decode = decode
        self._checked = False
        self._n = 0
        self._t = 0
        self._place = 0
        self._running: dict[int, _Call] = {}
        self._highest = 0

    def check(self, line: ScannedLine) -> Iterator[Finding]:
        """What is wrong with the next line."""
        report, fields = self._report, line.fields
        report.lines += 1
        if line.number > self._place + 1:
            yield _error(line, "blank", "empty lines stand before it")
        self._place = line.number
        if line.number == 1:
            self._checked = fields.get("crc32") is True
            report.session = str(fields.get("session"))
        if line.check is False:
            yield _error(line, "crc", "the line does not match its check")
        elif line.check is None and self._checked:
            yield _error(line, "crc", "the line has no check")
        if line.number == 1:
            return
        yield from self._check_order(line)
        kind = fields["type"]
        if kind not in _TYPES:
            yield Finding("note", "type", f"unknown type {kind!r}", line.number, line.offset)
        elif kind == "request":
            yield from self._check_request(line)
        elif kind == "close":
            if self._running or fields.get("calls") != self._highest:
                message = f"it says that all of {fields.get('calls')!r} calls have ended"
                yield _error(line, "close", message)
        elif kind not in {"open", "session"}:
            yield from self._check_call(line)

    def finish(self) -> Iterator[Finding]:
        """What is wrong at the end of the file."""
        if self._report.lines == 0 and not self._report.findings:
            yield Finding(
                "error", "empty", "the file is empty: nothing was recorded, and it can be deleted"
            )
        for number, call in self._running.items():
            yield Finding("note", "interrupted", f"call {number} has no end")
            yield from self._compared(number, call, None)

    def _check_order(self, line: ScannedLine) -> Iterator[Finding]:
        n, t = line.fields.get("n"), line.fields.get("t")
        if n != self._n + 1:
            yield _error(line, "n", f"its number is {n!r}, not {self._n + 1}")
        if isinstance(n, int):
            self._n = n
        if not is_whole(t):
            yield _error(line, "t", f"its time is {t!r:.40}")
        elif t < self._t:
            yield _error(line, "t", f"its time {t} is before the line above it")
        else:
            self._t = t

    def _check_request(self, line: ScannedLine) -> Iterator[Finding]:
        call, t = line.fields.get("call"), line.fields.get("t")
        self._report.calls += 1
        if not is_whole(call) or call <= self._highest:
            yield _error(line, "call", f"its call number {call!r} does not follow {self._highest}")
        if not is_whole(call):
            return
        self._highest = max(self._highest, call)
        again = None
        if self._decode:
            try:
                again = Redecoding(line.fields)
            except VesselogError as error:
                message = f"call {call} was not decoded again: {error.message}"
                yield Finding("note", "vessel", message, line.number, line.offset)
        then = f"{line.fields.get('vessel')} {line.fields.get('vessel_version')}"
        self._running[call] = _Call(t if is_whole(t) else 0, then, again)

    def _check_call(self, line: ScannedLine) -> Iterator[Finding]:
        fields = line.fields
        number = fields.get("call")
        call = self._running.get(number) if isinstance(number, int) else None
        if call is None or not isinstance(number, int):
            yield _error(line, "call", f"call {number!r} is not running")
        elif fields["type"] == "frame":
            yield from self._check_frame(line, call)
        elif fields["type"] == "response" and call.again is not None:
            call.again.respond(fields)
        elif fields["type"] == "end":
            del self._running[number]
            yield from self._compared(number, call, line)
            for name, value in call.tally.record().items():
                if fields.get(name) != value:
                    message = f"its {name} is {fields.get(name)!r}, that of the frames {value!r}"
                    yield _error(line, name, message)

    def _check_frame(self, line: ScannedLine, call: _Call) -> Iterator[Finding]:
        self._report.frames += 1
        try:
            frame = RecordedFrame.of(line.fields, call.started, line.place)
            call.tally.add(frame.raw)
            chunks = list(frame.chunks())
        except RecordingError as error:
            call.again = None  # what is damaged, or was edited, is not compared
            yield _error(line, "frame", error.message)
            return
        for chunk in chunks:
            self._report.chunks += 1
            if chunk.seq != call.next_seq:
                message = f"chunk {chunk.seq} stands in place of {call.next_seq}"
                yield _error(line, "seq", message)
            call.next_seq = chunk.seq + 1
        if line.check is False:
            call.again = None
        elif call.again is not None:
            today = call.again.feed(frame)
            call.comparison.add(chunks, (chunk for step in today for chunk in step.chunks))

    def _compared(self, number: object, call: _Call, end: ScannedLine | None) -> Iterator[Finding]:
        """Whether the call's chunks are still what its vessel makes of its frames."""
        again, comparison = call.again, call.comparison
        if again is None:
            return
        self._report.decoded += 1
        rest = again.finish(None if end is None else end.fields)
        comparison.add((), (chunk for step in rest for chunk in step.chunks))
        comparison.finish()
        if comparison.differing:
            self._report.drifting += 1
            count = comparison.differing
            what = "1 chunk differs" if count == 1 else f"{count} chunks differ"
            message = (
                f"call {number}: {what} from chunk {comparison.first} on, in "
                f"{', '.join(sorted(comparison.fields))}; recorded by {call.then}, decoded again "
                f"by {again.vessel.name} {again.vessel.version}"
            )
            place = (None, None) if end is None else (end.number, end.offset)
            yield Finding("drift", "drift", message, *place)


def _error(line: ScannedLine, kind: str, message: str) -> Finding:
    return Finding("error", kind, message, line.number, line.offset)
