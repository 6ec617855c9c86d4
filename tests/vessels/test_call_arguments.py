"""Arguments of tool calls as servers dress them, in each dialect, and what goes back of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from answering import answered, sent
from decoding import Decoded, decode
from vesselog.vessels import BUILT_IN

TEXT = '{"x":1}'
IN_STRING = json.dumps(TEXT)


def ollama(function: dict[str, Any]) -> Any:
    message = {"role": "assistant", "content": "", "tool_calls": [{"function": function}]}
    return {"message": message, "done": True, "done_reason": "stop"}


def openai(function: dict[str, Any]) -> Any:
    message = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "a", "function": function}],
    }
    return {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}


def anthropic(call: dict[str, Any]) -> Any:
    content = [{"type": "tool_use", "id": "a", **call}]
    return {"type": "message", "role": "assistant", "content": content, "stop_reason": "tool_use"}


def gemini(call: dict[str, Any]) -> Any:
    content = {"role": "model", "parts": [{"functionCall": call}]}
    return {"candidates": [{"content": content, "finishReason": "STOP"}]}


def responses(call: dict[str, Any]) -> Any:
    item = {"type": "function_call", "id": "fc", "call_id": "a", **call}
    return {"object": "response", "status": "completed", "output": [item]}


MADE_BY = {
    "ollama": ollama,
    "openai": openai,
    "anthropic": anthropic,
    "gemini": gemini,
    "openai-responses": responses,
}
OWN_KEY = {"anthropic": "input", "gemini": "args"}


def key_of(vessel: str) -> str:
    return OWN_KEY.get(vessel, "arguments")


def whole(vessel: str, **call: Any) -> Decoded:
    body = json.dumps(MADE_BY[vessel]({"name": "f", **call})).encode()
    return decode(BUILT_IN[vessel](), body, stream=False)


def sent_arguments(vessel: str, other: str, key: str, value: Any) -> list[Any]:
    """The arguments in the request of `other` that has the answer of `vessel`, as an object."""
    body = json.dumps(MADE_BY[vessel]({"name": "f", key: value})).encode()
    answer = answered(BUILT_IN[vessel](), body, stream=False, max_tokens=9).to_message()
    result = {"role": "tool", "tool_call_id": answer["tool_calls"][0]["id"], "content": "ok"}
    request = sent(
        BUILT_IN[other](), [{"role": "user", "content": "hi"}, answer, result], max_tokens=9
    )
    found = list(_calls_in(request))
    return [json.loads(each) if isinstance(each, str) else each for each in found]


def _calls_in(value: Any) -> Any:
    """What the calls anywhere in a request have as arguments."""
    if isinstance(value, list):
        for each in value:
            yield from _calls_in(each)
    elif isinstance(value, dict):
        if value.get("name") == "f":
            yield from (value[key] for key in ("arguments", "args", "input") if key in value)
        for each in value.values():
            yield from _calls_in(each)


@pytest.mark.parametrize("vessel", MADE_BY)
@pytest.mark.parametrize("name", ["arguments", "parameters", "args", "input"])
@pytest.mark.parametrize("value", [TEXT, {"x": 1}])
def test_another_dialects_name_for_them(vessel: str, name: str, value: Any) -> None:
    found = whole(vessel, **{name: value})
    (call,) = found.completion.tool_calls
    assert (found.outcome, call.name, call.arguments) == ("complete", "f", {"x": 1})
    assert ("tool-arguments-renamed" in found.repairs) == (name != key_of(vessel))
    assert sent_arguments(vessel, vessel, name, value) == [{"x": 1}]


@pytest.mark.parametrize("vessel", MADE_BY)
@pytest.mark.parametrize("other", MADE_BY)
def test_an_object_encoded_twice(vessel: str, other: str) -> None:
    """It is the object for the caller and in the next request, whoever gets that."""
    found = whole(vessel, **{key_of(vessel): IN_STRING})
    (call,) = found.completion.tool_calls
    assert (found.outcome, call.arguments) == ("complete", {"x": 1})
    assert "tool-arguments-encoded-twice" in found.repairs
    assert sent_arguments(vessel, other, key_of(vessel), IN_STRING) == [{"x": 1}]


@pytest.mark.parametrize("vessel", MADE_BY)
@pytest.mark.parametrize("text", ['"[1]"', r'"{\"x\":"', '"x"', "[1]", "{x}"])
def test_arguments_without_an_object_go_back_under_a_key_that_says_so(
    vessel: str, text: str
) -> None:
    found = whole(vessel, **{key_of(vessel): text})
    (call,) = found.completion.tool_calls
    assert call.arguments_text == text
    assert "tool-arguments-encoded-twice" not in found.repairs
    assert sent_arguments(vessel, vessel, key_of(vessel), text) == [{"INVALID_JSON": text}]


@pytest.mark.parametrize("vessel", MADE_BY)
@pytest.mark.parametrize("number", ["1e400", "-1e400", "NaN", "Infinity", "9" * 600])
@pytest.mark.parametrize("as_text", [True, False])
def test_a_number_that_is_not_finite_neither_fails_nor_takes_the_other_arguments_along(
    vessel: str,
    number: str,
    as_text: bool,  # noqa: FBT001 - a case
) -> None:
    """In arguments that are a text it stays there; in an object it is null, by a named repair."""
    text = f'{{"n": {number}, "s": "x"}}'
    value: Any = text if as_text else {"n": "NUMBER", "s": "x"}
    body = json.dumps(MADE_BY[vessel]({"name": "f", key_of(vessel): value}))
    found = decode(BUILT_IN[vessel](), body.replace('"NUMBER"', number).encode(), stream=False)
    (call,) = found.completion.tool_calls
    assert (found.outcome, call.arguments) == ("complete", {"n": None, "s": "x"})
    assert call.arguments_text == (text if as_text else '{"n":null,"s":"x"}')
    assert ("number-not-finite" in found.repairs) == (not as_text)

    for other in MADE_BY:
        request = sent(
            BUILT_IN[other](),
            [{"role": "user", "content": "hi"}, found.completion.to_message()],
            max_tokens=9,
        )
        (went,) = _calls_in(request)
        told = json.loads(went) if isinstance(went, str) else went
        assert told == ({"INVALID_JSON": text} if as_text else {"n": None, "s": "x"}), other
