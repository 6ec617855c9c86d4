"""Which fields of an event are new."""

from __future__ import annotations

from typing import Any

import pytest

from decoding import delta, openai
from vesselog.vessels import RepeatFilter


def told(*values: Any) -> list[Any]:
    """What is new in each of the values of one field."""
    repeats = RepeatFilter()
    return [repeats.unknown_fields({"x": value}).get("x") for value in values]


@pytest.mark.parametrize(
    ("values", "new"),
    [
        (["a", "a", "b", "a"], ["a", None, "b", "a"]),
        ([1, 1.5, None, 1.5, False], [1, 1.5, None, None, False]),
        ([["a"], ["a"], ["a", "b"], ["a", "b"]], [["a"], None, ["b"], None]),
        ([["a"], ["b"], ["b"], ["a", "b", "c"]], [["a"], ["b"], None, ["c"]]),
        ([[5], [5], []], [[5], [5], None]),
        ([{"a": 1, "b": [2]}, {"a": 1, "b": [2]}], [{"a": 1, "b": [2]}, None]),
        (
            [{"a": 1, "b": ["u"]}, {"a": 2, "b": ["u", "v"]}],
            [{"a": 1, "b": ["u"]}, {"a": 2, "b": ["v"]}],
        ),
        ([{"a": {}}, {"a": {"b": None}}], [None, None]),
        (["x" * 100_000], ["x" * 100_000]),
    ],
)
def test_only_what_is_new_is_told(values: list[Any], new: list[Any]) -> None:
    assert told(*values) == new


def test_the_completion_has_a_growing_list_once() -> None:
    """Perplexity's citations and results: all so far in each event, at the top."""
    results = [{"title": x, "snippet": x * 3000} for x in "abc"]
    events = [
        {**delta(content="x"), "citations": list("uvw"[:size]), "search_results": results[:size]}
        for size in (1, 1, 2, 3, 3)
    ]
    found = openai(*events, delta("stop"))
    assert found.completion.extra["citations"] == ["u", "v", "w"]
    assert found.completion.extra["search_results"] == results


def test_known_fields_are_not_looked_at() -> None:
    repeats = RepeatFilter()
    assert repeats.unknown_fields({"a": 1, "b": 2}, {"a"}, "here") == {"b": 2}
    assert repeats.unknown_fields({"a": 1}, {"a"}) == {}
    assert repeats.unknown_fields({"b": 2}, {"a"}, "there") == {"b": 2}, "another place"
