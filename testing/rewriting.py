"""Calls of recordings, changed or not, written as one new recording that `verify` finds sound.

Calls that were recorded to several files at once are put in the order of their times. A call whose
bytes were changed is decoded again; all others keep their lines but for numbers and times.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.clock import parse_timestamp
from ..core.metrics import Meter
from ..core.native import natives_record
from ..core.truth.call_state import PayloadTally
from ..core.truth.close_line import close_line
from ..core.truth.files import create_file, explained
from ..core.truth.line import build_line
from ..core.truth.line_types import frame_line, header_line, open_line
from ..core.truth.recorded_frame import RecordedFrame
from ..core.truth.recording import Recording, metrics_of
from ..maintenance.redecoding import Redecoding

__all__ = ["DraftCall", "draft_calls", "write_calls"]

_OF_THE_LINE = frozenset({"type", "n", "call", "t", "crc", "exact"})
# Made anew where a call is decoded again.
_DECODED = frozenset(
    {
        *("outcome", "error", "frames", "bytes", "sha256", "usage", "metrics"),
        *("message", "other_messages"),
    }
)


@dataclass(slots=True)
class DraftCall:
    """One call. lines: as stored, from its request to its end, each `t` since 1970.

    changed: bytes of its frames were changed. source: its file and its number there. ending:
    outcome and error, where the decoder is not to decide them.
    """

    lines: list[dict[str, Any]]
    source: tuple[str, int]
    changed: bool = False
    ending: dict[str, Any] | None = None

    @property
    def request(self) -> dict[str, Any]:
        """The request line."""
        return self.lines[0]

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        """Its lines of a type."""
        return [line for line in self.lines if line["type"] == kind]


@dataclass(slots=True)
class _Output:
    """The lines of the new file. begun: microseconds since 1970 at its time 0."""

    begun: int
    parts: list[bytes]
    n: int = 1
    t: int = 0

    def time(self, wall: int) -> int:
        """A time of the file, never before the last one."""
        self.t = max(self.t, wall - self.begun)
        return self.t

    def add(self, line: Mapping[str, Any], call: int) -> None:
        """Add a line with new numbers."""
        self.n += 1
        fields = {key: value for key, value in line.items() if key not in _OF_THE_LINE}
        own = {"type": line["type"], "n": self.n, "call": call, "t": self.time(line["t"])}
        self.parts.append(build_line({**own, **fields}, exact=line.get("exact") is True))


def draft_calls(paths: Iterable[Path]) -> list[DraftCall]:
    """The calls of recordings, that which began first first. Raises RecordingError."""
    found: list[DraftCall] = []
    for path in paths:
        recording = Recording(path)
        begun: int | None = None
        running: dict[object, DraftCall] = {}
        for line in recording.lines():
            if line["type"] == "open":
                opened = parse_timestamp(line.get("at"))
                begun = begun if begun is not None or opened is None else opened - line["t"]
            elif "call" in line:
                placed = {**line, "t": (begun or 0) + line["t"]}
                if line["type"] == "request":
                    call = DraftCall([placed], (recording.path.name, line["call"]))
                    running[line["call"]] = call
                    found.append(call)
                elif line["call"] in running:
                    running[line["call"]].lines.append(placed)
    return sorted(found, key=lambda call: call.request["t"])


def write_calls(calls: Iterable[DraftCall], out: Path, meta: Mapping[str, Any]) -> None:
    """Write a new recording at `out`, whole or not at all; one that is there is replaced.

    meta: kept in its first line. Raises RecordingError.
    """
    ordered = sorted(calls, key=lambda call: call.request["t"])
    begun = ordered[0].request["t"] if ordered else 0
    output = _Output(begun, [header_line(out.stem, meta), open_line(1, 0, begun)])
    numbers = {call.source: number for number, call in enumerate(ordered, 1)}
    events = [
        (line["t"], number, place, write)
        for number, call in enumerate(ordered, 1)
        for place, (line, write) in enumerate(_writers(call, numbers))
    ]
    for _, number, _, write in sorted(events, key=lambda event: event[:3]):
        write(output, number)
    if all(call.lines[-1]["type"] == "end" for call in ordered):
        output.parts.append(close_line(output.n + 1, output.t, len(ordered), begun))
    _replace(out, b"".join(output.parts))


class _Kept:
    """Writes a line as it is."""

    def __init__(self, line: Mapping[str, Any]) -> None:
        self._line = line

    def __call__(self, output: _Output, call: int) -> None:
        output.add(self._line, call)


@dataclass(slots=True)
class _Decoded:
    """What writes the lines of a call that is decoded again.

    masked: something in the bytes that were not written yet is masked.
    """

    again: Redecoding
    started: int = 0
    masked: bool = False
    tally: PayloadTally = field(default_factory=PayloadTally)
    meter: Meter = field(default_factory=Meter)

    def write(self, output: _Output, steps: Iterable[Any], call: int, t: int) -> None:
        """Write the frames of what was decoded."""
        for step in steps:
            output.n += 1
            at = output.time(t)
            marked = step._replace(masked=self.masked)
            output.parts.append(frame_line(marked, output.n, call, at))
            self.tally.add(step.frame.raw)
            if step.chunks:
                self.meter.add((step,), at - self.started)
            self.masked = False


class _Again:
    """Writes what decoding makes of a line."""

    def __init__(self, line: dict[str, Any], draft: DraftCall, decoded: _Decoded) -> None:
        self._line = line
        self._draft = draft
        self._decoded = decoded

    def __call__(self, output: _Output, call: int) -> None:
        decoded, line = self._decoded, self._line
        kind = line["type"]
        if kind == "request":
            decoded.started = output.time(line["t"])
            version = decoded.again.vessel.version
            output.add({**line, "vessel_version": version}, call)
        elif kind == "frame":
            at = line["t"] - output.begun
            placed = {**line, "n": output.n + 1, "call": call, "t": at}
            frame = RecordedFrame.of(placed, decoded.started, "a frame")
            decoded.masked = decoded.masked or frame.masked
            decoded.write(output, decoded.again.feed(frame), call, line["t"])
        elif kind == "end":
            decoded.write(output, decoded.again.finish(line), call, line["t"])
            output.add(self._end(output), call)
        else:
            if kind == "response":
                decoded.again.respond(line)
            output.add(line, call)

    def _end(self, output: _Output) -> dict[str, Any]:
        decoded, line = self._decoded, self._line
        verdict = decoded.again.verdict(line)
        if self._draft.ending is not None:
            ending = self._draft.ending
        elif verdict is None:
            ending = {key: line[key] for key in ("outcome", "error") if key in line}
        else:
            outcome, error = verdict
            ending = {"outcome": outcome} | ({} if error is None else {"error": error.to_record()})
        fields = {key: value for key, value in line.items() if key not in _DECODED}
        fields |= {**ending, **decoded.tally.record()}
        if decoded.meter.usage is not None:
            fields["usage"] = decoded.meter.usage.model_dump(exclude_none=True)
        if metrics_of(line) is not None:
            age = output.time(line["t"]) - decoded.started
            fields["metrics"] = decoded.meter.metrics(age).model_dump(exclude_none=True)
        return fields | natives_record(decoded.again.native())


def _writers(
    call: DraftCall, numbers: Mapping[tuple[str, int], int]
) -> Iterator[tuple[dict[str, Any], _Kept | _Again]]:
    """The call's lines, each with what writes it."""
    request = dict(call.request)
    first = request.pop("retry_of", None)
    if first is not None and (call.source[0], first) in numbers:
        request["retry_of"] = numbers[call.source[0], first]
    decoded = _Decoded(Redecoding(request)) if call.changed else None
    for line in (request, *call.lines[1:]):
        yield line, _Kept(line) if decoded is None else _Again(line, call, decoded)


def _replace(out: Path, content: bytes) -> None:
    part = out.with_name(f"{out.name}.{secrets.token_hex(8)}.part")
    with explained(f"write {out}"):
        out.parent.mkdir(parents=True, exist_ok=True)
        try:
            with os.fdopen(create_file(part), "wb") as file:
                file.write(content)
            part.replace(out)
        finally:
            with suppress(FileNotFoundError):
                part.unlink()
