"""Checks of content: every byte, the expected answer, unknown fields, and encoding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

from ..vessels import ProtocolError, StreamChunk
from .running import Case, Ran, ending, run, shown

__all__ = ["exact", "expected", "round_trip", "unknown_fields"]

_UNKNOWN = b'"x_conformance":{"kept":[1,null]}'


def exact(case: Case) -> Iterator[str]:
    """Every byte is in one frame, in order; the chunks are counted from 0 without gaps."""
    whole = case.whole
    if b"".join(whole.frames) != case.body.content:
        yield "the frames do not add up to the body's bytes"
    if [chunk.seq for chunk in whole.chunks] != list(range(len(whole.chunks))):
        yield "the chunks are not numbered 0, 1, 2 …"
    if isinstance(whole.error, ProtocolError) and (case.body.expected or {}).get("outcome") is None:
        yield f"it cannot be decoded: {shown(whole.error)}"


def expected(case: Case) -> Iterator[str]:
    """The answer is the expected one, of the file beside the body or of the recording."""
    wanted = case.body.expected
    if wanted is None:
        return
    found = case.whole.completion.model_dump(mode="json") | {"outcome": case.whole.outcome}
    for name, value in wanted.items():
        if name not in found:
            yield f"{name} is no field of a completion"
        elif name == "outcome" and found[name] != value:
            yield f"it ends as {ending(case.whole)}, not as {shown(value)}"
        elif not _holds(found[name], value):
            yield f"{name} is {shown(found[name])}, not {shown(value)}"


def unknown_fields(case: Case) -> Iterator[str]:
    """An unknown field in every frame does not change the answer."""
    frames = case.whole.frames
    changed = [_with_unknown(raw) for raw in frames]
    if _equal(case.whole, case.run(b"".join(changed))):
        return
    for number, raw in enumerate(changed):
        ran = case.run(b"".join((*frames[:number], raw, *frames[number + 1 :])))
        if not _equal(case.whole, ran):
            yield f"an unknown field in frame {number} changes the answer: {shown(raw)}"
            return
    yield "an unknown field in every frame changes the answer"


def round_trip(case: Case) -> Iterator[str]:
    """What the vessel encodes, a fresh decoder of it reads as the same chunk."""
    body = replace(case.body, status=200, content_type="", stream=True)
    request = replace(case.request, stream=True, split_think=False)
    if not case.request.stream:
        return
    for chunk in case.whole.chunks:
        frame = case.vessel.encode(chunk)
        if frame is None:
            continue
        again = run(case.vessel, request, body, frame)
        if [_bare(each) for each in again.chunks] != [_bare(chunk)]:
            instead = [_bare(each) for each in again.chunks]
            yield (
                f"chunk {chunk.seq} is encoded as {shown(frame)}, which is read as "
                f"{shown(instead)}, not {shown(_bare(chunk))}"
            )
            return


def _equal(whole: Ran, ran: Ran) -> bool:
    """Whether two answers are the same but for what is the provider's own."""
    left_out: dict[str, Any] = {"extra": True, "choices": {"__all__": {"extra"}}}
    answers = [each.completion.model_dump(exclude=left_out) for each in (whole, ran)]
    return answers[0] == answers[1] and whole.outcome == ran.outcome


def _with_unknown(raw: bytes) -> bytes:
    """The frame with one more field at the front of its object; itself where there is none."""
    start = raw.find(b"{") + 1
    if not start or raw[start:].lstrip()[:1] != b'"':
        return raw
    return raw[:start] + _UNKNOWN + b"," + raw[start:]


def _bare(chunk: StreamChunk) -> dict[str, Any]:
    return chunk.model_dump(exclude={"call", "seq", "t", "raw"}, exclude_defaults=True)


def _holds(found: Any, wanted: Any) -> bool:
    """Whether everything wanted is found; an object may hold more."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        there = cast("Mapping[str, Any]", found)
        fields = cast("Mapping[str, Any]", wanted)
        return all(key in there and _holds(there[key], fields[key]) for key in fields)
    if isinstance(wanted, list) and isinstance(found, list):
        pairs = cast("list[Any]", found), cast("list[Any]", wanted)
        return len(pairs[0]) == len(pairs[1]) and all(map(_holds, *pairs))
    return bool(found == wanted)
