"""Verify: a healthy file has no findings, and no damage goes unfound."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from louder import install
from sessions import record, request, step, write
from vesselog import RecordingError, verify
from vesselog.core.truth.line import build_line
from vesselog.core.truth.session import Session
from vesselog.vessels.ollama import Ollama


def kinds_found(path: Path) -> list[tuple[str, str]]:
    return [(finding.severity, finding.kind) for finding in verify(path).findings]


def test_a_healthy_recording(tmp_path: Path) -> None:
    report = verify(record(tmp_path, "chat-42"))
    assert report.ok
    assert report.findings == []
    assert (report.session, report.lines, report.calls) == ("chat-42", 7, 1)
    assert (report.frames, report.chunks) == (2, 2)
    assert json.loads(json.dumps(report.to_dict()))["ok"] is True


def test_every_flipped_bit_is_found(tmp_path: Path) -> None:
    content = record(tmp_path, texts=["Hi"]).read_bytes()
    path = tmp_path / "flipped.jsonl"
    for position in range(len(content)):
        flipped = bytearray(content)
        flipped[position] ^= 1 << position % 8
        path.write_bytes(flipped)
        assert not verify(path).ok, position


def test_every_cut_but_between_lines_is_found(tmp_path: Path) -> None:
    content = record(tmp_path).read_bytes()
    path = tmp_path / "cut.jsonl"
    for cut in range(len(content)):
        path.write_bytes(content[:cut])
        report = verify(path)
        if content[:cut].endswith(b"\n"):
            running = content[:cut].count(b"\n") >= 3
            assert report.ok
            assert [finding.kind for finding in report.findings] == ["interrupted"] * running
        else:
            assert not report.ok


def test_a_call_without_an_end_is_a_note(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "a")
    writer = session.begin(request())
    write(writer, [step(0)])
    assert kinds_found(session.path) == [("note", "interrupted")]
    writer.end("complete")
    session.close()


@pytest.mark.parametrize("line", [b'{"type":"open","n":7,"t":9999999999}\n', b"\n"])
def test_lines_without_a_check_are_errors_where_the_header_promises_one(
    tmp_path: Path, line: bytes
) -> None:
    path = record(tmp_path)
    content = path.read_bytes()
    end = content.rindex(b"\n", 0, -1) + 1
    path.write_bytes(content[:end] + line + content[end:])
    assert not verify(path).ok


def test_a_torn_tail_is_an_error_with_its_place(tmp_path: Path) -> None:
    path = record(tmp_path)
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(b"{half")
    (finding,) = verify(path).findings
    assert (finding.kind, finding.offset) == ("torn", size)


def test_damage_is_told_not_raised(tmp_path: Path) -> None:
    path = record(tmp_path)
    path.write_bytes(path.read_bytes().replace(b'{"type":"frame"', b"xxxxx", 1))
    kinds = kinds_found(path)
    assert ("error", "damaged") in kinds
    path.write_text("hello\n")
    assert kinds_found(path) == [("error", "damaged")]
    path.write_text("")
    assert kinds_found(path) == [("error", "empty")]


def test_a_file_that_cannot_be_read_is_raised(tmp_path: Path) -> None:
    with pytest.raises(RecordingError):
        verify(tmp_path / "x")


def rewritten(path: Path, change: Any) -> Path:
    """The file with other lines, each of them with a fresh check."""
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    for line in lines:
        line.pop("crc")
    change(lines)
    path.write_bytes(b"".join(build_line(line) for line in lines))
    return path


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda lines: lines[4].update(n=9), "n"),
        (lambda lines: lines.pop(4), "n"),
        (lambda lines: lines[4].update(t=-1), "t"),
        (lambda lines: lines[4].update(t="x"), "t"),
        (lambda lines: lines[4].update(call=2), "call"),
        (lambda lines: lines[2].update(call=0), "call"),
        (lambda lines: lines[2].update(call=[]), "call"),
        (lambda lines: lines[4].update(call=[]), "call"),
        (lambda lines: lines[4].update(raw="x"), "sha256"),
        (lambda lines: lines[-1].update(bytes=0), "bytes"),
        (lambda lines: lines[-1].update(frames=0), "frames"),
        (lambda lines: lines[4].pop("raw"), "frame"),
        (lambda lines: lines[4].update(chunks=[{"seq": 5}]), "seq"),
        (lambda lines: lines[4].update(chunks=[{"seq": "x"}]), "frame"),
        (lambda lines: lines.append({**lines[-1], "n": 7}), "call"),
    ],
)
def test_wrong_lines_with_right_checks_are_found(tmp_path: Path, change: Any, kind: str) -> None:
    assert ("error", kind) in kinds_found(rewritten(record(tmp_path), change))


def test_unknown_types_are_a_note(tmp_path: Path) -> None:
    path = rewritten(
        record(tmp_path), lambda lines: lines.append({"type": "new", "n": 7, "t": 10**9})
    )
    assert kinds_found(path) == [("note", "type")]
    assert verify(path).ok


def test_findings_are_counted_all_but_kept_within_bounds(tmp_path: Path) -> None:
    path = record(tmp_path, texts=["x"] * 200)
    path.write_bytes(path.read_bytes().replace(b'"type":"frame"', b'"type": "frame"'))
    report = verify(path)
    assert report.errors == 200
    assert len(report.findings) == 100


class TestDecodedAgain:
    def test_a_recording_of_todays_vessel_does_not_drift(self, tmp_path: Path) -> None:
        report = verify(record(tmp_path))
        assert (report.ok, report.decoded, report.drifting) == (True, 1, 0)

    def test_other_chunks_are_drift_and_no_error(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = record(tmp_path, texts=["1", "two", "three"])
        install(monkeypatch)
        report = verify(path)
        assert (report.ok, report.errors, report.decoded, report.drifting) == (True, 0, 1, 1)
        (finding,) = report.findings
        assert (finding.severity, finding.kind, finding.line) == ("drift", "drift", 8)
        assert finding.message.startswith("call 1: 2 chunks differ from chunk 1 on, in text; ")
        assert finding.message.endswith("decoded again by ollama 9.9")
        assert report.to_dict()["drifting"] == 1

    def test_a_chunk_that_today_has_not_is_drift(self, tmp_path: Path) -> None:
        session = Session.open(tmp_path, "a")
        writer = session.begin(request())
        write(writer, [step(0), step(1, raw=b"{}\n")])
        writer.end("complete")
        session.close()
        assert kinds_found(session.path) == [("drift", "drift")]

    def test_a_running_call_is_compared_as_far_as_it_is(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        session = Session.open(tmp_path, "a")
        writer = session.begin(request())
        write(writer, [step(0)])
        install(monkeypatch)
        assert kinds_found(session.path) == [("note", "interrupted"), ("drift", "drift")]
        writer.end("complete")
        session.close()

    def test_an_unknown_vessel_is_said_and_no_error(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = record(tmp_path)
        install(monkeypatch, other=Ollama)
        report = verify(path)
        assert (report.ok, report.decoded) == (True, 0)
        assert [(each.severity, each.kind) for each in report.findings] == [("note", "vessel")]
        assert "no vessel named 'ollama'" in report.findings[0].message

    def test_a_vessel_that_cannot_be_made_by_its_name_is_said(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Demanding(Ollama):
            def __init__(self, *, resource: str) -> None:
                super().__init__(base_url=resource)

        path = record(tmp_path)
        install(monkeypatch, ollama=Demanding)
        (finding,) = verify(path).findings
        assert finding.severity == "note"
        assert "cannot be made: TypeError" in finding.message

    def test_damage_is_not_taken_for_drift(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = record(tmp_path)
        path.write_bytes(path.read_bytes().replace(b'"raw"', b'"rax"', 1))
        assert "drift" not in [kind for kind, _ in kinds_found(path)]

    def test_it_can_be_left_out(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = record(tmp_path)
        install(monkeypatch)
        report = verify(path, decode=False)
        assert (report.findings, report.decoded) == ([], 0)
