"""Scanning while a writer is at work: nothing half is taken, nothing whole is doubted."""

from __future__ import annotations

from pathlib import Path

import pytest

from sessions import record
from vesselog import RecordingCorruptError
from vesselog.core.truth.scan import Torn, scan


def test_lines_know_where_they_are(tmp_path: Path) -> None:
    path = record(tmp_path)
    content = path.read_bytes()
    lines = list(scan(path))
    assert [line.number for line in lines] == list(range(1, len(lines) + 1))
    assert b"".join(content[line.offset : line.end] for line in lines) == content
    middle = lines[3]
    assert list(scan(path, offset=middle.offset, number=middle.number - 1)) == lines[3:]


def test_a_line_that_is_completed_while_it_is_read_is_whole(tmp_path: Path) -> None:
    path = record(tmp_path)
    content = path.read_bytes()
    cut = content.rindex(b"\n", 0, -1) + 20
    path.write_bytes(content[:cut])
    lines = []
    for line in scan(path, torn=pytest.fail):
        lines.append(line)
        if line.end == cut - 19:
            path.write_bytes(content)
    assert lines == list(scan(path))


def test_half_a_line_at_the_end_is_not_searched_for_lines_behind_it(tmp_path: Path) -> None:
    """They may come at any moment, and then it is whole."""
    path = record(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[:-5])
    tails: list[Torn] = []

    def write_on(tail: Torn) -> None:
        tails.append(tail)
        path.write_bytes(content * 2)

    assert len(list(scan(path, torn=write_on))) == content.count(b"\n") - 1
    assert len(tails) == 1


def test_a_tail_that_a_writer_cut_off_under_the_reader_is_no_damage(tmp_path: Path) -> None:
    path = record(tmp_path, texts=["x" * 1000] * 300)
    content = path.read_bytes()
    lines = content.splitlines(keepends=True)
    kept = b"".join(lines[:100])
    path.write_bytes(kept + b"\0" * 200_000)
    scanned = scan(path, torn=pytest.fail)
    next(scanned)
    path.write_bytes(content)  # cut off, and written on
    assert len(list(scanned)) == len(lines) - 1


def test_garbage_with_line_feeds_is_torn_when_no_line_follows(tmp_path: Path) -> None:
    path = record(tmp_path)
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(b"\0\n\n{}\n[1]\n\0\0")
    tails: list[Torn] = []
    assert list(scan(path, torn=tails.append))[-1].end == size
    assert tails == [Torn(size, 12)]
    with path.open("ab") as file:
        file.write(b'\n{"type":"open"}\n')
    with pytest.raises(RecordingCorruptError, match="damaged"):
        list(scan(path))
