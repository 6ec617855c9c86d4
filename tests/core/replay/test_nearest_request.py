"""The recorded request that is most like another one, and where the two differ."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from sessions import request
from vesselog import Recording
from vesselog.core.replay.compare_requests import Comparison, Match
from vesselog.core.truth.session import Session


def test_the_nearest_call_has_the_most_in_common(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "a")
    for prompt in ("quite another", "Tell me of the sea", "Tell me of the sky at night"):
        session.begin(request({"prompt": prompt})).end("complete")
    session.close()
    calls = list(Recording(session.path).calls())
    nearest = Comparison().nearest(calls, request({"prompt": "Tell me of the sky at noon"}))
    assert nearest is calls[2]
    assert Comparison().nearest([], request()) is None


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ({"a": 1}, {"a": 1, "stream": True}, "nothing but its key"),
        ({"a": 1}, {"a": 2}, "body.a"),
        ({"a": [1, {"b": "secret"}]}, {"a": [1, {"b": "other"}]}, "body.a[1].b"),
        ({"a": [1]}, {"a": [1, 2]}, "body.a"),
        (dict.fromkeys("abcde", 1), {}, "body.a, body.b, body.c and 2 more"),
        ({"a": 1}, ["a"], "body"),
    ],
)
def test_the_places_are_named_without_what_is_there(one: Any, other: Any, told: str) -> None:
    assert Comparison().differing_places({"body": one}, {"body": other}) == told


ASKED = {
    "url": "http://here:1/v1/messages",
    "body": {"model": "n", "messages": [2], "stream": True},
}
RECORDED = {
    "url": "https://there.example/api/v1/messages",
    "body": {"model": "m", "messages": [1], "stream": False},
}


@pytest.mark.parametrize(
    ("match", "wire", "told"),
    [
        ("strict", False, ["url", "body.messages[0]", "body.model"]),
        ("strict", True, ["body.messages[0]", "body.model", "body.stream"]),
        ("messages", False, ["body.messages[0]"]),
        ("messages", True, ["body.messages[0]", "body.stream"]),
        ("route", True, ["body.stream"]),
    ],
)
def test_only_what_is_compared_is_named(match: Match, wire: bool, told: list[str]) -> None:  # noqa: FBT001 - a case
    """The host never is; a request key has the whole path."""
    named = Comparison(match, wire).differing_places(RECORDED, ASKED)
    assert sorted(re.findall(r"(?:url|body[.\w\[\]]*)", named)) == sorted(told)
    assert "example" not in named


def test_another_host_and_geminis_path_of_a_stream_are_no_difference() -> None:
    """Where the request key does not have them."""
    one = {"url": "http://a/v1beta/models/m:generateContent", "body": {"a": 1}}
    other = {"url": "http://b/v1beta/models/m:streamGenerateContent?alt=sse", "body": {"a": 2}}
    assert Comparison().differing_places(one, other) == "body.a"
