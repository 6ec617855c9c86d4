"""Chunks that are put together directly are those that pydantic makes."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from pydantic import ValidationError

from vesselog import StreamChunk
from vesselog.core.make_chunk import make_chunk

PLAIN = [
    {"seq": 7, "text": "light"},
    {"seq": 0, "reasoning": "Let me see."},
    {"text": "日本 🙂", "seq": 2**40},
    {"seq": 1, "text": ""},
]
OTHERS: list[dict[str, Any]] = [
    {"seq": 3},
    {"seq": 3, "finish_reason": "stop"},
    {"seq": 3, "text": "a", "role": "assistant"},
    {"seq": 3, "text": "a", "usage": {"input_tokens": 3}, "extra": {"x": 1}},
    {"text": "a", "reasoning": "b"},
]


@pytest.mark.parametrize("fields", PLAIN + OTHERS, ids=repr)
def test_a_chunk_is_the_one_that_pydantic_makes(fields: dict[str, Any]) -> None:
    made = make_chunk(fields, 1.25, '{"a":1}', 3)
    expected = StreamChunk.model_validate({**fields, "call": 3, "t": 1.25, "raw": '{"a":1}'})
    assert made == expected
    assert list(made) == list(expected), "in the same order"
    assert made.model_fields_set == expected.model_fields_set
    assert made.model_dump() == expected.model_dump()
    assert made.model_dump_json(exclude_unset=True) == expected.model_dump_json(exclude_unset=True)
    assert (repr(made), hash(made.text)) == (repr(expected), hash(expected.text))
    assert made.raw == expected.raw


@pytest.mark.parametrize("fields", PLAIN, ids=repr)
def test_a_chunk_made_directly_is_copied_and_pickled_like_any(fields: dict[str, Any]) -> None:
    made = make_chunk(fields, 1.25, "raw", 1)
    for each in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert each == made
    changed = made.model_copy(update={"role": "assistant"})
    assert changed.model_fields_set == made.model_fields_set | {"role"}
    assert make_chunk(fields, 1.25, "raw", 1).model_fields_set == made.model_fields_set
    with pytest.raises(ValidationError, match="frozen"):
        made.text = "other"


def test_no_two_chunks_share_their_extra() -> None:
    one, two = make_chunk(PLAIN[0], 0.0, "", 1), make_chunk(PLAIN[0], 0.0, "", 1)
    one.extra["mine"] = 1
    assert two.extra == {}


@pytest.mark.parametrize(
    "fields",
    [
        {"seq": 1, "text": 7},
        {"seq": "x", "text": "a"},
        {"seq": 1, "text": None},
        {"seq": 1, "finish_reason": "later"},
    ],
    ids=repr,
)
def test_bad_fields_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make_chunk(fields, 0.0, "", 1)
