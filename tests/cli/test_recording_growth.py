"""The growth of a recording while another writer adds to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from vesselog.cli.recording_growth import RecordingGrowth

HEADER = b'{"type":"session","vesselog":1,"session":"s","meta":{}}\n'
FRAME = b'{"type":"frame","n":4,"call":1,"t":9,"raw":"a","chunks":[{"seq":0,"text":"a"}]}\n'


@pytest.fixture
def growth(tmp_path: Path) -> RecordingGrowth:
    path = tmp_path / "s.jsonl"
    path.write_bytes(HEADER)
    return RecordingGrowth(path)


def append(growth: RecordingGrowth, data: bytes) -> None:
    with growth.path.open("ab") as file:
        file.write(data)
    growth.read_new_lines()


def test_a_chunk_counts_once_its_whole_line_is_in_the_file(growth: RecordingGrowth) -> None:
    append(growth, FRAME[:-10])
    assert not growth.contains(1, 0)
    assert (growth.lines, growth.size) == (1, len(HEADER))
    append(growth, FRAME[-10:])
    assert growth.contains(1, 0)
    assert not growth.contains(1, 1)
    assert not growth.contains(2, 0)
    assert not growth.contains(None, 0)
    assert (growth.lines, growth.size) == (2, len(HEADER + FRAME))
    assert growth.example == FRAME.decode().strip()


def test_the_size_is_lines_and_bytes(growth: RecordingGrowth) -> None:
    growth.read_new_lines()
    assert growth.size_text.split() == ["1", "lines", str(len(HEADER)), "B"]


def test_the_text_is_that_of_the_call_that_began_last(growth: RecordingGrowth) -> None:
    append(growth, FRAME)
    assert (growth.call, growth.text) == (0, "")
    append(growth, b'{"type":"request","n":5,"call":2,"t":10}\n')
    append(growth, FRAME + FRAME.replace(b'"call":1', b'"call":2'))
    assert (growth.call, growth.text) == (2, "a")
