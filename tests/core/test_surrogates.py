"""Halves of characters are joined across chunks, or replaced; either is a declared repair."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from decoding import Decoded, decode, delta, openai, sse
from vesselog.core.jsontext import dumps
from vesselog.vessels import OpenAI

STOP = delta("stop")


def test_halves_in_two_chunks_are_joined() -> None:
    found = openai(delta(content="a\ud83d"), delta(content="\udc4db"), STOP)
    assert found.completion.text == "a👍b"
    assert [chunk.text for chunk in found.chunks][:2] == ["a", "👍b"]
    assert found.repairs == ["surrogates-joined"]


def test_a_half_waits_over_chunks_that_say_something_else() -> None:
    found = openai(delta(content="\ud83d"), delta(reasoning="x"), delta(content="\udc4d"), STOP)
    assert found.completion.text == "👍"
    assert found.completion.reasoning == "x"


def test_a_chunk_of_which_nothing_is_left_is_none() -> None:
    found = openai(delta(content="a"), delta(content="\ud83d"), delta(content="\udc4d"), STOP)
    assert [chunk.text for chunk in found.chunks] == ["a", "👍", ""]
    assert [chunk.seq for chunk in found.chunks] == [0, 1, 2]


def test_a_lone_half_becomes_a_replacement_character() -> None:
    found = openai(delta(content="a\udc4db"), delta(content="\ud83dc"), STOP)
    assert found.completion.text == "a\ufffdb\ufffdc"
    assert found.repairs == ["lone-surrogate", "lone-surrogate"]


def test_a_half_at_the_very_end_is_not_lost() -> None:
    found = openai(delta(content="a"), delta(content="b\ud83d"), STOP)
    assert found.completion.text == "ab\ufffd"
    assert found.outcome == "complete"
    assert "lone-surrogate" in found.repairs


def test_replacement_characters_of_the_provider_are_no_repair() -> None:
    found = openai(delta(content="a\ufffd\ud83d"), delta(content="\udc4d"), STOP)
    assert found.completion.text == "a\ufffd👍"
    assert "lone-surrogate" not in found.repairs


def test_arguments_of_different_calls_are_joined_apart() -> None:
    def call(index: int, arguments: str, **more: Any) -> dict[str, Any]:
        function = {"arguments": arguments, **more.pop("function", {})}
        return delta(tool_calls=[{"index": index, **more, "function": function}])

    found = openai(
        call(0, '{"a":"\ud83d', id="x", function={"name": "f"}),
        call(1, '{"a":"\ud83c', id="y", function={"name": "g"}),
        call(0, '\udc4d"}'),
        call(1, '\udf4d"}'),
        STOP,
    )
    assert [call.arguments for call in found.completion.tool_calls] == [{"a": "👍"}, {"a": "🍍"}]


def test_choices_are_joined_apart() -> None:
    found = openai(
        delta(content="\ud83d"),
        delta(content="\ud83c", index=1),
        delta(content="\udc4d"),
        delta(content="\udf4d", index=1),
        STOP,
        delta("stop", index=1),
        n=2,
    )
    assert found.completion.text == "👍"
    assert found.completion.choices[0].text == "🍍"


def test_numbers_that_are_none_become_null() -> None:
    event = delta(content="a")
    event["choices"][0]["logprobs"] = {"content": [{"token": "a", "logprob": "LOG"}]}
    body = sse(event, STOP).replace(b'"LOG"', b"-Infinity")
    found = decode(OpenAI(), body, "text/event-stream")
    assert found.completion.logprobs == {"content": [{"token": "a", "logprob": None}]}
    assert found.repairs == ["number-not-finite"]


def valid(found: Decoded) -> None:
    for step in found.steps:
        for fields in step.fields:
            assert json.loads(dumps(fields).decode()) == fields


@given(st.lists(st.text(st.sampled_from("a\ud83d\udc4d\ufffd"), max_size=3), max_size=6))
def test_what_comes_out_is_always_text(texts: list[str]) -> None:
    """However the halves lie, the answer is text, and as if it had come in one piece."""
    found = openai(*(delta(content=text) for text in texts), STOP)
    whole = "".join(texts).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert found.completion.text == whole
    valid(found)
