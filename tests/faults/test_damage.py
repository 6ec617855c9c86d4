"""Files that are not as they were written: torn at every byte, with every bit flipped."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import vesselog.recordings
from amounts import amount
from invariants import Yielded, check_damage_is_refused, check_reopening
from reporting import Figure
from sessions import cut_close, request, step, write
from vesselog import Recording, RecordingCorruptError, RecordingError, verify
from vesselog.core.truth.session import Session

SAMPLES = sorted((Path(vesselog.recordings.__file__).parent / "samples").glob("*.jsonl"))


def sample(folder: Path, name: str = "sample") -> tuple[Path, list[Yielded]]:
    """Two calls, overlapping, every type of line, text of one to four bytes a character."""
    session = Session.open(folder, name)
    first, second = session.begin(request()), session.begin(request())
    first.response(200, {"content-type": "application/x-ndjson"})
    seen = [(1, chunk) for chunk in write(first, [step(0, "Grüße"), step(1, "🎈")])]
    seen += [(2, chunk) for chunk in write(second, [step(0, "x", b'{"a":"\xff"}\n')])]
    first.end("complete", usage={"output_tokens": 2})
    second.end("truncated")
    session.close()
    return session.path, [Yielded(session.path, call, each.seq, each.text) for call, each in seen]


def test_a_tail_torn_at_every_byte_is_cut_off_and_kept(tmp_path: Path, figure: Figure) -> None:
    path, yielded = sample(tmp_path / "whole")
    content = path.read_bytes()
    for size in range(len(content) + 1):
        torn = tmp_path / str(size) / path.name
        torn.parent.mkdir()
        torn.write_bytes(content[:size])
        whole = content[:size].rpartition(b"\n")[0]
        kept = [
            each._replace(path=torn)
            for each in yielded
            if b'"call":%d,' % each.call in whole
            and whole.count(b'"type":"frame","n":') > yielded.index(each)
        ]
        check_reopening(torn, yielded=kept)
    figure(f"torn tail: cut at each of {len(content) + 1} offsets, reopened, appended, read")


@pytest.mark.parametrize("junk", [b"\x00" * 700, b"\n\n\n", b"\x00\n" * 90, b'{"type":"fr\n', b"}"])
def test_whatever_a_tail_is_made_of_it_is_cut_off_and_kept(tmp_path: Path, junk: bytes) -> None:
    path, yielded = sample(tmp_path)
    path.write_bytes(path.read_bytes() + junk)
    check_reopening(path, yielded=yielded)


def test_damage_at_every_line_is_refused(tmp_path: Path, figure: Figure) -> None:
    """A line overwritten or half of it missing, with a line behind it: never a torn tail."""
    path, _yielded = sample(tmp_path / "whole")
    cut_close(path)
    lines = path.read_bytes().splitlines(keepends=True)
    count = 0
    for number, line in enumerate(lines[:-1]):
        half = len(line) // 2
        for damaged in (b"\x00" * (len(line) - 1) + b"\n", line[:half] + b"\n", line[half:]):
            place = tmp_path / str(count) / path.name
            place.parent.mkdir()
            place.write_bytes(b"".join([*lines[:number], damaged, *lines[number + 1 :]]))
            check_damage_is_refused(place) if number else _check_no_recording(place)
            count += 1
    figure(f"damage before the last line: {count} of {count} refused")


def test_a_line_left_out_or_doubled_or_moved_is_noticed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its lines can all be read, which is never silent, and nothing is added to it."""
    path, _yielded = sample(tmp_path / "whole")
    cut_close(path)
    lines = path.read_bytes().splitlines(keepends=True)
    place = tmp_path / path.name
    for number in range(1, len(lines) - 1):
        before, line, after, rest = (
            lines[:number],
            lines[number],
            lines[number + 1],
            lines[number + 2 :],
        )
        for changed in (
            [*before, after, *rest],
            [*before, line, line, after, *rest],
            [*before, after, line, *rest],
        ):
            place.write_bytes(b"".join(changed))
            assert not verify(place).ok
            caplog.clear()
            list(Recording(place).lines())
            assert "lines are missing or moved" in caplog.text
            with pytest.raises(RecordingCorruptError, match="not number"):
                Session.open(tmp_path, path.stem)
            assert place.read_bytes() == b"".join(changed)


def test_damage_before_a_close_line_is_found_by_verify(tmp_path: Path) -> None:
    """A writer that goes on with a closed file reads its end only; no reader passes it over."""
    path, _yielded = sample(tmp_path / "whole")
    lines = path.read_bytes().splitlines(keepends=True)
    for number in range(len(lines) - 2):
        line = lines[number]
        place = tmp_path / str(number) / path.name
        place.parent.mkdir()
        place.write_bytes(b"".join([*lines[:number], line[9:], *lines[number + 1 :]]))
        if number == 0:
            _check_no_recording(place)
            continue
        before = place.read_bytes()
        session = Session.open(place.parent, path.stem)
        session.begin(request()).end("complete")
        session.close()
        assert place.read_bytes().startswith(before)
        assert not verify(place).ok
        with pytest.raises(RecordingCorruptError):
            list(Recording(place).lines())


def test_every_single_bit_flip_is_noticed(tmp_path: Path, figure: Figure) -> None:
    path, _yielded = sample(tmp_path)
    flips = every_flip(path, range(path.stat().st_size * 8))
    figure(f"bit flips: 0 of {flips} accepted (every bit of {path.stat().st_size} bytes)")


def test_bit_flips_of_real_recordings_are_noticed(tmp_path: Path, figure: Figure) -> None:
    chance = random.Random(amount("SEED"))
    flips = 0
    for shipped in sorted(SAMPLES, key=lambda each: each.stat().st_size)[:4]:
        path = tmp_path / shipped.name
        path.write_bytes(shipped.read_bytes())
        assert verify(path).ok
        bits = path.stat().st_size * 8
        flips += every_flip(path, chance.sample(range(bits), min(bits, amount("FLIPS") // 4)))
    figure(f"bit flips: 0 of {flips} accepted (at random, in four shipped recordings)")


def every_flip(path: Path, bits: range | list[int]) -> int:
    """Flip each of these bits in turn; none may pass."""
    content = bytearray(path.read_bytes())
    with path.open("r+b", buffering=0) as file:
        for bit in bits:
            place, mask = bit // 8, 1 << bit % 8
            file.seek(place)
            file.write(bytes([content[place] ^ mask]))
            assert not _accepted(path), f"bit {bit % 8} of byte {place}"
            file.seek(place)
            file.write(content[place : place + 1])
    assert verify(path).ok
    return len(bits)


def _accepted(path: Path) -> bool:
    try:
        return verify(path).ok
    except RecordingError:
        return False


def _check_no_recording(path: Path) -> None:
    """A header that cannot be read: the file is no recording at all, and is left alone."""
    before = path.read_bytes()
    with pytest.raises(RecordingError):
        Session.open(path.parent, path.stem)
    assert not _accepted(path)
    assert path.read_bytes() == before
