"""Conversations as the input of the Responses API."""

from __future__ import annotations

from typing import Any

import pytest

from strict_responses import check_responses
from vesselog.core.errors import InvalidRequestError
from vesselog.vessels import OpenAIResponses, chat_request

NAME = "openai-responses"
REASONING = {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "gA"}
TEXT = {
    "type": "message",
    "id": "msg",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Hm.", "annotations": []}],
}


def called(identifier: str, kind: str = "function_call") -> dict[str, Any]:
    item = {"type": kind, "id": f"i_{identifier}", "call_id": identifier, "name": "f"}
    return {**item, **({"arguments": "{}"} if kind == "function_call" else {"input": "x"})}


def call(identifier: str | None, kind: str = "function") -> dict[str, Any]:
    inside = {"name": "f", **({"arguments": "{}"} if kind == "function" else {"input": "x"})}
    return {"id": identifier, "type": kind, kind: inside}


def items(*messages: dict[str, Any]) -> Any:
    body = OpenAIResponses().request(chat_request("m", list(messages))).body
    assert body is not None
    return body["input"]


def result(identifier: str | None, content: Any = "ok", **more: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": identifier, "content": content, **more}


USER = {"role": "user", "content": "Hi"}


def test_a_first_system_message_is_the_instructions_and_others_are_items() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": "Use tools."},
        USER,
        {"role": "system", "content": "Now."},
    ]
    body = OpenAIResponses().request(chat_request("m", messages)).body
    assert body is not None
    assert body["instructions"] == "Be brief."
    assert [item["role"] for item in body["input"]] == ["developer", "user", "system"]
    alone = OpenAIResponses().request(chat_request("m", messages[:1])).body
    assert alone is not None
    assert alone["input"] == [messages[0]], "the API wants an input"


def test_an_answer_of_this_vessel_goes_back_as_it_came() -> None:
    output = [REASONING, TEXT, called("a"), {"type": "web_search_call", "id": "w"}]
    native = {NAME: {"role": "assistant", "output": output}}
    answer = {"role": "assistant", "content": "Hm.", "tool_calls": [call("a")], "native": native}
    written = items(USER, answer, result("a"), USER)
    assert written[1:5] == output
    assert written[5] == {"type": "function_call_output", "call_id": "a", "output": "ok"}


def test_ids_of_its_calls_follow_those_of_the_message() -> None:
    native = {NAME: {"role": "assistant", "output": [called("a"), called("a2")]}}
    first = {"role": "assistant", "content": "", "tool_calls": [call("a")]}
    answer = {"role": "assistant", "tool_calls": [call("a"), call("a2")], "native": native}
    written = items(USER, first, result("a"), USER, answer, result("a"), result("a2"))
    made = written[4]["call_id"]
    assert made not in {"a", "a2"}
    assert [item["call_id"] for item in written[4:]] == [made, "a2", made, "a2"]
    assert check_responses({"input": written}) is None


def test_an_answer_of_another_provider_is_a_message_and_its_calls() -> None:
    calls = [call("a"), call("b", "custom")]
    answer = {"role": "assistant", "content": "Hm.", "tool_calls": calls, "native": {"x": {"y": 1}}}
    written = items(USER, answer, result("b"), result("a"))
    assert written[1:] == [
        {"role": "assistant", "content": "Hm."},
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "b", "name": "f", "input": "x"},
        {"type": "custom_tool_call_output", "call_id": "b", "output": "ok"},
        {"type": "function_call_output", "call_id": "a", "output": "ok"},
    ]
    assert check_responses({"input": written}) is None


def test_parts_are_those_of_the_api() -> None:
    url = "data:image/png;base64,iVBORw0KGgo="
    parts = [
        {"type": "text", "text": "Look"},
        {"type": "image_url", "image_url": {"url": url, "detail": "low"}},
        {"type": "file", "file": {"file_id": "f", "filename": "a.pdf"}},
        {"type": "input_file", "file_url": "http://x/y.pdf"},
    ]
    expected = [
        {"type": "input_text", "text": "Look"},
        {"type": "input_image", "image_url": url, "detail": "low"},
        {"type": "input_file", "file_id": "f", "filename": "a.pdf"},
        parts[3],
    ]
    assert items({"role": "user", "content": parts}) == [{"role": "user", "content": expected}]
    seen = items(USER, {"role": "assistant", "tool_calls": [call("a")]}, result("a", parts[:2]))
    assert seen[2]["output"] == expected[:2]
    told = [{"role": "assistant", "content": parts[:1]}, USER]
    assert items(USER, *told)[1]["content"] == [{"type": "output_text", "text": "Look"}]


def test_the_result_of_a_tool_of_the_api_names_its_kind() -> None:
    output = {"type": "computer_screenshot", "image_url": "http://x/y"}
    native = {NAME: {"output": [{"type": "computer_call", "id": "i", "call_id": "c"}]}}
    answer = {"role": "assistant", "native": native}
    shown = result("c", None, type="computer_call_output", output=output)
    assert items(USER, answer, shown)[2] == {
        "type": "computer_call_output",
        "call_id": "c",
        "output": output,
    }


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ({"role": "user", "content": "x", "name": "Ann"}, "name"),
        ({"role": "tool", "content": "x"}, "tool_call_id"),
        (
            {
                "role": "assistant",
                "content": [{"type": "image_url", "image_url": {"url": "http://x/y"}}],
            },
            "images",
        ),
        ({"role": "assistant", "native": {NAME: {"output": "x"}}}, "output"),
        ({"role": "user", "content": "x", "native": {NAME: {"output": []}}}, "native"),
    ],
)
def test_what_the_api_has_no_place_for_is_refused(message: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidRequestError, match=why):
        items(USER, message)
