"""Halves of characters are joined across chunks, or replaced; either is a declared repair."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable
from typing import Any
from unittest import mock

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anthropic_bodies import completion_of
from decoding import Decoded, decode, delta, openai, sse
from vesselog.core.chunk import ChunkFields
from vesselog.core.errors import ProtocolError
from vesselog.core.frame import Frame
from vesselog.core.framing import Framing
from vesselog.core.jsontext import dumps
from vesselog.core.mending import mend_value, need_mending
from vesselog.core.vessel import Decoder, Progress
from vesselog.vessels import Anthropic, Gemini, Ollama, OpenAI

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
    assert found.completion.choices[1].text == "🍍"


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


# Decoders that parse frames in ways of their own: an exact parse, an envelope, text of two frames.


def lone(found: Decoded) -> None:
    """What is said holds no half of a pair, the repair is named, and all of it can be written."""
    assert found.error is None
    assert "lone-surrogate" in found.repairs
    valid(found)
    found.completion.model_dump_json()


def test_a_half_beside_an_anthropic_tool_use() -> None:
    block = {"type": "tool_use", "id": "t", "name": "f", "input": {"city": "\ud83d"}}
    message = {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": "a\ud83db"}, block],
        "stop_reason": "tool_use",
    }
    found = decode(Anthropic(), json.dumps(message).encode(), "application/json", stream=False)
    lone(found)
    assert found.completion.text == "a\ufffdb"
    (call,) = found.completion.tool_calls
    assert call.arguments == {"city": "\ufffd"}
    assert json.loads(call.arguments_text) == call.arguments


def test_a_half_beside_a_gemini_function_call() -> None:
    call = {"functionCall": {"name": "f", "args": {"city": "\udc4d", "size": "NUMBER"}}}
    parts = [{"text": "a\ud83d!"}, call]
    event = {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}
    body = b"data: " + json.dumps(event).replace('"NUMBER"', "1e400").encode() + b"\n\n"
    found = decode(Gemini(), body, "text/event-stream")
    lone(found)
    assert "number-not-finite" in found.repairs
    assert found.completion.text == "a\ufffd!"
    (made,) = found.completion.tool_calls
    assert made.arguments == {"city": "\ufffd", "size": None}
    assert json.loads(made.arguments_text) == made.arguments


def test_a_half_in_the_arguments_of_an_ollama_tool_call() -> None:
    call = {"function": {"name": "f", "arguments": {"city": "\ud83d", "n": 2**70}}}
    line = {"message": {"content": "a\ud83d!", "tool_calls": [call]}, "done": True}
    found = decode(Ollama(), json.dumps(line).encode() + b"\n", "application/x-ndjson")
    lone(found)
    assert found.completion.text == "a\ufffd!"
    (made,) = found.completion.tool_calls
    assert made.arguments == {"city": "\ufffd", "n": 2**70}


def test_a_half_in_arguments_that_are_sent_as_text() -> None:
    """The text stays as it was sent; the value that is made of it can be written."""
    arguments = '{"city": "\\ud83d", "n": NaN}'
    function = {"name": "f", "arguments": arguments}
    call = {"index": 0, "id": "x", "function": function}
    found = openai(delta(tool_calls=[call]), STOP)
    (made,) = found.completion.tool_calls
    assert made.arguments_text == arguments
    assert made.arguments == {"city": "\ufffd", "n": None}
    found.completion.model_dump_json()


def test_halves_that_a_decoder_puts_together_in_a_later_frame_are_joined() -> None:
    """In Anthropic's native form, which is made when the answer has ended."""
    piece = {"type": "content_block_delta", "index": 0}
    events = [
        {"type": "message_start", "message": {"id": "m", "role": "assistant"}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking"}},
        {**piece, "delta": {"type": "thinking_delta", "thinking": "a\ud83d"}},
        {**piece, "delta": {"type": "thinking_delta", "thinking": "\udc4db"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        {"type": "message_stop"},
    ]
    body = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    found = decode(Anthropic(), body, "text/event-stream")
    assert found.completion.reasoning == "a👍b"
    valid(found)
    native = completion_of([body]).native
    assert native is not None
    assert native["content"] == [{"type": "thinking", "thinking": "a👍b"}]


class OwnDecoder(Decoder):
    """Of a vessel by somebody else, which parses frames without `Frame.json`."""

    def __init__(self, parse: Callable[[str], Any]) -> None:
        self._parse = parse

    def decode(self, frame: Frame) -> Iterable[ChunkFields]:
        event = self._parse(frame.data or "{}")
        if event.get("end"):
            self.progress = Progress.TERMINATED
        return [event["say"]]


def in_base64(data: str) -> Any:
    return json.loads(base64.b64decode(json.loads(data)["bytes"]))


def own(parse: Callable[[str], Any], *events: str) -> Decoded:
    body = "".join(f"data: {event}\n\n" for event in events).encode()
    with mock.patch.object(OpenAI, "decoder", return_value=OwnDecoder(parse)):
        return decode(OpenAI(), body, "text/event-stream")


EVENTS = (
    '{"say": {"text": "a\\ud83d"}}',
    '{"say": {"text": "\\udc4d!\\udc4d", "extra": {"x": [NaN, 1e400, "\\ud83d", null]}}}',
    '{"say": {"tool_calls": [{"slot": "0", "name": null, "arguments": "\\ud83d"}]}, "end": true}',
)


@pytest.mark.parametrize("wrapped", [False, True], ids=["json.loads", "base64"])
def test_a_decoder_may_parse_as_it_likes(*, wrapped: bool) -> None:
    events = EVENTS
    if wrapped:
        events = tuple(
            json.dumps({"bytes": base64.b64encode(event.encode()).decode()}) for event in EVENTS
        )
    found = own(in_base64 if wrapped else json.loads, *events)
    lone(found)
    assert found.completion.text == "a👍!\ufffd"
    assert found.completion.extra == {"x": [None, None, "\ufffd", None]}
    assert found.completion.tool_calls[0].arguments_text == "\ufffd"
    assert set(found.repairs) == {"lone-surrogate", "surrogates-joined", "number-not-finite"}


def test_orjson_in_a_decoder_needs_no_mending() -> None:
    events = ('{"say": {"text": "é null"}}', '{"say": {"extra": {"x": null}}, "end": true}')
    found = own(orjson.loads, *events)
    assert (found.completion.text, found.completion.extra) == ("é null", {"x": None})
    assert found.repairs == []


@pytest.mark.parametrize(
    "said",
    [
        '{"text": 7}',
        '{"tool_calls": [{"arguments": "null"}]}',
        '{"tool_calls": [null]}',
        '{"extra": null}',
        '"text"',
        "[null]",
    ],
)
def test_a_bad_chunk_is_an_error_of_the_answer(said: str) -> None:
    """Whatever a decoder gives: the frame is recorded, and the exchange raises nothing."""
    found = own(json.loads, '{"say": {"text": "a"}}', f'{{"say": {said}, "end": true}}')
    assert isinstance(found.error, ProtocolError)
    assert "the vessel made a bad chunk" in found.error.message
    assert found.completion.text == "a"
    assert len(found.steps) == 2


VALUES = st.recursive(
    st.none() | st.floats() | st.integers() | st.text(st.sampled_from("a\ud83d\udc4d"), max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=6,
)


@given(st.fixed_dictionaries({}, optional={"text": st.text(), "logprobs": VALUES}))
def test_what_is_said_to_need_no_mending_needs_none(chunk: Any) -> None:
    mended = mend_value(chunk)
    assert json.loads(dumps(mended)) == mended
    if not need_mending([chunk]):
        assert mended == chunk


NAMES = st.sampled_from(["null", '"null', "NaN", ",NaN,", "Infinity", "\\", "é"])
FINITE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | NAMES
    | st.text(max_size=3)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(NAMES, inner),
    max_leaves=9,
)


@given(FINITE, st.sampled_from([float("nan"), -float("nan"), float("inf"), -float("inf")]))
def test_only_a_number_that_is_not_finite_is_mended(value: Any, unusual: float) -> None:
    """Among None and texts that look like it; the value itself is given back, tuples too."""
    chunk: Any = {"text": "é", "extra": {"x": value}}
    assert not need_mending([chunk])
    frame = Frame(b"", Framing.BODY)
    assert mend_value(value, frame) is value
    assert frame.repairs == ()
    chunk["extra"]["null"] = [value, unusual]
    assert need_mending([chunk])
    assert mend_value([value, unusual], frame)[1] is None
    assert frame.repairs == ("number-not-finite",)


def test_none_beside_finite_numbers_needs_no_mending() -> None:
    """As in each frame with log probabilities, where orjson writes None as it writes NaN."""
    token: dict[str, Any] = {"token": "null", "logprob": -0.5, "bytes": None, "top_logprobs": [{}]}
    assert not need_mending([{"text": "é", "logprobs": {"content": [token], "refusal": None}}])
    token["top_logprobs"] = [{"logprob": float("-inf")}]
    assert need_mending([{"text": "é", "logprobs": {"content": [token], "refusal": None}}])
    assert need_mending([{"logprobs": (float("nan"),)}])
