"""Values in pieces, joined without knowledge of their field."""

from __future__ import annotations

from typing import Any

import pytest

from vesselog.vessels import JoinedObject


def joined(*pieces: Any) -> Any:
    """What the values of one key come to."""
    made = JoinedObject()
    for piece in pieces:
        made.put("x", piece)
    return made.build().get("x")


@pytest.mark.parametrize(
    ("pieces", "value"),
    [
        (["S", "I", "G"], "SIG"),
        (["", "SIG", ""], "SIG"),
        (["SIG", "SIG"], "SIG"),
        (["a", "a", "a", "b"], "aaab"),
        ([*["a"] * 8, "b"], "b"),
        (["a", "b", "b"], "abb"),
        ([None, "a", None], "a"),
        ([1, 2], 2),
        ([True, False], False),
        ([{"a": "S", "b": 1}, {"a": "G", "c": 2}], {"a": "SG", "b": 1, "c": 2}),
        ([[1], [1], [2, 3]], [1, 1, 2, 3]),
        ([["a"], ["a"], ["a", "b"], ["c"]], ["a", "b", "c"]),
        ([[{"u": 1}], [{"u": 2}], [{"u": 2}]], [{"u": 1}, {"u": 2}]),
        (["a", {"b": 1}], {"b": 1}),
        ([[], {}, ""], ""),
    ],
)
def test_pieces_become_one_value(pieces: list[Any], value: Any) -> None:
    assert joined(*pieces) == value


@pytest.mark.parametrize("key", ["id", "type", "format", "channel", "message_id"])
def test_of_a_label_the_latest_stands(key: str) -> None:
    made = JoinedObject()
    for value in ("a", "b", "b", "c"):
        made.put(key, value)
    assert made.build() == {key: "c"}


def test_texts_are_pieces_also_where_they_repeat() -> None:
    made = JoinedObject()
    for _ in range(3):
        made.put("text", "ha")
    assert made.build() == {"text": "hahaha"}


def text(kind: str = "text", **fields: Any) -> list[Any]:
    return [{"type": kind, **fields}]


def test_entries_with_an_index_are_joined_wherever_they_come() -> None:
    assert joined(
        text(text="a", index=0), text(text="b", index=1), text(text="c", index=0), [{"plain": 1}]
    ) == [*text(text="ac", index=0), *text(text="b", index=1), {"plain": 1}]


def test_entries_of_one_index_and_two_ids_are_two() -> None:
    one, other = text(data="A", index=0, id="1"), text(data="B", index=0, id="2")
    assert joined(one, other) == [*one, *other]
    assert joined(text(data="A", index=0), text(data="B", index=0)) == text(data="AB", index=0)


def test_without_an_index_the_last_entry_of_its_type_goes_on() -> None:
    assert joined(text(text="a"), text(text="b")) == text(text="ab")
    assert joined(text(text="a"), text("thinking", thinking="b"), text(text="c")) == [
        *text(text="a"),
        *text("thinking", thinking="b"),
        *text(text="c"),
    ]


def test_the_entries_of_one_list_are_several() -> None:
    assert joined([*text(text="a"), *text(text="b")], text(text="c")) == [
        *text(text="a"),
        *text(text="bc"),
    ]


def test_a_signature_ends_an_entry_without_index() -> None:
    signed = text("thinking", thinking="a", signature="S")
    assert joined(text("thinking", thinking="a"), text("thinking", signature="S")) == signed
    assert joined(signed, text("thinking", thinking="b")) == [
        *signed,
        *text("thinking", thinking="b"),
    ]


@pytest.mark.parametrize(
    "entry", [{"type": "file_citation", "text": "[1]", "file": "f"}, {"text": "a"}]
)
def test_entries_of_other_types_are_whole(entry: dict[str, Any]) -> None:
    assert joined([entry], [{**entry, "n": 2}]) == [entry, {**entry, "n": 2}]


def test_it_says_whether_a_piece_is_news() -> None:
    made = JoinedObject()
    told = [{"lane": "x"}, {"lane": "x"}, {"lane": "x"}, {"ids": [1]}, {"ids": [1]}, {"lane": None}]
    assert [made.add(piece) for piece in told] == [True, True, True, True, True, False]
    # A value that came eight times is no piece of a text.
    assert [made.add({"lane": "x"}) for _ in range(6)] == [True] * 4 + [False] * 2


def test_deep_values_are_taken_as_they_are() -> None:
    deep: Any = 1
    for _ in range(900):
        deep = {"x": deep}
    made = JoinedObject()
    made.add(deep)
    made.add(deep)
    assert made.build() == deep
