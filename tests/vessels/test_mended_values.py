"""Values of another type than the dialect's, and what is read of them."""

from __future__ import annotations

from typing import Any

import pytest

from vesselog.core.frame import Frame
from vesselog.core.framing import Framing
from vesselog.vessels.mended_values import is_word, mended_object, mended_objects, mended_text


def empty() -> Frame:
    return Frame(b"", Framing.NDJSON)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (1.5, "1.5"),
        (True, "true"),
        (False, ""),
        ({"a": [1]}, '{"a":[1]}'),
        ([1], "[1]"),
        (["a", {"type": "text", "text": "b"}], "ab"),
        (["a", {"type": "image"}], '["a",{"type":"image"}]'),
        ([], ""),
    ],
)
def test_a_text_of_another_type(value: Any, text: str) -> None:
    frame = empty()
    assert mended_text(value, frame) == text
    assert frame.repairs == ("unexpected-type",)


def test_a_text_or_null_needs_no_repair() -> None:
    frame = empty()
    assert (mended_text("a", frame), mended_text(None, frame)) == ("a", "")
    assert (mended_object({"a": 1}, frame), mended_object(None, frame)) == ({"a": 1}, {})
    assert (mended_objects([{}], frame), mended_objects(None, frame)) == ([{}], [])
    assert frame.repairs == ()


@pytest.mark.parametrize("value", [1, "a", [], [{}], False])
def test_an_object_of_another_type_is_empty(value: Any) -> None:
    frame = empty()
    assert mended_object(value, frame) == {}
    assert frame.repairs == ("unexpected-type",)


@pytest.mark.parametrize(
    ("value", "found"),
    [({"a": 1}, [{"a": 1}]), ([None, {"a": 1}, 2, "b"], [{"a": 1}]), ("a", []), (0, [])],
)
def test_a_list_of_objects_with_others_in_it(value: Any, found: list[Any]) -> None:
    frame = empty()
    assert mended_objects(value, frame) == found
    assert frame.repairs == ("unexpected-type",)


@pytest.mark.parametrize("word", ["ping", " queued ", "keep-alive", "OPENROUTER.PROCESSING"])
def test_a_word(word: str) -> None:
    assert is_word(word)


@pytest.mark.parametrize(
    "data", ["", '"a"', "{", "[1]", "<html>", "upstream is gone", "a" * 41, "not json"]
)
def test_what_is_more_than_a_word(data: str) -> None:
    assert not is_word(data)
