"""Which requests are the same, and what is told of two that are not."""

from __future__ import annotations

from typing import Any

import pytest

from vesselog import ConfigurationError
from vesselog.testing.matching import Ignored, Matching

MESSAGES = [{"role": "user", "content": "Why?"}]
BODY: dict[str, Any] = {"model": "m", "messages": MESSAGES, "metadata": {"date": 1, "user": "a"}}


def line(body: Any, url: str = "http://h/v1/chat/completions", **more: Any) -> dict[str, Any]:
    return {"vessel": "openai", "method": "POST", "url": url, "body": body, **more}


def same(one: Any, other: Any, *ignore: Ignored, **settings: Any) -> bool:
    matching = Matching(ignore, **settings)
    return matching.question(line(one)).answers(matching.question(line(other)))


@pytest.mark.parametrize(
    "change",
    [
        {"stream": True, "stream_options": {"include_usage": True}},
        {"messages": [{"content": "Why?", "role": "user"}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Why?"}]}]},
        {"tools": []},
        {"temperature": None},
    ],
    ids=str,
)
def test_what_asks_the_same_matches(change: dict[str, Any]) -> None:
    assert same(BODY, {**BODY, **change})


@pytest.mark.parametrize(
    "change",
    [
        {"model": "n"},
        {"messages": [{"role": "user", "content": "Why not?"}]},
        {"messages": [*MESSAGES, *MESSAGES]},
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"temperature": 0},
        {"metadata": {"date": 2, "user": "a"}},
        {"x_unknown": 1},
    ],
    ids=str,
)
def test_what_asks_something_else_does_not_match(change: dict[str, Any]) -> None:
    assert not same(BODY, {**BODY, **change})


@pytest.mark.parametrize(
    ("ignore", "change"),
    [
        ("metadata.date", {"metadata": {"date": 2, "user": "a"}}),
        ("body.metadata", {"metadata": 7}),
        ("metadata.*", {"metadata": {"x": 1}}),
        ("messages[0].content", {"messages": [{"role": "user", "content": "No"}]}),
        ("messages[*].content", {"messages": [{"role": "user", "content": "No"}]}),
        ("messages[*]", {"messages": []}),
    ],
    ids=str,
)
def test_what_is_ignored_does_not_count(ignore: str, change: dict[str, Any]) -> None:
    assert same(BODY, {**BODY, **change}, ignore)
    assert not same(BODY, {**BODY, **change})


def test_a_function_may_change_the_body() -> None:
    def without_date(body: dict[str, Any]) -> None:
        del body["metadata"]["date"]

    assert same(BODY, {**BODY, "metadata": {"date": 2, "user": "a"}}, without_date)


def test_a_function_may_return_the_body_to_compare() -> None:
    assert same(BODY, {"model": "m"}, lambda body: {"model": body["model"]})


def test_only_some_fields_count() -> None:
    assert same(BODY, {**BODY, "metadata": 1, "temperature": 2}, only=["model", "messages"])
    assert not same(BODY, {**BODY, "model": "n"}, only=["model", "messages"])


@pytest.mark.parametrize(
    ("one", "other", "matches"),
    [
        ("http://a/v1/chat/completions", "http://b:1/chat/completions", True),
        ("https://openrouter.ai/api/v1/chat/completions", "http://b/v1/chat/completions", True),
        ("http://a/api/chat", "http://b/abc/ollama/api/chat", True),
        ("http://a/api/chat", "http://b/api/generate", False),
        ("http://a/v1beta/models/g:generateContent", "/models/g:streamGenerateContent", True),
        ("http://a/v1beta/models/g:generateContent", "/models/h:generateContent", False),
    ],
)
def test_routes_are_compared_without_what_is_in_front_of_them(
    one: str, other: str, *, matches: bool
) -> None:
    matching = Matching()
    recorded, asked = (matching.question(line({}, url)) for url in (one, other))
    assert recorded.answers(asked) is matches


def test_a_stream_does_not_answer_where_exact_bytes_are_served() -> None:
    matching = Matching()
    recorded, asked = (matching.question(line(BODY), streams=each) for each in (True, False))
    assert not recorded.answers(asked)
    assert recorded.differences(asked) == ["  stream\n    recorded: true\n    asked:    false"]


def test_differences_show_both_values_around_where_they_differ() -> None:
    matching = Matching()
    long = "x" * 300
    recorded = matching.question(line({"a": [1, {"b": "c"}], "d": f"{long}1{long}", "e": None}))
    asked = matching.question(line({"a": [1, {"b": "C"}, 3], "d": f"{long}2{long}", "f": 0}))
    told = recorded.differences(asked)
    assert told[0] == '  body.a[1].b\n    recorded: "c"\n    asked:    "C"'
    assert told[1] == "  body.a[2]\n    recorded: nothing\n    asked:    3"
    assert told[2].startswith("  body.d\n    recorded: …x")
    assert "x1x" in told[2]
    assert all(len(each) < 125 for each in told[2].split("\n"))
    assert told[3:] == [
        "  body.e\n    recorded: null\n    asked:    nothing",
        "  body.f\n    recorded: nothing\n    asked:    0",
    ]


@pytest.mark.parametrize("place", ["", "a..b", "a[x]", "[", "a["])
def test_a_place_that_is_none_is_refused(place: str) -> None:
    with pytest.raises(ConfigurationError, match="is no place in a body"):
        Matching([place])


def test_a_text_in_place_of_a_list_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"ignore takes a list: \['a'\]"):
        Matching("a")
