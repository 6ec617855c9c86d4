"""JSON as providers write it."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vesselog.core.jsontext import (
    TooManyValuesError,
    canonical,
    dumps,
    loads,
    loads_bounded,
    loads_exact,
)
from vesselog.core.mending import mend_value
from vesselog.vessels import loads_strict

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


pieces = st.sampled_from(
    [
        *(
            r"\ud83d",
            r"\uDE00",
            r"\ude00",
            r"\uD83D",
            r"\ud83",
            "d83d",
            "e00",
            r"\\",
            r"\"",
            r"\n",
            r"\u00e9",
        ),
        *("é", "🙂", ",", "NaN", "[", "9" * 25, "-" + "9" * 25, "."),
    ]
)


@given(st.lists(st.lists(pieces, max_size=6), max_size=4), st.sampled_from(["1", "NaN", str(BIG)]))
def test_what_orjson_does_not_read_is_read_with_whole_characters(
    texts: list[list[str]], beside: str
) -> None:
    """As the standard module reads it, with U+FFFD for each half that is alone."""
    strings = [f'"{"".join(text)}"' for text in texts]
    written = f"[{beside},{{{','.join(f'{each}:{each}' for each in strings)}}}]"
    try:
        expected = json.loads(written)
    except ValueError:
        with pytest.raises(ValueError, match=r".+"):
            loads_bounded(written)
        return
    read, mended = loads_bounded(written)
    assert repr(read[0]) == repr(expected[0])
    assert read[1] == {mend_value(key): mend_value(text) for key, text in expected[1].items()}
    assert mended is (dumps(expected[1]) != dumps(read[1]))


@pytest.mark.parametrize("value", ["1", "0.5", "1e5", '"a"', "[1]", '{"a":1}', '"\\"\\\\"'])
@pytest.mark.parametrize("unusual", ["NaN", "-Infinity", "1e999", str(BIG)])
def test_values_beside_an_unusual_number_are_bounded(value: str, unusual: str) -> None:
    few = f"[{unusual},{','.join([value] * 6000)}]"
    assert len(loads_bounded(few)[0]) == 6001
    count = 450_000 if value == "1" else 150_000
    many = f"[{unusual},{','.join([value] * count)}]"
    with pytest.raises(TooManyValuesError):
        loads_bounded(many)
    assert len(loads_bounded(many.replace(unusual, '"\\ud83d"', 1))[0]) == 1 + count


def test_commas_and_digits_in_strings_are_no_values() -> None:
    text = f'[NaN,"{"1.5," * 300_000}\\" {BIG}"]'
    assert len(loads_bounded(text)[0][1]) == 1_200_000 + 33


def test_fractions_with_many_digits_are_no_large_integers() -> None:
    text = f"[{','.join(['0.00012345678901234567'] * 100_000)}]"
    assert loads_bounded(text)[0][-1] == 0.00012345678901234567
