"""The recorded request that is most like another one, and where the two differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sessions import request
from vesselog import Recording
from vesselog.core.replay.compare_requests import differing_places, nearest_call
from vesselog.core.truth.session import Session


def test_the_nearest_call_has_the_most_in_common(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "a")
    for prompt in ("quite another", "Tell me of the sea", "Tell me of the sky at night"):
        session.begin(request({"prompt": prompt})).end("complete")
    session.close()
    calls = list(Recording(session.path).calls())
    nearest = nearest_call(calls, request({"prompt": "Tell me of the sky at noon"}))
    assert nearest is calls[2]
    assert nearest_call([], request()) is None


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
    assert differing_places({"body": one}, {"body": other}) == told
