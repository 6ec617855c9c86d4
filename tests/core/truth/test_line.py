"""Lines: one JSON object, its check in the last 18 bytes, one LF."""

from __future__ import annotations

import json
import math
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vesselog import RecordingError
from vesselog.core.truth.line import build_line, check_line, parse_line

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def without_check(line: bytes) -> dict[str, Any]:
    fields = parse_line(line.removesuffix(b"\n"))
    assert fields is not None
    del fields["crc"]
    fields.pop("exact", None)
    return fields


def test_the_check_is_the_last_18_bytes_and_covers_all_before_them() -> None:
    line = build_line({"type": "frame", "n": 1})
    body, check = line[:-19], line[-19:]
    assert body == b'{"type":"frame","n":1'
    assert check == b',"crc":"%08x"}\n' % crc32(body)


@given(JSON)
def test_what_is_written_reads_back_equal(value: object) -> None:
    """Integers of any size and lone surrogates too."""
    line = build_line({"type": "x", "value": value})
    assert line.count(b"\n") == 1
    assert check_line(line[:-1]) is True
    assert without_check(line) == {"type": "x", "value": value}


def test_integers_over_64_bits_are_not_rounded() -> None:
    line = build_line({"type": "x", "value": 2**70 + 1})
    assert json.loads(line)["exact"] is True
    assert without_check(line)["value"] == 2**70 + 1


def test_not_a_number_is_kept_where_it_is_asked_for() -> None:
    line = build_line({"type": "x", "value": [math.inf, math.nan]}, exact=True)
    infinity, nan = without_check(line)["value"]
    assert infinity == math.inf
    assert math.isnan(nan)


def test_a_key_of_the_name_crc_means_nothing() -> None:
    """The check is found by its place; a user's own "crc" is not one, wherever it stands."""
    line = build_line({"type": "x", "value": {"crc": "00000000"}})
    assert check_line(line[:-1]) is True
    assert check_line(b'{"crc":"00000000","type":"x"}') is None
    assert check_line(b'{"type":"x","value":{"crc":"00000000"}}') is None


@pytest.mark.parametrize("position", range(len(build_line({"type": "x", "n": 1})) - 1))
def test_every_flipped_bit_is_found(position: int) -> None:
    line = bytearray(build_line({"type": "x", "n": 1})[:-1])
    for bit in range(8):
        line[position] ^= 1 << bit
        assert check_line(bytes(line)) is not True, bit
        line[position] ^= 1 << bit


@pytest.mark.parametrize(
    "line", [b"", b"x", b"[1]", b"{}", b'{"type":1}', b'{"type":"x"', b"\xff{}", b"[" * 100_000]
)
def test_what_is_no_line_is_told_from_a_line(line: bytes) -> None:
    assert parse_line(line) is None
    assert check_line(line) is None


def test_what_json_cannot_hold_is_a_recording_error() -> None:
    with pytest.raises(RecordingError, match="JSON"):
        build_line({"type": "x", "value": {1, 2}})


def nested(levels: int, innermost: object) -> object:
    for _ in range(levels):
        innermost = [innermost]
    return innermost


@pytest.mark.parametrize("innermost", [1, 2**70])
def test_what_is_nested_too_deeply_to_be_read_is_refused(innermost: object) -> None:
    written = build_line({"type": "x", "value": nested(400, innermost)})
    assert parse_line(written[:-1]) is not None
    with pytest.raises(RecordingError, match="500 levels"):
        build_line({"type": "x", "value": nested(600, innermost)})


def test_what_is_nested_too_deeply_is_not_read() -> None:
    for levels, read in ((490, True), (510, False), (1000, False), (100_000, False)):
        line = b'{"type":"x","value":' + b"[" * levels + b"]" * levels + b"}"
        assert (parse_line(line) is not None) is read
