"""JSON as providers write it."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vesselog.core.jsontext import canonical, dumps, loads, loads_exact, loads_strict

BIG = 2**100

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [1, 2.5, null, true, "é"]}', {"a": [1, 2.5, None, True, "é"]}),
        ("1e400", math.inf),
        ("-Infinity", -math.inf),
        ('"\\ud83d"', "\ud83d"),
    ],
)
def test_reading(text: str, value: Any) -> None:
    assert loads(text) == value
    assert loads_exact(text) == value


def test_reading_nan() -> None:
    assert math.isnan(loads("NaN"))


def test_large_integers_are_exact_where_exactness_is_asked_for() -> None:
    assert loads_exact(str(BIG)) == BIG


@pytest.mark.parametrize("read", [loads, loads_exact])
@pytest.mark.parametrize("text", ["", " ", "{", "nothing", "[1,]", "{'a': 1}", "\x00", "[" * 10**6])
def test_anything_else_is_a_value_error(read: Any, text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read(text)


@pytest.mark.parametrize("read", [loads, loads_exact])
def test_bytes_that_are_not_utf_8_are_a_value_error(read: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read(b'"\xff"')


@pytest.mark.parametrize("before", ["", " " * 248, "7," * 300, '"77 ' + "x" * 500 + '",'])
def test_an_integer_of_more_than_500_digits_is_infinity(before: str) -> None:
    """As 1e400 is, wherever it stands; Python refuses those of more than 4,300 digits."""
    for digits in (500, 501, 4300, 10_000):
        text = f"[{before}{'9' * digits},-{'9' * digits},NaN]"
        for read in (loads, loads_exact):
            found = read(text)[-3:-1]
            large = math.inf if digits > 500 else 10**digits - 1
            assert found == [large, -large]


def test_writing() -> None:
    assert dumps({"a": [1, "é"]}) == '{"a":[1,"é"]}'.encode()
    assert dumps({"big": BIG}) == b'{"big":%d}' % BIG
    assert dumps("\ud83d") == b'"\\ud83d"'


def test_canonical_is_the_same_for_equal_values() -> None:
    assert canonical({"b": 1, "a": {"d": 2, "c": 3}}) == b'{"a":{"c":3,"d":2},"b":1}'
    assert canonical({"b": BIG, "a": 1}) == b'{"a":1,"b":%d}' % BIG


@given(values)
def test_what_is_written_reads_back(value: Any) -> None:
    assert loads_exact(dumps(value)) == value
    assert loads_exact(canonical(value)) == value


@pytest.mark.parametrize("number", [2**63 - 1, 2**64 - 1, 2**64, -(2**63) - 1, 10**80, -(10**19)])
@given(st.text(max_size=40), st.text(max_size=9))
def test_integers_of_any_size_are_exact_wherever_they_are(number: int, key: str, text: str) -> None:
    value = {key: [text, number], "f": 0.1234567890123456789}
    written = json.dumps(value)
    assert loads_exact(written) == value
    assert loads_exact(written)[key] == value[key]
    assert loads_exact(written.encode()) == value


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", "1e400", '"\\ud800"', "{", ""])
def test_strictly_read_is_only_what_every_parser_reads(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        loads_strict(text)
    assert loads_strict(f"[{BIG}]") == [BIG]


def test_a_large_integer_in_deep_nesting_is_read() -> None:
    deep = "[" * 900 + str(BIG) + "]" * 900
    assert loads_exact(deep)
