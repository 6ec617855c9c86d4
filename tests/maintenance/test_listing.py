"""The recordings in a folder, in short."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import pytest

from sessions import NOON, ManualClock, record, request
from vesselog import RecordingError
from vesselog.core.truth.line import build_line
from vesselog.core.truth.scan import open_recording
from vesselog.core.truth.session import Session
from vesselog.maintenance import listing
from vesselog.maintenance.listing import RecordingSummary, list_recordings, summarize


def test_a_recording_in_short(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "a", clock=ManualClock())
    session.begin(request()).end("complete")
    session.begin(request(model="n")).end("cancelled")
    writer = session.begin(request())
    summary = summarize(session.path)
    writer.end("complete")
    session.close()
    assert summary == RecordingSummary(
        path=session.path,
        session="a",
        opened="2027-01-15T08:00:00.000000Z",
        outcomes=("complete", "cancelled", "interrupted"),
        models=("ollama/m", "ollama/n"),
        size=summary.size,
    )
    assert summary.to_dict()["calls"] == summary.calls == 3


def test_the_newest_comes_first_and_nothing_is_read_before_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths: list[Path] = []
    for hour in range(20):
        clock = ManualClock(NOON + hour * 3_600_000_000)
        session = Session.open(tmp_path, "named" if hour == 19 else None, clock=clock)
        session.begin(request()).end("complete")
        session.close()
        paths.append(session.path)
    os.utime(paths[-1], (NOON // 10**6 + 19 * 3600,) * 2)
    opened: list[Path] = []

    def count(path: Path) -> BinaryIO:
        opened.append(path)
        return open_recording(path)

    monkeypatch.setattr(listing, "open_recording", count)
    listed = list_recordings(tmp_path)
    assert opened == []
    assert [next(listed).path, next(listed).path] == paths[:-3:-1] == opened
    assert [each.path for each in listed] == paths[-3::-1]


def test_a_file_that_cannot_be_read_does_not_end_the_list(tmp_path: Path) -> None:
    good = record(tmp_path, "good")
    (tmp_path / "foreign.jsonl").write_text("{}\n")
    (tmp_path / "nowhere.jsonl").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.jsonl")
    odd = [{"type": "session", "vesselog": 1}, {"type": "request", "call": {}}]
    (tmp_path / "odd.jsonl").write_bytes(b"".join(map(build_line, odd)))
    listed = {each.path.name: each for each in list_recordings(tmp_path)}
    assert isinstance(listed.pop(good.name), RecordingSummary)
    assert {name: type(each).__name__ for name, each in listed.items()} == dict.fromkeys(
        ("foreign.jsonl", "nowhere.jsonl", "odd.jsonl", "pipe.jsonl"), "UnreadableRecording"
    )


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="cannot read"):
        list_recordings(tmp_path / "none")
