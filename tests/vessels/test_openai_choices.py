"""Answers in envelopes, and answers whose text and tool calls are in choices of their own."""

from __future__ import annotations

from typing import Any

import pytest

from decoding import JSON, Decoded, decode
from vesselog.core.jsontext import dumps
from vesselog.vessels import OpenAI


def called(identifier: str | None, name: str = "f") -> dict[str, Any]:
    call = {"type": "function", "function": {"name": name, "arguments": "{}"}}
    return call if identifier is None else {**call, "id": identifier}


def choice(content: str | None, *calls: dict[str, Any], **more: Any) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if calls:
        message["tool_calls"] = list(calls)
    return {"message": message, "finish_reason": "tool_calls", **more}


def whole(*choices: dict[str, Any], n: int | None = None) -> Decoded:
    body = {"object": "chat.completion", "choices": list(choices)}
    return decode(OpenAI(), dumps(body), JSON, stream=False, n=n)


@pytest.mark.parametrize("number", [{}, {"index": 0}])
def test_text_and_calls_in_choices_of_their_own_are_one_message(number: dict[str, Any]) -> None:
    found = whole(
        choice("I look.", **number),
        choice(None, called("a"), **number),
        choice(None, called("b"), **number),
    )
    completion = found.completion
    assert (found.outcome, completion.text) == ("complete", "I look.")
    assert [(call.id, call.arguments) for call in completion.tool_calls] == [("a", {}), ("b", {})]
    assert completion.finish_reason == "tool_calls"
    assert completion.native == {
        "role": "assistant",
        "content": "I look.",
        "tool_calls": [called("a"), called("b")],
    }
    assert "choices-joined" in found.repairs


@pytest.mark.parametrize(
    "choices",
    [
        [choice("One"), choice("Two")],
        [choice("One", called("a")), choice("Two", called("b"))],
        [choice(None, called("a")), choice(None, called("a"))],
        [choice(None, called(None)), choice(None, called(None))],
        [choice("One", called("a")), choice(None)],
    ],
)
def test_choices_that_are_alternatives_stay_apart(choices: list[dict[str, Any]]) -> None:
    found = whole(*choices)
    assert len(found.completion.choices) == 2
    assert "choices-joined" not in found.repairs


def test_choices_that_were_asked_for_stay_apart() -> None:
    found = whole(choice("One"), choice(None, called("a")), n=2)
    assert [len(each.tool_calls) for each in found.completion.choices] == [0, 1]


@pytest.mark.parametrize("name", ["data", "result"])
def test_an_answer_in_an_envelope(name: str) -> None:
    answer = {"choices": [choice("Hi")], "usage": {"prompt_tokens": 3}}
    body = dumps({name: answer, "success": True, "errors": []})
    found = decode(OpenAI(), body, JSON, stream=False)
    assert (found.outcome, found.completion.text) == ("complete", "Hi")
    assert found.completion.usage is not None
    assert found.completion.usage.input_tokens == 3
    assert "answer-in-envelope" in found.repairs


def test_the_usage_beside_an_envelope_is_read() -> None:
    body = dumps({"result": {"choices": [choice("Hi")]}, "usage": {"prompt_tokens": 3}})
    usage = decode(OpenAI(), body, JSON, stream=False).completion.usage
    assert usage is not None
    assert usage.input_tokens == 3
