"""Answers written as events of the Responses API, held to the types and the accumulator of OpenAI's
own SDK. That they are decoded to the same answer is in test_answer_encoder.py.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from vesselog.core.assembler import Assembler
from vesselog.core.chunk import StreamChunk
from vesselog.core.completion import Completion
from vesselog.vessels import OpenAIResponses
from vesselog.vessels.responses_encoder import ResponsesEncoder

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
TOKEN = {"token": "Hi", "logprob": -0.5, "bytes": None, "top_logprobs": []}


def encoder(**more: Any) -> ResponsesEncoder:
    return ResponsesEncoder(model="m", identifier="resp_1", created=5, **more)


def chunks(*fields: dict[str, Any]) -> list[StreamChunk]:
    return [StreamChunk(seq=seq, **each) for seq, each in enumerate(fields)]


def calling(slot: str, **fields: Any) -> dict[str, Any]:
    return {"tool_calls": [{"slot": slot, **fields}]}


def complete(given: Sequence[StreamChunk]) -> Completion:
    assembler = Assembler()
    for chunk in given:
        assembler.add(chunk)
    return assembler.completion(outcome="complete")


def events(body: bytes) -> list[dict[str, Any]]:
    """The events, each valid for the SDK's types and numbered in order."""
    found: list[dict[str, Any]] = []
    for frame in body.split(b"\n\n")[:-1]:
        name, data = frame.split(b"\n")
        event = json.loads(data.removeprefix(b"data: "))
        assert name == b"event: " + event["type"].encode()
        assert event["sequence_number"] == len(found)
        EVENT.validate_python(event)
        found.append(event)
    return found


def accumulated(given: list[dict[str, Any]]) -> Any:
    """What the SDK builds of the events."""
    state: Any = ResponseStreamState(input_tools=omit, text_format=omit)
    for event in given:
        state.handle_event(EVENT.validate_python(event))
    return state._completed_response


MIXED = chunks(
    {"role": "assistant", "model": "gpt"},
    {"reasoning": "Hm"},
    {"reasoning": "."},
    {"text": "Hi", "logprobs": {"content": [TOKEN]}},
    {"text": " you"},
    calling("0", id="a", name="tide", arguments='{"port":'),
    calling("1", id="b", name="sh", type="custom"),
    calling("1", arguments="ls"),
    calling("0", arguments='"Kiel"}'),
    calling("2", id="c", name="now"),
    {
        "finish_reason": "tool_calls",
        "usage": {"input_tokens": 7, "output_tokens": 5, "cached_input_tokens": 2},
    },
)


def test_the_sdk_builds_the_whole_answer_of_the_events() -> None:
    writer = encoder()
    completion = complete(MIXED)
    told = events(b"".join(map(writer.write, MIXED)) + writer.end(completion))
    built = accumulated(told)
    assert built.output_text == "Hi you"
    assert built.model == "gpt"
    items = [item.to_dict() for item in built.output]
    assert [item["type"] for item in items] == [
        *("reasoning", "message", "function_call", "custom_tool_call", "function_call"),
    ]
    assert items[0]["summary"] == [{"type": "summary_text", "text": "Hm."}]
    assert items[1]["content"][0]["logprobs"][0]["bytes"] == [72, 105]
    assert (items[2]["call_id"], items[2]["arguments"]) == ("a", '{"port":"Kiel"}')
    assert (items[3]["call_id"], items[3]["input"]) == ("b", "ls")
    assert items[4]["arguments"] == "{}"
    assert (built.usage.input_tokens, built.usage.output_tokens) == (7, 5)
    assert built.usage.input_tokens_details.cached_tokens == 2
    whole = Response.model_validate(encoder().whole(completion))
    assert [item.type for item in whole.output] == [item["type"] for item in items]
    assert whole.output_text == built.output_text


def test_every_item_begins_before_its_pieces_and_ends_once() -> None:
    writer = encoder()
    told = events(b"".join(map(writer.write, MIXED)) + writer.end(complete(MIXED)))
    assert [event["type"] for event in told[:2]] == ["response.created", "response.in_progress"]
    begun: set[int] = set()
    ended: list[int] = []
    for event in told[2:-1]:
        index = event["output_index"]
        if event["type"] == "response.output_item.added":
            assert index == len(begun)
            begun.add(index)
        assert index in begun
        assert index not in ended
        if event["type"] == "response.output_item.done":
            ended.append(index)
    assert sorted(ended) == sorted(begun)


def test_each_piece_is_sent_when_it_comes() -> None:
    writer = encoder()
    for text in ("Gute ", "Reise"):
        (chunk,) = chunks({"text": text})
        assert f'"delta":"{text}"'.encode() in writer.write(chunk)


@pytest.mark.parametrize(
    ("finish", "status", "reason"),
    [
        ("stop", "completed", None),
        ("length", "incomplete", "max_output_tokens"),
        ("content_filter", "incomplete", "content_filter"),
        ("other", "completed", None),
    ],
)
def test_an_answer_ends_as_its_finish_says(finish: Any, status: str, reason: str | None) -> None:
    given = chunks({"text": "Hi"}, {"finish_reason": finish})
    writer = encoder()
    last = events(b"".join(map(writer.write, given)) + writer.end(complete(given)))[-1]
    assert last["type"] == f"response.{status}"
    assert last["response"]["status"] == status
    assert last["response"]["incomplete_details"] == (reason and {"reason": reason})


def test_a_failure_has_what_came_before_it() -> None:
    (chunk,) = chunks({"text": "Hal"})
    writer = encoder()
    told = events(writer.write(chunk) + writer.fail("server_error", "It fell over."))
    assert told[-1]["type"] == "response.failed"
    response = told[-1]["response"]
    assert response["error"] == {"code": "server_error", "message": "It fell over."}
    assert response["output"][0]["content"][0]["text"] == "Hal"
    assert [event["type"] for event in events(encoder().fail("server_error", "No."))] == [
        "response.created",
        "response.in_progress",
        "response.failed",
    ]


def test_a_text_and_a_refusal_are_parts_of_one_message() -> None:
    given = chunks({"text": "Well."}, {"refusal": "No"}, {"refusal": "."})
    writer = encoder()
    built = accumulated(events(b"".join(map(writer.write, given)) + writer.end(complete(given))))
    (item,) = built.output
    assert [part.type for part in item.content] == ["output_text", "refusal"]
    assert item.content[1].refusal == "No."


def test_only_the_first_choice_is_written() -> None:
    given = chunks({"text": "a"}, {"text": "b", "choice": 1})
    writer = encoder()
    built = accumulated(events(b"".join(map(writer.write, given)) + writer.end(complete(given))))
    assert built.output_text == "a"


def test_a_response_repeats_its_request() -> None:
    tools = [{"type": "function", "name": "f", "parameters": {}, "strict": False}]
    asked = {"instructions": "Be brief.", "tools": tools, "metadata": {"a": "b"}, "input": "x"}
    response = encoder(asked=asked).whole(complete(chunks({"text": "Hi"})))
    assert Response.model_validate(response).instructions == "Be brief."
    assert (response["tools"], response["metadata"]) == (tools, {"a": "b"})
    assert "input" not in response


def test_an_answer_of_the_api_itself_has_its_own_items() -> None:
    output = [{"type": "web_search_call", "id": "ws", "status": "completed"}]
    native = {"role": "assistant", "output": output}
    completion = complete(chunks({"text": "Hi", "response_id": "resp_9"})).model_copy(
        update={"native": native, "vessel": "openai-responses"}
    )
    response = OpenAIResponses().completion_object(completion)
    assert (response["id"], response["output"]) == ("resp_9", output)


@pytest.mark.parametrize(
    ("outcome", "status"),
    [("cancelled", "cancelled"), ("truncated", "failed"), (None, "completed")],
)
def test_an_answer_that_broke_off_says_so(outcome: Any, status: str) -> None:
    completion = complete(chunks({"text": "Hi"})).model_copy(update={"outcome": outcome})
    response = OpenAIResponses().completion_object(completion)
    assert Response.model_validate(response).status == status
