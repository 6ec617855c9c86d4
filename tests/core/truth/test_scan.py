"""Scanning while a writer is at work: nothing half is taken, nothing whole is doubted."""

from __future__ import annotations

from pathlib import Path

import pytest

from sessions import record
from vesselog import RecordingCorruptError
from vesselog.core.truth.scan import ScannedLine, Torn, open_recording, scan


def test_lines_know_where_they_are(tmp_path: Path) -> None:
    path = record(tmp_path)
    content = path.read_bytes()
    with open_recording(path) as file:
        lines = [line for line in scan(file, path) if isinstance(line, ScannedLine)]
    assert [line.number for line in lines] == list(range(1, len(lines) + 1))
    assert b"".join(content[line.offset : line.end] for line in lines) == content
    middle = lines[3]
    with open_recording(path) as file:
        rest = list(scan(file, path, offset=middle.offset, number=middle.number - 1))
    assert rest == lines[3:]


def test_a_line_that_is_completed_while_it_is_read_is_whole(tmp_path: Path) -> None:
    path = record(tmp_path)
    content = path.read_bytes()
    cut = content.rindex(b"\n", 0, -1) + 20
    path.write_bytes(content[:cut])
    with open_recording(path) as file:
        lines = []
        for line in scan(file, path):
            lines.append(line)
            if isinstance(line, ScannedLine) and line.end == cut - 19:
                path.write_bytes(content)
    with open_recording(path) as file:
        assert lines == list(scan(file, path))


def test_half_a_line_at_the_end_is_not_searched_for_lines_behind_it(tmp_path: Path) -> None:
    """They may come at any moment, and then it is whole."""
    path = record(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[:-5])
    with open_recording(path) as file:
        for line in scan(file, path):
            if isinstance(line, Torn):
                path.write_bytes(content * 2)


def test_a_tail_that_a_writer_cut_off_under_the_reader_is_no_damage(tmp_path: Path) -> None:
    path = record(tmp_path, texts=["x" * 1000] * 300)
    content = path.read_bytes()
    lines = content.splitlines(keepends=True)
    kept = b"".join(lines[:100])
    path.write_bytes(kept + b"\0" * 200_000)
    with open_recording(path) as file:
        scanned = scan(file, path)
        first = next(scanned)
        path.write_bytes(content)  # cut off, and written on
        seen = [first, *scanned]
    assert all(isinstance(line, ScannedLine) for line in seen)
    assert len(seen) == len(lines)


def test_garbage_with_line_feeds_is_torn_when_no_line_follows(tmp_path: Path) -> None:
    path = record(tmp_path)
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(b"\0\n\n{}\n[1]\n\0\0")
    with open_recording(path) as file:
        assert list(scan(file, path))[-1] == Torn(size, 12)
    with path.open("ab") as file:
        file.write(b'\n{"type":"open"}\n')
    with open_recording(path) as file, pytest.raises(RecordingCorruptError, match="damaged"):
        list(scan(file, path))
