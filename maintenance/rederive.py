"""Decodes a recording again into a new file, with chunks made by the installed vessels.

What was on the wire, when it arrived and how the caller left are facts, and stay: the frames'
bytes, all times, and the outcomes `cancelled`, `abandoned` and `crashed`. What the vessel made of
it is made again: frames, chunks, repairs, usage, metrics, and whether the answer was complete. A
call that cannot be decoded again is kept as it is, and the report says so.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ..core.clock import SYSTEM_CLOCK, Clock
from ..core.errors import RecordingCorruptError, VesselogError
from ..core.exchange import Step
from ..core.metrics import Meter
from ..core.native import NativeMessages, natives_record
from ..core.truth.call_state import PayloadTally
from ..core.truth.line_types import frame_line
from ..core.truth.recorded_frame import RecordedFrame
from ..core.truth.recording import Recording, metrics_of
from ..core.truth.scan import is_whole
from .derived_file import DerivedFile, unchanged
from .redecoding import Redecoding
from .verify import verify

__all__ = ["ChangedOutcome", "KeptCall", "RederiveReport", "rederive"]

_OF_THE_END = frozenset(
    {
        *("type", "n", "call", "t", "outcome", "error", "frames", "bytes", "sha256", "usage"),
        *("metrics", "message", "other_messages"),
    }
)


class ChangedOutcome(NamedTuple):
    """A call that ends differently when it is decoded again.

    Attributes:
        call: Its number.
        then: The recorded outcome.
        now: The outcome of decoding it again.
    """

    call: int
    then: str
    now: str


class KeptCall(NamedTuple):
    """A call that was not decoded again.

    Attributes:
        call: Its number.
        reason: Why not.
    """

    call: int
    reason: str


@dataclass(slots=True)
class RederiveReport:
    """The result of `rederive`.

    Attributes:
        path: The old recording.
        out: The new recording.
        decoded: How many calls were decoded again.
        kept: The calls that were not decoded again.
        outcomes: The calls that end differently now.
        torn: How many bytes at the end of the old file were not a whole line, and are left out.
    """

    path: Path
    out: Path
    decoded: int = 0
    torn: int = 0
    kept: list[KeptCall] = field(default_factory=list[KeptCall])
    outcomes: list[ChangedOutcome] = field(default_factory=list[ChangedOutcome])

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "path": str(self.path),
            "out": str(self.out),
            "decoded": self.decoded,
            "torn": self.torn,
            "kept": [each._asdict() for each in self.kept],
            "outcomes": [each._asdict() for each in self.outcomes],
        }


def rederive(
    path: str | os.PathLike[str], out: str | os.PathLike[str], *, clock: Clock = SYSTEM_CLOCK
) -> RederiveReport:
    """Decode a recording again, with the installed vessels, into a new recording.

    Args:
        path: The recording.
        out: The new file.
        clock: The source of times, for tests.

    Raises:
        RecordingCorruptError: The recording is damaged, not just torn at its end.
        RecordingError: `out` exists or cannot be written.
        RecordingLockedError: The recording is being written.
        SessionNameError: The name of `out` cannot be a session's name.
        ConfigurationError: `out` does not end in .jsonl, or its folder cannot be used.
    """
    report = RederiveReport(Path(path), Path(out))
    with (
        DerivedFile(report.out, report.path, "rederive", clock) as file,
        unchanged(report.path),
    ):
        _check(report)
        recording = Recording(report.path)
        plans = _plans(recording)
        _write(recording, plans, file)
    for number, plan in plans.items():
        if plan.refusal is not None:
            report.kept.append(KeptCall(number, plan.refusal))
            continue
        report.decoded += 1
        if plan.then is not None and plan.then != plan.now:
            report.outcomes.append(ChangedOutcome(number, plan.then, str(plan.now)))
    return report


def _check(report: RederiveReport) -> None:
    found = verify(report.path, decode=False)
    for finding in found.findings:
        if finding.kind == "torn":
            report.torn = report.path.stat().st_size - (finding.offset or 0)
        elif finding.severity == "error":
            raise RecordingCorruptError(
                f"{report.path} is not sound ({finding.message}): salvage it first"
            )


def _plans(recording: Recording) -> dict[int, _Plan]:
    plans: dict[int, _Plan] = {}
    for line in recording.lines():
        call = line.get("call")
        if not is_whole(call):
            continue
        if line["type"] == "request":
            plans[call] = _Plan(line)
        elif call in plans:
            plans[call].take(line)
    for plan in plans.values():
        plan.close()
    return plans


def _write(recording: Recording, plans: Mapping[int, _Plan], file: DerivedFile) -> None:
    file.header(recording.header)
    calls: dict[int, _Call] = {}
    for line in recording.lines():
        if line["type"] == "session":
            continue
        number = line.get("call")
        if not is_whole(number):
            file.line(line)
        elif line["type"] == "request" and plans[number].refusal is None:
            calls[number] = _Call(line, plans[number], file)
        elif number in calls:
            calls[number].take(line)
        else:
            file.line(line)


class _Plan:
    """A first look at a call: whether it can be decoded again, and what comes only with its end.

    refusal: why it cannot. last: the steps that come with the end. places: the numbers of the
    lines whose bytes they are. ending: outcome and error by today's rules, empty where they stay;
    then, now: the outcomes. natives: the messages in the provider's own form.
    """

    def __init__(self, request: dict[str, Any]) -> None:
        self.refusal: str | None = None
        self.last: list[Step] = []
        self.places: list[int] = []
        self.ending: dict[str, Any] = {}
        self.natives: NativeMessages = {}
        self.then: str | None = None
        self.now: str | None = None
        self._started: int = request["t"]
        self._before = PayloadTally()
        self._after = PayloadTally()
        self._again: Redecoding | None = None
        try:
            self._again = Redecoding(request)
        except VesselogError as error:
            self.refusal = error.message

    def take(self, line: dict[str, Any]) -> None:
        """The call's next line."""
        again = self._again
        if again is None:
            return
        if line["type"] == "response":
            again.respond(line)
        elif line["type"] == "frame":
            self._frame(RecordedFrame.of(line, self._started, ""), again)
        elif line["type"] == "end":
            self.last = again.finish(line)
            self._count(self.last)
            self.natives = again.native()
            self.then = self.now = str(line.get("outcome"))
            verdict = again.verdict(line)
            if verdict is not None:
                self.now, error = verdict
                self.ending = {"outcome": self.now}
                if error is not None:
                    self.ending["error"] = error.to_record()

    def close(self) -> None:
        """There are no more lines of it."""
        if self._again is not None and self._before.size != self._after.size:
            self.refusal = "today's framing would leave some of its bytes out"
        self._again = None

    def _frame(self, frame: RecordedFrame, again: Redecoding) -> None:
        self._before.add(frame.raw)
        steps = again.feed(frame)
        self._count(steps)
        if steps:
            self.places.clear()
        if self._before.size > self._after.size or not frame.raw:
            self.places.append(frame.n)

    def _count(self, steps: list[Step]) -> None:
        for step in steps:
            self._after.add(step.frame.raw)


class _Call:
    """Writes one call to the new file."""

    def __init__(self, request: dict[str, Any], plan: _Plan, file: DerivedFile) -> None:
        self._again = Redecoding(request)
        self._started: int = request["t"]
        self._plan = plan
        self._file = file
        self._last = list(plan.last)
        self._places = list(plan.places)
        self._masked = False
        self._tally = PayloadTally()
        self._meter = Meter()
        file.line({**request, "vessel_version": self._again.vessel.version})

    def take(self, line: dict[str, Any]) -> None:
        """Write what the call's next line becomes."""
        if line["type"] == "frame":
            self._frame(RecordedFrame.of(line, self._started, ""))
        elif line["type"] == "end":
            self._steps(self._last, line["call"], line["t"])
            self._file.line(self._end(line))
        else:
            if line["type"] == "response":
                self._again.respond(line)
            self._file.line(line)

    def _frame(self, frame: RecordedFrame) -> None:
        self._masked = self._masked or frame.masked
        steps = self._again.feed(frame)
        if self._places and self._places[0] == frame.n:
            del self._places[0]
            # What comes with the end stands where its bytes were; the last place takes the rest.
            count = 1 if self._places else len(self._last)
            steps += self._last[:count]
            del self._last[:count]
        self._steps(steps, frame.call, frame.t)

    def _steps(self, steps: list[Step], call: int, t: int) -> None:
        for step in steps:
            masked = step._replace(masked=self._masked)
            self._file.raw_line(frame_line(masked, self._file.n + 1, call, t))
            self._tally.add(step.frame.raw)
            if step.chunks:
                self._meter.add((step,), t - self._started)
        if steps:
            self._masked = False

    def _end(self, line: dict[str, Any]) -> dict[str, Any]:
        verdict = self._plan.ending or {k: line[k] for k in ("outcome", "error") if k in line}
        fields = {"type": "end", "call": line["call"], "t": line["t"], **verdict}
        fields |= self._tally.record()
        if self._meter.usage is not None:
            fields["usage"] = self._meter.usage.model_dump(exclude_none=True)
        before = metrics_of(line)
        if before is not None:
            metrics = self._meter.metrics(round(before.duration * 1e6))
            fields["metrics"] = metrics.model_dump(exclude_none=True)
        fields |= natives_record(self._plan.natives)
        return {**fields, **{k: v for k, v in line.items() if k not in _OF_THE_END}}
