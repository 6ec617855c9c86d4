"""Requests of Ollama's API are read whole: what is built of them again is equal."""

from __future__ import annotations

from typing import Any

import pytest

from vesselog.vessels import InvalidRequestError, Ollama

WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CALL = {"function": {"name": "weather", "arguments": {"city": "Oslo"}}}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"


def chat_body(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": list(messages), "stream": True, **fields}


def again(body: dict[str, Any], route: str = "/api/chat") -> dict[str, Any]:
    vessel = Ollama()
    built = vessel.request(vessel.read_request(route, body)).body
    assert built is not None
    return built


HELLO = {"role": "user", "content": "Hello"}


@pytest.mark.parametrize(
    "body",
    [
        chat_body(HELLO),
        chat_body({"role": "system", "content": "Be brief."}, HELLO, stream=False),
        chat_body({"role": "user", "content": "What is it?", "images": [PIXEL, "/9j/4AAQ"]}),
        chat_body({"role": "user", "content": "", "images": [PIXEL]}),
        chat_body(HELLO, {"role": "assistant", "content": "Hi", "thinking": "Greet.", "x": [1]}),
        chat_body(
            HELLO,
            {"role": "assistant", "content": "", "tool_calls": [CALL, CALL]},
            {"role": "tool", "content": "cold", "tool_name": "weather"},
            {"role": "tool", "content": "colder", "tool_name": "weather"},
            tools=[WEATHER],
        ),
        chat_body(
            HELLO,
            {"role": "assistant", "content": "", "tool_calls": [{"id": "c1", **CALL}]},
            {"role": "tool", "content": "cold", "tool_name": "weather", "tool_call_id": "c1"},
        ),
        chat_body(HELLO, think="high", keep_alive="5m", format="json", logprobs=True),
        chat_body(HELLO, think=False, keep_alive=-1, logprobs=True, top_logprobs=3),
        chat_body(HELLO, format={"type": "object", "properties": {"n": {"type": "integer"}}}),
        chat_body(
            HELLO, options={"temperature": 0, "num_predict": 5, "num_ctx": 99, "stop": ["e"]}
        ),
        chat_body(HELLO, options={"num_predict": -1, "temperature": "hot", "stop": "e"}),
        chat_body(HELLO, options={}, truncate=False, dimensions=None),
        chat_body(HELLO, options=None, format="xml", think=5, keep_alive=[1], logprobs="yes"),
        chat_body(HELLO, options="none", format={"type": "json_schema"}, tools=None),
    ],
)
def test_a_chat_is_built_again_as_it_came(body: dict[str, Any]) -> None:
    assert again(body) == body


@pytest.mark.parametrize(
    "body",
    [
        {"model": "m", "prompt": "Once", "stream": True},
        {"model": "m", "prompt": "Once", "stream": False, "suffix": "end", "raw": True},
        {"model": "m", "prompt": "Once", "stream": True, "system": "Be brief.", "context": [1, 2]},
        {
            "model": "m",
            "prompt": "What?",
            "images": [PIXEL],
            "stream": True,
            "options": {"seed": 3},
        },
    ],
)
def test_a_prompt_is_built_again_as_it_came(body: dict[str, Any]) -> None:
    assert again(body, "http://127.0.0.1:11434/api/generate") == body


def test_the_universal_form_has_what_others_need() -> None:
    chat = Ollama().read_request(
        "/api/chat",
        {
            "model": "m",
            "messages": [
                {"role": "user", "content": "What is it?", "images": [PIXEL]},
                {"role": "assistant", "content": "Hm", "thinking": "A dot.", "tool_calls": [CALL]},
                {"role": "tool", "content": "cold", "tool_name": "weather"},
            ],
            "format": "json",
            "think": True,
            "options": {"num_predict": 7, "top_p": 0.5, "stop": ["e"], "num_ctx": 9},
        },
    )
    assert chat.messages is not None
    asked, answer, result = chat.messages
    assert asked.text == "What is it?"
    assert asked.images[0].image_url.url == f"data:image/png;base64,{PIXEL}"
    assert answer.content == "Hm"
    assert answer.tool_calls is not None
    assert answer.tool_calls[0].function is not None
    assert answer.tool_calls[0].function.arguments == {"city": "Oslo"}
    assert answer.native is not None
    assert answer.native["ollama"]["thinking"] == "A dot."
    assert (result.role, result.name, result.content) == ("tool", "weather", "cold")
    assert (chat.stream, chat.response_format, chat.think) == (True, "json", True)
    assert (chat.max_tokens, chat.top_p, chat.stop) == (7, 0.5, ("e",))
    assert chat.options == {"num_ctx": 9}
    assert chat.extra_body is None


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ([], "body"),
        ({"messages": [HELLO]}, "model"),
        ({"model": "", "messages": [HELLO]}, "model"),
        ({"model": "m"}, "messages"),
        ({"model": "m", "messages": []}, "messages"),
        (chat_body({"role": "user", "content": {"a": 1}}), r"messages\[0\]: content"),
        (chat_body(HELLO, {"role": "pirate", "content": "x"}), r"messages\[1\]: role"),
        (chat_body({"role": "user", "images": "x"}), r"messages\[0\].images"),
        (chat_body({"role": "assistant", "tool_calls": [{}]}), r"messages\[0\].tool_calls\[0\]"),
        (chat_body({"role": "user", "content": "x", "native": {}}), r"messages\[0\].native"),
        (chat_body(HELLO, tools=[5]), "tools.0"),
    ],
)
def test_what_is_not_of_the_dialect_is_refused_with_its_place(body: Any, place: str) -> None:
    with pytest.raises(InvalidRequestError, match=place):
        Ollama().read_request("/api/chat", body)


def test_other_routes_are_refused() -> None:
    with pytest.raises(InvalidRequestError, match="route"):
        Ollama().read_request("/api/embed", {"model": "m", "input": "x"})
