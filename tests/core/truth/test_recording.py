"""Reading: what was written comes back equal, lazily, whatever the end of the file looks like."""

from __future__ import annotations

import logging
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sessions import record, request, step, write
from thorough import tries
from vesselog import (
    ProviderError,
    Recording,
    RecordingCorruptError,
    RecordingError,
    StreamTimeoutError,
    TruncatedError,
)
from vesselog.core.chunk import StreamChunk
from vesselog.core.errors import VesselogError
from vesselog.core.exchange import Step
from vesselog.core.frame import Frame
from vesselog.core.framing import Framing
from vesselog.core.truth.line import build_line
from vesselog.core.truth.session import Session

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
FIELDS = st.fixed_dictionaries(
    {"seq": st.integers(0, 2**40)},
    optional={
        "text": TEXT,
        "reasoning": TEXT,
        "choice": st.integers(0, 5),
        "tool_calls": st.lists(
            st.fixed_dictionaries({"slot": TEXT}, optional={"arguments": TEXT, "id": TEXT}),
            max_size=2,
        ),
        "logprobs": st.recursive(
            st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers() | TEXT,
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
            max_leaves=5,
        ),
        "finish_reason": st.sampled_from(["stop", "length", "other"]),
        "usage": st.fixed_dictionaries({}, optional={"input_tokens": st.integers(0, 2**40)}),
        "extra": st.dictionaries(TEXT, st.integers() | TEXT, max_size=2),
    },
)
STEPS = st.lists(st.tuples(st.binary(max_size=60), st.lists(FIELDS, max_size=3)), max_size=6)


@settings(max_examples=tries(20, 60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_chunks_and_bytes_come_back_as_they_were(
    tmp_path: Path, drawn: list[tuple[bytes, list[dict[str, Any]]]]
) -> None:
    steps: list[Step] = []
    for raw, fields in drawn:
        steps.append(Step(Frame(raw, Framing.NDJSON), fields=tuple(fields)))
    session = Session.open(tmp_path)
    writer = session.begin(request())
    seen = write(writer, steps)
    writer.end("complete")
    session.close()
    recording = Recording(session.path)
    (call,) = recording.calls()
    assert list(call.chunks()) == list(recording.chunks()) == seen
    assert [chunk.raw for chunk in call.chunks()] == [chunk.raw for chunk in seen]
    assert [frame.raw for frame in call.frames()] == [raw for raw, _ in drawn]
    assert [chunk for frame in recording.frames() for chunk in frame.chunks()] == seen


def test_a_recording_tells_its_story(tmp_path: Path) -> None:
    recording = Recording(str(record(tmp_path, "chat-42")))
    assert recording.session == recording.header["session"] == "chat-42"
    assert recording.torn == 0
    (call,) = recording.calls()
    assert (call.number, call.outcome, call.error) == (1, "complete", None)
    assert call.request["body"]["model"] == "m"
    assert call.response is not None
    assert call.response["status"] == 200
    assert call.end is not None
    assert call.end["frames"] == 2
    completion = call.completion()
    assert (completion.text, completion.outcome) == ("Hello", "complete")
    assert (completion.session, completion.call) == ("chat-42", 1)


@pytest.mark.parametrize(
    "error",
    [
        ProviderError("busy", status=503, code="x", retryable=True),
        StreamTimeoutError("late", phase="first_chunk"),
        TruncatedError("cut", phase="body"),
    ],
)
def test_an_error_is_built_anew(tmp_path: Path, error: VesselogError) -> None:
    session = Session.open(tmp_path, "a")
    writer = session.begin(request())
    writer.end("error", error=error)
    session.close()
    (call,) = Recording(session.path).calls()
    again = call.error
    assert type(again) is type(error)
    assert again.to_record() == error.to_record()
    assert (again.session, again.call) == ("a", 1)


@pytest.mark.parametrize("outcome", ["cancelled", "abandoned"])
def test_an_answer_that_was_left_has_no_error(tmp_path: Path, outcome: Any) -> None:
    session = Session.open(tmp_path, "a")
    session.begin(request()).end(outcome)
    session.close()
    (call,) = Recording(session.path).calls()
    assert (call.outcome, call.error) == (outcome, None)


def test_no_end_line_means_interrupted(tmp_path: Path) -> None:
    path = record(tmp_path)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    (call,) = Recording(path).calls()
    assert call.outcome == "interrupted"
    assert call.completion().outcome is None
    assert isinstance(call.error, TruncatedError)


def test_overlapping_calls_are_told_apart(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "a")
    first, second = session.begin(request()), session.begin(request())
    seen: dict[int, list[StreamChunk]] = {1: [], 2: []}
    for seq in range(5):
        seen[1] += write(first, [step(seq, "a")])
        seen[2] += write(second, [step(seq, "b")])
    second.end("complete")
    seen[1] += write(first, [step(5, "a")])
    first.end("cancelled")
    session.close()
    calls = list(Recording(session.path).calls())
    assert {call.number: list(call.chunks()) for call in calls} == seen
    assert [call.outcome for call in calls] == ["cancelled", "complete"]


def test_a_file_cut_at_any_byte_reads_as_what_came_before(tmp_path: Path) -> None:
    whole = record(tmp_path).read_bytes()
    expected = list(Recording(tmp_path / "a.jsonl").lines())
    path = tmp_path / "cut.jsonl"
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        recording = Recording(path)
        lines = list(recording.lines())
        assert lines == expected[: len(lines)]
        assert len(lines) == whole[:cut].count(b"\n")
        assert recording.torn == cut - (whole.rfind(b"\n", 0, cut) + 1)
        assert [call.outcome for call in recording.calls()] in ([], ["interrupted"])


def test_unknown_types_and_keys_are_kept_and_ignored(tmp_path: Path) -> None:
    path = record(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    n = len(lines)
    later = build_line({"type": "summary", "n": n, "t": 10**9, "new": [1]})
    path.write_bytes(b"".join([*lines, later]))
    recording = Recording(path)
    assert list(recording.lines())[-1]["new"] == [1]
    assert [call.completion().text for call in recording.calls()] == ["Hello"]
    session = Session.open(tmp_path, "a")
    assert session.begin(request()).call == 2
    session.close()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"text":"Hel"', b'"text":"hel"'),
        (b'"type":"frame"', b'"type": "frame", "note": "mine"'),
        (b'{"type":"end"', b'\n{"type":"end"'),
        (b"\n", b"\r\n"),
    ],
)
def test_a_file_edited_by_hand_still_reads(
    tmp_path: Path, old: bytes, new: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = record(tmp_path)
    path.write_bytes(path.read_bytes().replace(old, new))
    with caplog.at_level(logging.WARNING, "vesselog"):
        (call,) = Recording(path).calls()
        assert call.completion().text.lower() == "hello"
    told = [entry for entry in caplog.messages if "does not match its check" in entry]
    assert len(told) == (0 if old == b'{"type":"end"' else 1)


@pytest.mark.parametrize("number", range(1, 6))
def test_a_missing_line_is_told_and_the_rest_still_reads(
    tmp_path: Path, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = record(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:number], *lines[number + 1 :]]))
    recording = Recording(path)
    assert len(list(recording.lines())) == len(list(recording.lines())) == len(lines) - 1
    (told,) = caplog.messages
    assert told.endswith(f"has number {number + 1}, not {number}: lines are missing or moved")


def test_a_file_without_checks_reads_quietly(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"type": "session", "vesselog": 1, "session": "mine"}\n'
        '{"type": "request", "call": 1, "t": 0}\n'
        '{"type": "frame", "n": 2, "call": 1, "t": 5, "raw": "x", "chunks": [{"text": "x"}]}\n'
    )
    assert [chunk.text for chunk in Recording(path).chunks()] == ["x"]
    assert caplog.messages == []


def test_damage_in_the_middle_is_told_with_its_place(tmp_path: Path) -> None:
    path = record(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    place = len(b"".join(lines[:4]))
    lines[4] = lines[4][:10] + b"\0\n"
    path.write_bytes(b"".join(lines))
    seen = []
    with pytest.raises(RecordingCorruptError, match=rf"line 5 \(byte {place}\)"):
        seen.extend(Recording(path).lines())
    assert len(seen) == 4


@pytest.mark.parametrize(
    "content",
    [
        b"hello\n",
        b'{"hello": 1}\n',
        b'{"type": "session"}\n',
        b"\x7fELF\0\0",
        b"[1, 2]",
        b"data: {}\n\n",
    ],
)
def test_a_foreign_file_is_told_as_such(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(RecordingCorruptError, match=r"notes\.txt is not a recording"):
        Recording(path)


def test_a_later_format_is_told_as_such(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(build_line({"type": "session", "vesselog": 2}))
    with pytest.raises(RecordingCorruptError, match="format version 2"):
        Recording(path)


def test_a_folder_or_no_file_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="is a folder"):
        Recording(tmp_path)
    with pytest.raises(RecordingError, match="no recording"):
        Recording(tmp_path / "x.jsonl")


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs Linux's /proc")
def test_a_file_that_cannot_be_read_is_told_as_such() -> None:
    """A file that opens and then fails, even for root."""
    with pytest.raises(RecordingError, match="cannot read /proc/self/mem: Input/output error"):
        Recording("/proc/self/mem")


@pytest.mark.parametrize(
    "broken",
    [
        {"chunks": [{"seq": "x"}]},
        {"chunks": [7]},
        {"chunks": 7},
        {"raw_b64": "%"},
        {"raw": "x", "t": None},
        {"raw": "x", "call": [1]},
        {"raw": "\ud800", "chunks": [{"seq": 0, "text": "x"}]},
        {"raw": ["x"], "chunks": [{"seq": 0, "text": "x"}]},
        {},
    ],
)
def test_a_frame_that_cannot_be_one_is_damage(tmp_path: Path, broken: dict[str, Any]) -> None:
    path = tmp_path / "a.jsonl"
    lines = [
        {"type": "session", "vesselog": 1},
        {"type": "request", "n": 1, "call": 1, "t": 0},
        {"type": "frame", "n": 2, "call": 1, "t": 1, **broken},
    ]
    if "chunks" in broken:
        lines[-1].setdefault("raw", "x")
    path.write_bytes(b"".join(build_line(line) for line in lines))
    with pytest.raises(RecordingCorruptError, match="line 3"):
        list(Recording(path).chunks())


def long_recording(path: Path, frames: int) -> None:
    head = [
        {"type": "session", "vesselog": 1, "crc32": True},
        {"type": "request", "n": 1, "call": 1, "t": 0},
    ]
    with path.open("wb") as file:
        file.writelines(build_line(line) for line in head)
        for seq in range(frames):
            chunk = {"seq": seq, "text": "word "}
            frame = {"type": "frame", "n": seq + 2, "call": 1, "t": seq, "raw": '{"a": 1}\n'}
            file.write(build_line({**frame, "chunks": [chunk]}))


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    peaks = []
    for frames in (2_000, 20_000):
        path = tmp_path / f"{frames}.jsonl"
        long_recording(path, frames)
        tracemalloc.start()
        assert sum(1 for _ in Recording(path).frames()) == frames
        (call,) = Recording(path).calls()
        assert sum(1 for _ in call.frames()) == frames
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 200_000


def test_time_is_linear_in_the_file(tmp_path: Path) -> None:
    """With calls that never ended, too: the worst case for reading one call at a time."""
    times = []
    for frames in (5_000, 40_000):
        path = tmp_path / f"{frames}.jsonl"
        long_recording(path, frames)
        start = time.process_time()
        (call,) = Recording(path).calls()
        assert call.end is None
        assert sum(1 for _ in call.frames()) == frames
        times.append(time.process_time() - start)
    assert times[1] < 8 * times[0] * 3
