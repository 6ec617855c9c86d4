"""Bytes in, frames out: exact, at every split, in linear time, bounded."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vesselog.core.errors import ProtocolError
from vesselog.core.framing import Framing, Splitter

SSE_BODIES = {
    "lf": b'data: {"a":1}\n\ndata: [DONE]\n\n',
    "crlf": b'data: {"a":1}\r\n\r\n: ping\r\n\r\ndata: 2\r\n\r\n',
    "cr": b"data: 1\r\rdata: 2\r\r",
    "mixed": b"data: 1\n\r\ndata: 2\r\n\ndata: 3\r\rdata: 4\n\n",
    "byte order mark": b"\xef\xbb\xbfdata: 1\n\ndata: 2\n\n",
    "separators in tokens": 'data: "\u0085\u2028\u2029\x0b\x0c\x1c\x1e"\n\ndata: 2\n\n'.encode(),
    "invalid utf-8": b'data: "\xff\xfe"\n\ndata: "\xc3"\n\n',
    "last event without its blank line": b"data: 1\n\ndata: 2\n",
    "last line without its end": b"data: 1\n\ndata: 2",
    "several lines": b"event: e\nid: 7\ndata: 1\ndata: 2\n\n",
    "only blank lines": b"\n\n\n\n",
    "empty": b"",
}
# What the events are, by the specification; a line end between two events may belong to either.
SSE_EVENTS = {
    "lf": ['{"a":1}', "[DONE]"],
    "crlf": ['{"a":1}', None, "2"],
    "cr": ["1", "2"],
    "mixed": ["1", "2", "3", "4"],
}
NDJSON_BODIES = {
    "lf": b'{"a":1}\n{"a":2}\n',
    "crlf": b'{"a":1}\r\n{"a":2}\r\n',
    "carriage return inside": b'{"a":1}\r{"a":2}\n',
    "separators in tokens": '{"a":"\u0085\u2028\u2029\x0b\x0c\x1c"}\n{"b":1}\n'.encode(),
    "blank lines": b'\n{"a":1}\n\n\n{"a":2}\n',
    "invalid utf-8": b'{"a":"\xff"}\n{"b":1}\n',
    "no last line end": b'{"a":1}\n{"a":2}',
    "empty": b"",
}


# Pieces are what each read gave.
FRAMES = [framing for framing in Framing if framing is not Framing.PIECES]


def split(framing: Framing, *pieces: bytes, limit: int = 1 << 20) -> tuple[list[bytes], bytes]:
    splitter = Splitter(framing, limit)
    frames = []
    for piece in pieces:
        frames += splitter.split(piece)
    return frames, splitter.rest()


def every_split(framing: Framing, body: bytes) -> None:
    whole = split(framing, body)
    assert b"".join(whole[0]) + whole[1] == body
    for at in range(len(body) + 1):
        assert split(framing, body[:at], body[at:]) == whole, at
        for then in range(at, len(body) + 1):
            if len(body) < 40:
                assert split(framing, body[:at], body[at:then], body[then:]) == whole
    assert split(framing, *(bytes([byte]) for byte in body)) == whole


@pytest.mark.parametrize("name", SSE_BODIES)
def test_events_do_not_depend_on_the_reads(name: str) -> None:
    every_split(Framing.SSE, SSE_BODIES[name])


@pytest.mark.parametrize("name", NDJSON_BODIES)
def test_lines_do_not_depend_on_the_reads(name: str) -> None:
    every_split(Framing.NDJSON, NDJSON_BODIES[name])


@pytest.mark.parametrize("name", SSE_EVENTS)
def test_an_event_ends_at_its_blank_line(name: str) -> None:
    frames, rest = split(Framing.SSE, SSE_BODIES[name])
    found = [re.sub(rb"[\r\n]", b"", frame) for frame in frames if frame.strip(b"\r\n")]
    assert [None if each.startswith(b":") else each[6:].decode() for each in found] == SSE_EVENTS[
        name
    ]
    assert rest.strip(b"\r\n") == b""


def test_a_line_ends_at_a_line_feed_alone() -> None:
    frames, rest = split(Framing.NDJSON, NDJSON_BODIES["carriage return inside"])
    assert frames == [NDJSON_BODIES["carriage return inside"]]
    assert rest == b""
    frames, _ = split(Framing.NDJSON, NDJSON_BODIES["separators in tokens"])
    assert len(frames) == 2


def test_a_body_is_one_frame() -> None:
    assert split(Framing.BODY, b'{"a":\n\n', b"\r\r1}") == ([], b'{"a":\n\n\r\r1}')


def test_an_event_is_given_as_soon_as_its_blank_line_is_there() -> None:
    """Carriage returns alone do not make it wait for the next event."""
    for body in (b"data: 1\n\n", b"data: 1\r\n\r\n", b"data: 1\r\r"):
        assert Splitter(Framing.SSE).split(body) == [body]


def test_a_read_gives_the_frames_that_it_completes() -> None:
    splitter = Splitter(Framing.NDJSON)
    assert splitter.split(b"1\n2\n3") == [b"1\n", b"2\n"]
    assert splitter.split(b"\n") == [b"3\n"]


def test_pieces_are_what_each_read_gave() -> None:
    assert split(Framing.PIECES, b"a\n\n", b"\xff", b"b") == ([b"a\n\n", b"\xff", b"b"], b"")


def test_behind_a_frame_that_is_too_large_nothing_is_lost() -> None:
    splitter = Splitter(Framing.NDJSON, 4)
    assert splitter.split(b"1\n" + b"x" * 5) == [b"1\n"]
    assert splitter.error is not None
    assert splitter.rest() == b"x" * 5
    assert splitter.split(b"2\n3") == []
    assert splitter.rest() == b"2\n3"


@pytest.mark.parametrize("framing", FRAMES)
@pytest.mark.parametrize("pieces", [1, 7, 200])
def test_a_frame_is_bounded(framing: Framing, pieces: int) -> None:
    splitter = Splitter(framing, max_frame_bytes=100)
    size = 200 // pieces
    for number in range(pieces):
        assert splitter.split(b"x" * size) == []
        assert (splitter.error is not None) is ((number + 1) * size > 100)
    assert isinstance(splitter.error, ProtocolError)
    assert "larger than 100 bytes" in splitter.error.message
    assert splitter.error.setting == "max_frame_bytes"
    assert splitter.rest() == b"x" * size * pieces, "what came is still there, to be recorded"


@pytest.mark.parametrize("framing", [Framing.NDJSON, Framing.SSE])
def test_a_large_frame_behind_small_ones_is_bounded_too(framing: Framing) -> None:
    splitter = Splitter(framing, max_frame_bytes=20)
    before = b"data: 1\n" if framing is Framing.NDJSON else b"data: 1\n\n"
    large = b"x" * 50 + b"\n\ndata: 2\n\n"
    assert splitter.split(before + large) == [before]
    assert splitter.error is not None
    assert splitter.rest() == large


class CountingBytes(bytes):
    """Counts the bytes that are looked at or copied, where a splitter's work grows."""

    work = 0

    def __add__(self, other: bytes) -> bytes:
        CountingBytes.work += len(self) + len(other)
        return CountingBytes(bytes.__add__(self, other))

    def __radd__(self, other: bytes | bytearray) -> bytes | bytearray:
        if isinstance(other, bytearray):  # it grows in place, and is rarely moved
            CountingBytes.work += len(self)
            other.extend(self)
            return other
        CountingBytes.work += len(self) + len(other)
        return CountingBytes(bytes.__add__(other, self))

    def __getitem__(self, key: object) -> object:
        found = bytes.__getitem__(self, key)  # type: ignore[index]
        if isinstance(found, bytes):
            CountingBytes.work += len(found)
            return CountingBytes(found)
        return found

    def __contains__(self, key: object) -> bool:
        CountingBytes.work += len(self)
        return bytes.__contains__(self, key)  # type: ignore[arg-type]

    def find(self, sub: bytes, start: int = 0) -> int:  # type: ignore[override]
        found = bytes.find(self, sub, start)
        CountingBytes.work += (found if found >= 0 else len(self)) - start
        return found

    def split(self, end: bytes) -> list[bytes]:  # type: ignore[override]
        CountingBytes.work += len(self)
        return bytes.split(self, end)


def work(framing: Framing, size: int, piece: int, line: bytes) -> int:
    CountingBytes.work = 0
    body = (line * (size // len(line) + 1))[:size]
    split(framing, *(CountingBytes(body[at : at + piece]) for at in range(0, size, piece)))
    return CountingBytes.work


@pytest.mark.parametrize("framing", [Framing.NDJSON, Framing.SSE])
@pytest.mark.parametrize("line", [b"x", b"x\r", b"data: 1\n\n"], ids=["one line", "cr", "short"])
@pytest.mark.parametrize("piece", [1, 64, 1 << 20])
def test_the_work_is_linear(framing: Framing, line: bytes, piece: int) -> None:
    """Twice the bytes are twice the work, in bytes looked at or copied, however small the reads."""
    small, large = (work(framing, size, piece, line) for size in (4096, 8192))
    assert large < 2.2 * small


alphabet = st.sampled_from(
    [b"\r", b"\n", b"d", b"data: ", b":", b"\xc2\x85", b"\xff", b"\xef\xbb\xbf"]
)


@given(st.lists(alphabet, max_size=30).map(b"".join), st.data())
def test_any_body_is_cut_the_same_however_it_is_read(body: bytes, data: st.DataObject) -> None:
    """Frames joined are the body; where the reads end makes no difference."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=5)))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    for framing in FRAMES:
        whole = split(framing, body)
        assert b"".join(whole[0]) + whole[1] == body
        assert split(framing, *pieces) == whole


@given(st.binary(max_size=60), st.integers(1, 7))
def test_any_bytes_are_cut_the_same_however_they_are_read(body: bytes, size: int) -> None:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    for framing in FRAMES:
        assert split(framing, *pieces) == split(framing, body)
