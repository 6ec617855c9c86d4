"""Undoing an encoding that was not asked for, in bounded pieces, however the bytes are cut."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vesselog import ProtocolError
from vesselog.core.http.inflate import Inflater

BODIES = st.binary(max_size=300) | st.integers(0, 200_000).map(lambda size: b"ab" * size)
ENCODINGS = {"gzip": gzip.compress, "X-GZIP": gzip.compress, "deflate": zlib.compress}


@given(BODIES, st.sampled_from(sorted(ENCODINGS)), st.integers(1, 5000))
def test_however_it_is_cut_the_body_comes_back(body: bytes, name: str, size: int):
    encoded = ENCODINGS[name](body)
    inflater = Inflater(name)
    pieces: list[bytes] = []
    for start in range(0, len(encoded), size):
        for piece in inflater.pieces(encoded[start : start + size]):
            pieces.append(piece)
            assert 0 < len(piece) <= 64 * 1024
    assert b"".join(pieces) == body


def test_what_is_there_is_given_at_once():
    """A stream that is compressed and flushed frame by frame is read frame by frame."""
    deflate = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    inflater = Inflater("gzip")
    for number in range(50):
        line = b"line %d\n" % number
        data = deflate.compress(line) + deflate.flush(zlib.Z_SYNC_FLUSH)
        assert b"".join(inflater.pieces(data)) == line


@pytest.mark.parametrize("name", sorted(ENCODINGS))
def test_data_that_breaks_off_is_told(name: str):
    encoded = ENCODINGS[name](b"a line\n" * 50)
    inflater = Inflater(name)
    assert inflater.cut_off() is None, "a body may be empty"
    for number, byte in enumerate(encoded, 1):
        list(inflater.pieces(bytes([byte])))
        assert (inflater.cut_off() is None) is (number == len(encoded))


def test_nothing_stays_behind_where_a_piece_is_just_full():
    """zlib may hold output back although it has taken all input."""
    for size in range(64 * 1024 - 3, 64 * 1024 + 4):
        assert b"".join(Inflater("gzip").pieces(gzip.compress(b"a" * size))) == b"a" * size


def test_text_may_shrink_as_text_does():
    line = b'{"message": {"content": "token %d"}, "done": false}\n'
    lines = b"".join(line % number for number in range(50_000))
    assert b"".join(Inflater("gzip").pieces(gzip.compress(lines))) == lines


def test_a_bomb_is_refused_before_it_goes_off():
    given_out: list[int] = []
    pieces = Inflater("gzip").pieces(gzip.compress(bytes(256 * 1024 * 1024)))
    with pytest.raises(ProtocolError, match="expands"):
        given_out.extend(map(len, pieces))
    assert sum(given_out) < 32 * 1024 * 1024


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, br", ""])
def test_other_encodings_are_refused_by_name(encoding: str):
    with pytest.raises(ProtocolError, match="identity was asked for"):
        Inflater(encoding)


def test_damage_is_told():
    encoded = bytearray(gzip.compress(b"hello" * 100))
    encoded[12] ^= 0xFF
    with pytest.raises(ProtocolError, match="damaged"):
        list(Inflater("gzip").pieces(bytes(encoded)))
