"""Salvage: a sound file with every line that can be read, and a report of what it cost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from house import ROOT
from sessions import ManualClock, kinds, read, record, request, step, write
from thorough import tries
from vesselog import (
    ConfigurationError,
    Recording,
    RecordingCorruptError,
    RecordingError,
    RecordingLockedError,
    SessionNameError,
    TruncatedError,
    replay,
    verify,
)
from vesselog.core.truth.line import build_line
from vesselog.core.truth.session import Session
from vesselog.maintenance.salvage import SalvageReport, salvage

SAMPLE = (ROOT / "recordings/samples/ollama-truncated.jsonl").read_bytes()


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def salvaged(path: Path, out: str = "out") -> tuple[SalvageReport, Path]:
    """Salvage it; the new file is sound."""
    new = path.with_name(f"{out}.jsonl")
    report = salvage(path, new, clock=ManualClock())
    found = verify(new)
    assert found.ok, found.findings
    assert report.lines == len(lines_of(new))
    return report, new


def test_a_sound_file_comes_out_the_same_but_for_its_header(tmp_path: Path) -> None:
    path = record(tmp_path)
    report, new = salvaged(path)
    assert (report.lost, report.changed) == ([], [])
    assert lines_of(new)[1:] == lines_of(path)[1:]
    origin = Recording(new).header["meta"]["derived_from"]
    assert (origin["how"], origin["session"], origin["file"]) == ("salvage", "a", "a.jsonl")
    assert Recording(new).session == "out"


def test_a_lost_frame_is_told_and_the_answer_no_longer_complete(tmp_path: Path) -> None:
    path = record(tmp_path, texts=["one ", "two ", "three"])
    lines = lines_of(path)
    offset = sum(map(len, lines[:5]))
    lines[5] = b"\0" * len(lines[5][:-1]) + b"\n"
    path.write_bytes(b"".join(lines))
    report, new = salvaged(path)
    assert [note[:2] for note in report.lost] == [(6, offset)]
    assert [note.message for note in report.changed] == [
        "the chunks of call 1 got new numbers",
        "call 1 has 2 of its 3 frames left",
    ]
    (call,) = Recording(new).calls()
    assert call.outcome == "truncated"
    again = replay(new, speed=0)
    with pytest.raises(TruncatedError, match="2 of its 3 frames"):
        list(again)
    assert again.completion.text == "one three"


def test_a_lost_end_is_told_and_the_call_interrupted(tmp_path: Path) -> None:
    path = record(tmp_path)
    path.write_bytes(b"".join(lines_of(path)[:-1]) + b'{"type":"end","n":6,"ca')
    report, new = salvaged(path)
    assert [note.message for note in report.lost] == ["it cannot be read"]
    assert [call.outcome for call in Recording(new).calls()] == ["interrupted"]


def test_a_lost_request_is_replaced_by_one_that_knows_nothing(tmp_path: Path) -> None:
    path = record(tmp_path)
    lines = lines_of(path)
    path.write_bytes(b"".join([*lines[:2], *lines[3:]]))
    report, new = salvaged(path)
    assert [note.message for note in report.changed] == [
        "the request of its call 1 is lost; an empty one was made"
    ]
    (call,) = Recording(new).calls()
    assert call.request["salvaged"] is True
    assert call.request["vessel"] is None
    assert call.completion().text == "Hello"


def test_a_lost_header_is_replaced(tmp_path: Path) -> None:
    path = record(tmp_path)
    path.write_bytes(b"".join(lines_of(path)[1:]))
    report, new = salvaged(path)
    assert [note.message for note in report.changed] == ["there is no header; a new one was made"]
    assert [call.outcome for call in Recording(new).calls()] == ["complete"]


def test_a_line_glued_to_the_remains_of_another_is_found(tmp_path: Path) -> None:
    path = record(tmp_path, texts=["one ", "two ", "three"])
    lines = lines_of(path)
    lines[4] = lines[4][:40]
    path.write_bytes(b"".join(lines))
    report, new = salvaged(path)
    assert [note[:3] for note in report.lost] == [(5, sum(map(len, lines[:4])), 40)]
    assert "".join(chunk.text for chunk in Recording(new).chunks()) == "two three"


def test_an_edited_line_is_kept_and_told(tmp_path: Path) -> None:
    path = record(tmp_path, texts=["secret ", "rest"])
    path.write_bytes(path.read_bytes().replace(b"secret", b"[gone]"))
    report, new = salvaged(path)
    assert [note.message for note in report.changed] == [
        "it does not match its check: it was edited, or is damaged",
        "the frames of call 1 are not as they were recorded",
    ]
    (call,) = Recording(new).calls()
    assert call.outcome == "complete"
    assert call.completion().text == "[gone] rest"


def test_a_file_written_by_hand_without_checks(tmp_path: Path) -> None:
    path = tmp_path / "hand.jsonl"
    path.write_text(
        "\n".join(
            json.dumps(line)
            for line in [
                {"type": "session", "vesselog": 1, "session": "hand", "mine": [1]},
                {"type": "request", "call": 1, "t": 5, "vessel": "ollama", "retry_of": [3]},
                {"type": "frame", "call": 1, "t": 9, "raw": "x", "chunks": [{"text": "Hi"}]},
                {"type": "frame", "call": 1, "t": 7, "raw": "y", "chunks": [{"text": 1}]},
                {"type": "frame", "call": 1},
                {"type": "remark", "call": 1, "says": "by hand"},
                {"type": "end", "call": 1, "t": 10, "outcome": "complete", "frames": 2},
                {"type": "end", "call": 1, "t": 11, "outcome": "error"},
                {"type": "request", "call": 1, "t": 12},
                {"type": "frame", "call": {}, "t": True, "raw": "z"},
                {"type": "session"},
            ]
        )
        + "\n"
    )
    report, new = salvaged(path)
    assert [line["type"] for line in read(new)] == [
        *("session", "request", "frame", "frame", "remark", "end"),
        *("request", "request", "frame"),
    ]
    assert Recording(new).header["mine"] == [1]
    assert [call.number for call in Recording(new).calls()] == [1, 2, 3]
    assert [note.line for note in report.lost] == [5, 8, 11]
    told = " ".join(note.message for note in report.changed)
    assert "its chunks are left out" in told
    assert "its call number 1 is now 2" in told


def test_calls_that_overlap_keep_apart(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "a")
    one, two = session.begin(request()), session.begin(request(retry_of=1))
    write(one, [step(0, "1a")])
    write(two, [step(0, "2a")])
    write(one, [step(1, "1b")])
    one.end("complete")
    two.end("cancelled")
    session.close()
    lines = lines_of(session.path)
    del lines[2]
    session.path.write_bytes(b"".join(lines))
    _, new = salvaged(session.path)
    calls = {call.completion().text: call for call in Recording(new).calls()}
    assert calls.keys() == {"1a1b", "2a"}
    assert [call.outcome for call in calls.values()] == ["cancelled", "complete"]


@pytest.mark.parametrize("content", [b"", b"\n", b"Hello\n", b'{"type":"mine"}\n', b"[]"])
def test_what_is_no_recording_is_refused_and_nothing_written(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(RecordingCorruptError, match="no line of a recording"):
        salvage(path, tmp_path / "out.jsonl")
    assert list(tmp_path.iterdir()) == [path]


def test_a_later_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(build_line({"type": "session", "vesselog": 2, "crc32": True}))
    with pytest.raises(RecordingCorruptError, match="format version 2"):
        salvage(path, tmp_path / "out.jsonl")


def test_a_file_that_is_there_is_never_written_over(tmp_path: Path) -> None:
    path = record(tmp_path)
    before = path.read_bytes()
    with pytest.raises(RecordingError, match="exists already"):
        salvage(path, path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("out", "error"),
    [
        ("out.json", ConfigurationError),
        ("two words.jsonl", SessionNameError),
        ("none/out.jsonl", RecordingError),
    ],
)
def test_a_place_that_cannot_be_written_is_refused(
    tmp_path: Path, out: str, error: type[Exception]
) -> None:
    path = record(tmp_path)
    with pytest.raises(error):
        salvage(path, tmp_path / out)
    assert list(tmp_path.iterdir()) == [path]


def test_a_recording_that_is_written_is_left_alone(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "a")
    writer = session.begin(request())
    with pytest.raises(RecordingLockedError, match="being written"):
        salvage(session.path, tmp_path / "out.jsonl")
    assert list(tmp_path.iterdir()) == [session.path]
    writer.end("complete")
    session.close()
    assert kinds(session.path)[-2:] == ["end complete", "close"]


@settings(max_examples=tries(40, 150))
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["flip", "cut", "zero", "twice", "garbage"]),
            st.integers(0, len(SAMPLE) - 1),
            st.integers(1, 400),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_whatever_was_done_to_it_the_result_is_sound(
    tmp_path_factory: pytest.TempPathFactory, damage: list[tuple[str, int, int]]
) -> None:
    """And has every frame line that was left whole."""
    data = bytearray(SAMPLE)
    for kind, at, size in damage:
        if kind == "flip":
            data[at % len(data)] ^= 1 << size % 8
        elif kind == "cut":
            del data[at : at + size]
        elif kind == "zero":
            data[at : at + size] = bytes(len(data[at : at + size]))
        elif kind == "twice":
            data[at:at] = data[at : at + size]
        else:
            data[at:at] = b"\xff{\n" * (size % 7)
        data = data or bytearray(b"\n")
    folder = tmp_path_factory.mktemp("damaged")
    path = folder / "a.jsonl"
    path.write_bytes(data)
    try:
        _, new = salvaged(path)
    except RecordingCorruptError:
        assert not any(line in SAMPLE for line in bytes(data).split(b"\n") if len(line) > 20)
        return
    kept = {line["raw"] for line in read(new) if line["type"] == "frame" and "raw" in line}
    whole = set(bytes(data).split(b"\n")[:-1]) & set(SAMPLE.split(b"\n"))
    for line in whole:
        if line.startswith(b'{"type":"frame"') and data.count(line) == 1:
            assert json.loads(line)["raw"] in kept
