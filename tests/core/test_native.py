"""The assistant's messages in the provider's own form, on their way to `end` lines and back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from vesselog.core.native import natives_of, natives_record


@pytest.mark.parametrize(
    "messages",
    [{}, {0: {"content": "a"}}, {0: {"content": "a"}, 1: {"content": "b"}}, {2: {"content": "c"}}],
)
def test_an_end_line_gives_back_what_it_holds(messages: dict[int, dict[str, Any]]):
    assert natives_of(json.loads(json.dumps(natives_record(messages)))) == messages


def test_the_first_choice_has_a_key_of_its_own():
    record = natives_record({0: {"content": "a"}, 3: {"content": "b"}})
    assert record == {"message": {"content": "a"}, "other_messages": {"3": {"content": "b"}}}


@pytest.mark.parametrize(
    "end",
    [
        None,
        {},
        {"message": None},
        {"message": "text", "other_messages": [1]},
        {"other_messages": {"-1": {}, "x": {}, "1": "text"}},
    ],
)
def test_a_damaged_line_has_none(end: dict[str, Any] | None):
    assert natives_of(end) == {}
