"""Rederive: the facts stay, the vessel's part is made anew, and what cannot be is kept and told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from house import ROOT
from louder import install
from sessions import ManualClock, read, record, request, step, write
from vesselog import (
    ConnectionFailedError,
    Recording,
    RecordingCorruptError,
    RecordingError,
    RecordingLockedError,
    TruncatedError,
    replay,
    verify,
)
from vesselog.core.completion import Outcome
from vesselog.core.errors import VesselogError
from vesselog.core.exchange import Step
from vesselog.core.frame import Frame
from vesselog.core.framing import Framing
from vesselog.core.truth.line import build_line
from vesselog.core.truth.session import Session
from vesselog.maintenance.rederive import RederiveReport, rederive
from vesselog.vessels.ollama import Ollama

SAMPLES = sorted((ROOT / "recordings/samples").glob("*.jsonl"))


def rederived(path: Path, out: str = "out") -> tuple[RederiveReport, Path]:
    """Rederive it; the new file is sound, and does not drift."""
    new = path.with_name(f"{out}.jsonl")
    report = rederive(path, new, clock=ManualClock())
    found = verify(new)
    assert found.ok, found.findings
    assert found.drifting == 0
    return report, new


def recorded(
    folder: Path,
    frames: list[bytes],
    outcome: Outcome | None = "complete",
    error: VesselogError | None = None,
    **words: Any,
) -> Path:
    """A call with these frames, none of which was understood then. No outcome: no end line."""
    clock = ManualClock()
    session = Session.open(folder, "a", clock=clock)
    writer = session.begin(request(stream=True, **words))
    clock.pass_seconds(0.5)
    writer.response(200, {"content-type": "application/x-ndjson"})
    for raw in frames:
        clock.pass_seconds(0.25)
        write(writer, [Step(Frame(raw, Framing.NDJSON))])
    clock.pass_seconds(0.25)
    writer.end(outcome or "complete", error=error, metrics={"duration": 3.0})
    session.close()
    if outcome is None:
        lines = session.path.read_bytes().splitlines(keepends=True)
        session.path.write_bytes(b"".join(lines[:-2]))
    return session.path


def said(text: str, **more: Any) -> bytes:
    return json.dumps({"message": {"content": text}, "done": False, **more}).encode() + b"\n"


LAST = said("", done=True, done_reason="stop", eval_count=2, eval_duration=10**9)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_with_the_same_vessel_every_line_but_the_header_is_the_same(
    tmp_path: Path, path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    report = rederive(path, out)
    assert (report.decoded, report.kept, report.outcomes) == (1, [], [])
    assert out.read_bytes().splitlines()[1:] == path.read_bytes().splitlines()[1:]


def test_the_header_names_the_origin_and_its_own(tmp_path: Path) -> None:
    _, once = rederived(record(tmp_path), "once")
    _, twice = rederived(once, "twice")
    origin = Recording(twice).header["meta"]["derived_from"]
    assert (origin["how"], origin["session"], origin["file"]) == (
        *("rederive", "once"),
        "once.jsonl",
    )
    assert origin["derived_from"]["session"] == "a"
    assert Recording(twice).session == "twice"


def test_a_better_vessel_makes_other_chunks_of_the_same_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = recorded(tmp_path, [said("Hel"), said("lo"), LAST])
    install(monkeypatch)
    _, new = rederived(path)
    before, after = read(path), read(new)
    assert [line["t"] for line in after[1:]] == [line["t"] for line in before[1:]]
    assert [line.get("raw") for line in after] == [line.get("raw") for line in before]
    (call,) = Recording(new).calls()
    assert call.completion().text == "HELLO"
    assert call.request["vessel_version"] == "9.9"
    assert after[-2]["usage"] == {"output_tokens": 2}
    metrics = after[-2]["metrics"]
    assert (metrics["duration"], metrics["time_to_first_chunk"]) == (3.0, 0.75)
    assert metrics["output_tokens_per_second"] == 2.0


def test_an_answer_that_is_whole_today_is_complete(tmp_path: Path) -> None:
    path = recorded(tmp_path, [said("Hi"), LAST], "truncated")
    report, new = rederived(path)
    assert report.outcomes == [(1, "truncated", "complete")]
    assert [call.outcome for call in Recording(new).calls()] == ["complete"]
    assert "error" not in read(new)[-2]


def test_an_answer_that_is_not_whole_today_is_not_complete(tmp_path: Path) -> None:
    report, new = rederived(recorded(tmp_path, [said("Hi")]))
    assert report.outcomes == [(1, "complete", "truncated")]
    assert read(new)[-2]["error"]["type"] == "TruncatedError"


@pytest.mark.parametrize("outcome", ["cancelled", "abandoned", "crashed"])
def test_what_became_of_the_call_is_a_fact(tmp_path: Path, outcome: Outcome) -> None:
    report, new = rederived(recorded(tmp_path, [said("Hi"), LAST], outcome))
    assert report.outcomes == []
    assert read(new)[-2]["outcome"] == outcome


def test_a_call_without_an_end_gets_none(tmp_path: Path) -> None:
    report, new = rederived(recorded(tmp_path, [said("Hi")], None))
    assert report.decoded == 1
    assert [call.outcome for call in Recording(new).calls()] == ["interrupted"]


def test_an_error_from_outside_is_a_fact_where_the_answer_is_not_whole(tmp_path: Path) -> None:
    error = ConnectionFailedError("it broke", phase="body")
    report, new = rederived(recorded(tmp_path, [said("Hi")], "error", error))
    assert report.outcomes == []
    with pytest.raises(ConnectionFailedError, match="it broke"):
        list(replay(new, speed=0))


def test_a_call_whose_vessel_is_not_installed_is_kept_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session.open(tmp_path, "a")
    for vessel in ("lab", "ollama"):
        writer = session.begin(request(vessel=vessel, vessel_version="1"))
        write(writer, [step(0, vessel)])
        writer.end("complete")
    session.close()
    install(monkeypatch, ollama=Ollama)
    report, new = rederived(session.path)
    assert [(kept.call, kept.reason) for kept in report.kept] == [
        (1, "there is no vessel named 'lab'")
    ]
    assert report.decoded == 1
    old, again = read(session.path), read(new)
    assert [line for line in again if line.get("call") == 1] == [
        line for line in old if line.get("call") == 1
    ]


def test_bytes_that_came_out_only_at_the_end_stay_in_their_place(tmp_path: Path) -> None:
    """A remainder, while another call went on."""
    session = Session.open(tmp_path, "a", clock=(clock := ManualClock()))
    one, two = session.begin(request(stream=True)), session.begin(request(stream=True))
    for writer in (one, two):
        writer.response(200, {"content-type": "application/x-ndjson"})
    write(one, [Step(Frame(said("Hi"), Framing.NDJSON))])
    clock.pass_seconds(1)
    write(one, [Step(Frame(b'{"mess', Framing.NDJSON), partial=True)])
    clock.pass_seconds(1)
    write(two, [Step(Frame(LAST, Framing.NDJSON))])
    clock.pass_seconds(1)
    one.end("truncated")
    two.end("complete")
    session.close()
    _, new = rederived(session.path)
    facts = [
        [(line["type"], line["t"], line.get("raw"), line.get("partial")) for line in read(path)[1:]]
        for path in (session.path, new)
    ]
    assert facts[0] == facts[1]


def test_a_mask_stays_a_mask(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "a")
    writer = session.begin(request())
    write(writer, [Step(Frame(said("[masked]"), Framing.NDJSON), masked=True), step(0)])
    writer.end("cancelled")
    session.close()
    _, new = rederived(session.path)
    assert [line.get("masked") for line in read(new) if line["type"] == "frame"] == [True, None]


def test_unknown_lines_and_keys_stay(tmp_path: Path) -> None:
    path = record(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    end = json.loads(lines[-1])
    end |= {"n": 7, "later": {"a": 1}}
    del end["crc"]
    remark = build_line({"type": "remark", "n": 6, "t": end["t"], "says": "kept"})
    path.write_bytes(b"".join([*lines[:-1], remark, build_line(end)]))
    _, new = rederived(path)
    assert read(new)[-2]["says"] == "kept"
    assert read(new)[-1]["later"] == {"a": 1}


def test_a_torn_tail_is_left_out_and_told(tmp_path: Path) -> None:
    path = record(tmp_path)
    path.write_bytes(path.read_bytes() + b'{"type":"fra')
    report, _ = rederived(path)
    assert report.torn == 12


def test_a_damaged_recording_is_refused(tmp_path: Path) -> None:
    path = record(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"Hel", b"HEL"))
    with pytest.raises(RecordingCorruptError, match=r"is not sound .*: salvage it first"):
        rederive(path, tmp_path / "out.jsonl")
    assert list(tmp_path.iterdir()) == [path]


def test_a_recording_that_is_written_is_refused(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "a")
    writer = session.begin(request())
    with pytest.raises(RecordingLockedError, match="being written"):
        rederive(session.path, tmp_path / "out.jsonl")
    writer.end("complete")
    session.close()


def test_nothing_is_written_over(tmp_path: Path) -> None:
    path = record(tmp_path)
    with pytest.raises(RecordingError, match="exists already"):
        rederive(path, path)


def test_what_cannot_be_read_again_is_kept_rather_than_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Today's framing may differ: an answer left in mid-frame then would lose its last bytes."""
    path = recorded(tmp_path, [said("Hi"), b'{"mess'], "cancelled")
    install(monkeypatch, ollama=Ollama)
    new = tmp_path / "out.jsonl"
    report = rederive(path, new)
    assert verify(new).ok
    assert report.decoded == 0
    assert "leave some of its bytes out" in report.kept[0].reason
    assert path.read_bytes().splitlines()[1:] == new.read_bytes().splitlines()[1:]


def test_a_body_of_any_kind_that_was_truncated_stays_so(tmp_path: Path) -> None:
    """Its compressed data broke off, of which the frames show nothing."""
    error = TruncatedError("the compressed body is cut off", phase="body")
    path = recorded(tmp_path, [b"{}\n"], "truncated", error, reading="frames")
    report, new = rederived(path)
    assert (report.decoded, report.outcomes) == (1, [])
    (call,) = Recording(new).calls()
    assert call.outcome == "truncated"
