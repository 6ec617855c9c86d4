"""Finding a request line from the end of a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sessions import record, request, step, write
from vesselog import RecordingCorruptError, RecordingError
from vesselog.core.truth import find_request as module
from vesselog.core.truth.find_request import find_request
from vesselog.core.truth.recording import Recording
from vesselog.core.truth.session import Session


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Four calls; the text of each looks like the beginning of a request line."""
    session = Session.open(tmp_path, "a")
    for seq in range(4):
        writer = session.begin(request())
        write(writer, [step(0, '\n{"type":"request","n":1,"call":9,' * seq)])
        writer.end("complete")
    session.close()
    return session.path


def places(path: Path) -> dict[int, tuple[int, int]]:
    return {
        line.call: (line.offset, line.number - 1)
        for line in Recording(path).scanned()
        if line.fields["type"] == "request"
    }


def found(path: Path, call: int | None = None) -> tuple[int, tuple[int, int]] | None:
    at = find_request(path, call)
    return None if at is None else (at.call, (at.offset, at.number))


@pytest.mark.parametrize("size", [64, 65, 100, 1 << 18])
def test_every_call_is_found_whatever_the_blocks(
    path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BLOCK_BYTES", size)
    real = places(path)
    for call in range(1, 5):
        assert found(path, call) == (call, real[call])
    assert found(path) == found(path, 99) == (4, real[4])


def test_every_border_of_a_block_in_a_request_line(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = places(path)
    for size in range(64, 200):
        monkeypatch.setattr(module, "_BLOCK_BYTES", size)
        assert found(path, 2) == (2, real[2])


def test_a_line_that_is_not_complete_is_passed_over(path: Path) -> None:
    real = places(path)
    content = path.read_bytes()
    for end in range(real[4][0], real[4][0] + 60):
        path.write_bytes(content[:end])
        assert found(path) == (3, real[3])


def test_a_file_that_was_formatted_anew_is_read_from_the_beginning(path: Path) -> None:
    lines = [json.dumps(json.loads(line)) for line in path.read_bytes().split(b"\n")[:-1]]
    path.write_text("\n".join(lines) + "\n")
    real = places(path)
    assert [found(path, call) for call in (1, 3, None)] == [
        (1, real[1]),
        (3, real[3]),
        (4, real[4]),
    ]


def test_where_there_is_no_call(tmp_path: Path) -> None:
    path = record(tmp_path)
    header = path.read_bytes().split(b"\n")[0] + b"\n"
    path.write_bytes(header)
    assert find_request(path) is None
    path.write_bytes(b"")
    assert find_request(path) is None
    path.write_bytes(b"hello\n")
    with pytest.raises(RecordingCorruptError):
        find_request(path)
    with pytest.raises(RecordingError, match="no recording"):
        find_request(tmp_path / "none")


def test_only_the_end_of_a_long_file_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of 64 GiB, nearly all of it a hole, in which reading would take a minute."""
    content = path.read_bytes()
    at = 1 << 36
    with path.open("r+b") as file:
        file.truncate(at)
        file.seek(at)
        file.write(b"\n" + content)
    real = places_of(content)
    assert found(path) == (4, (at + 1 + real[0], real[1]))


def places_of(content: bytes) -> tuple[int, int]:
    lines = content.split(b"\n")[:-1]
    (number,) = (i for i, line in enumerate(lines) if b'"call":4' in line and b'"request"' in line)
    return len(b"\n".join(lines[:number])) + 1, number
