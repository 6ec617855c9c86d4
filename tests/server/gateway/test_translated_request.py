"""Requests between dialects: what is translated, what is left out, and what is refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chats import chats
from coding_agent import AGENT_REQUEST
from plain_requests import broken, plain
from strict_anthropic import check_anthropic
from strict_gemini import check_gemini
from strict_ollama import check_ollama
from strict_openai import check_openai
from thorough import tries
from vesselog.core.errors import InvalidRequestError
from vesselog.server.gateway.translated_request import translated_request
from vesselog.vessels import Anthropic, Azure, Gemini, Groq, Ollama, OpenAI, Vessel

LOCAL = OpenAI(base_url="http://127.0.0.1:8000/v1")
UPSTREAMS: dict[str, tuple[Vessel, Callable[[Any], str | None]]] = {
    "openai": (OpenAI(), check_openai),
    "local": (LOCAL, check_openai),
    "azure": (Azure(base_url="https://x.openai.azure.com"), check_openai),
    "groq": (Groq(), check_openai),
    "ollama": (Ollama(), check_ollama),
    "anthropic": (Anthropic(max_tokens=5), check_anthropic),
    "gemini": (Gemini(), check_gemini),
}
CLIENTS: dict[str, tuple[Vessel, str]] = {
    "openai": (LOCAL, "/v1/chat/completions"),
    "ollama": (Ollama(), "/api/chat"),
    "anthropic": (Anthropic(max_tokens=5), "/v1/messages"),
    "gemini": (Gemini(), "/v1beta/models/gemini-3-pro:generateContent"),
}
ROUTES = {client: route for client, (_, route) in CLIENTS.items()}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
HELLO = [{"role": "user", "content": "Hi"}]
BASE: dict[str, dict[str, Any]] = {
    "openai": {"model": "m", "messages": HELLO, "tools": [TOOL]},
    "ollama": {"model": "m", "messages": HELLO, "tools": [TOOL]},
    "gemini": {
        "contents": [{"parts": [{"text": "Hi"}]}],
        "tools": [{"functionDeclarations": [{"name": "f"}]}],
    },
    "anthropic": {
        "model": "m",
        "max_tokens": 9,
        "messages": HELLO,
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
    },
}


def sent(client: str, upstream: str, route: str = "", **changed: Any) -> dict[str, Any]:
    """The body that the upstream gets for the client's plain request with these changes."""
    body = {**BASE[client], **changed}
    _, request = translated_request(client, route or ROUTES[client], body, UPSTREAMS[upstream][0])
    assert request.body is not None
    return request.body


def refusal(client: str, upstream: str, route: str = "", **changed: Any) -> str:
    with pytest.raises(InvalidRequestError) as caught:
        sent(client, upstream, route, **changed)
    return caught.value.message


@pytest.mark.parametrize("upstream", UPSTREAMS)
@pytest.mark.parametrize("client", CLIENTS)
@settings(max_examples=tries(5, 20), deadline=None)
@given(st.data())
def test_what_both_dialects_can_say_arrives(
    client: str, upstream: str, data: st.DataObject
) -> None:
    vessel, route = CLIENTS[client]
    other, check = UPSTREAMS[upstream]
    unknown = frozenset({"options", "extra_body", "think", "keep_alive", "logprobs", "seed", "n"})
    chat = data.draw(chats(unknown))
    chat = chat.model_copy(update={"max_tokens": chat.max_tokens or 7})
    if not chat.tools:
        chat = chat.model_copy(update={"tool_choice": None, "tools": None})
    try:
        body = json.loads(json.dumps(vessel.request(chat).body))
        if client == "gemini" and chat.stream:
            route = route.replace(":generate", ":streamGenerate")
        _, request = translated_request(client, route, body, other)
    except InvalidRequestError:
        assume(False)
        return
    assert request.body is not None
    written = json.loads(json.dumps(request.body))
    assert check(written) is None
    read = other.read_request(request.url, written)
    if upstream == "ollama" and chat.tool_choice == "none":
        read = read.model_copy(update={"tools": chat.tools, "tool_choice": "none"})
    assert said(read) == said(vessel.read_request(route, body))
    assert read.stream is chat.stream


def said(chat: Any) -> Any:
    """The request but for the empty lines that join texts, and for how a choice is spelt."""
    changed: dict[str, Any] = {}
    if chat.tool_choice == "auto":  # which is what no choice means
        changed["tool_choice"] = None
    found = json.dumps(plain(chat.model_copy(update=changed)))
    return found.replace("\\n", "")


@pytest.mark.parametrize("upstream", ["openai", "local", "azure", "groq", "ollama", "gemini"])
def test_what_a_coding_agent_sends_arrives(upstream: str) -> None:
    """System blocks to be cached, thinking, parallel calls, failed results, text beside them."""
    vessel, check = UPSTREAMS[upstream]
    chat, request = translated_request("anthropic", "/v1/messages", AGENT_REQUEST, vessel)
    assert request.body is not None
    assert check(json.loads(json.dumps(request.body))) is None
    assert request.stream
    written = json.dumps(request.body)
    for left_out in ("cache_control", "context_management", "user_abc", "signature-of", "is_error"):
        assert left_out not in written
    assert chat.messages is not None
    assert [message.role for message in chat.messages] == [
        *("system", "user", "assistant", "tool", "tool", "user"),
    ]
    assert chat.messages[0].content == "You are a coding agent.\n\nAnswer briefly."
    failed = "The tool failed.\n\nno such file"
    assert [message.content for message in chat.messages[3:]] == [
        "line 1\n\nline 2",
        '{"error":"no such file"}' if upstream == "gemini" else failed,
        "Go on.",
    ]
    assert [tool.function.name for tool in chat.tools or () if tool.function] == ["Read", "Bash"]


IMAGE = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"},
}


def result_of(upstream: str, **block: Any) -> Any:
    """What the upstream is sent of a tool's result."""
    call = {"type": "tool_use", "id": "toolu_01", "name": "look", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_01", **block}
    body = {
        "model": "m",
        "max_tokens": 9,
        "messages": [
            {"role": "user", "content": "Look."},
            {"role": "assistant", "content": [call]},
            {"role": "user", "content": [result]},
        ],
    }
    vessel, check = UPSTREAMS[upstream]
    _, request = translated_request("anthropic", "/v1/messages", body, vessel)
    sent = json.loads(json.dumps(request.body))
    assert check(sent) is None
    return sent["contents"][-1]["parts"] if upstream == "gemini" else sent["messages"][-1]


def test_a_tool_that_failed_is_never_told_as_one_that_succeeded() -> None:
    """Each provider reads it where its models do: Gemini by a key, the others in the text."""
    for told, said in {"cold": "The tool failed.\n\ncold", None: "The tool failed."}.items():
        content = {} if told is None else {"content": told}
        for upstream in ("openai", "ollama", "groq"):
            assert result_of(upstream, is_error=True, **content)["content"] == said
            kept = result_of(upstream, is_error=False, **content)["content"]
            assert kept == (told or "")
        (part,) = result_of("gemini", is_error=True, **content)
        assert part["functionResponse"]["response"] == {"error": told or said}
    seen = result_of("ollama", is_error=True, content=[IMAGE])
    assert (seen["content"], seen["images"]) == ("The tool failed.", ["AAAA"])
    (part,) = result_of("gemini", is_error=True, content=[{"type": "text", "text": "{}"}, IMAGE])
    assert part["functionResponse"]["response"] == {"error": "{}"}
    assert part["functionResponse"]["parts"][0]["inlineData"]["data"] == "AAAA"


def test_a_client_is_told_what_a_client_can_do() -> None:
    """The vessels name what a Python program would write."""
    asked: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    picture = {"type": "image_url", "image_url": {"url": "https://h/x.png"}}
    seen = {**asked, "messages": [{"role": "user", "content": [picture]}]}
    for client, vessel, body, told in (
        ("openai", Anthropic(), asked, "needs max_tokens.* in the gateway's settings$"),
        ("openai", Ollama(), seen, "images: give a data: URL$"),
        ("ollama", OpenAI(), {**asked, "think": True}, "does not take think=True[^;]*$"),
    ):
        route = "/api/chat" if client == "ollama" else "/v1/chat/completions"
        with pytest.raises(InvalidRequestError, match=told):
            translated_request(client, route, body, vessel)


def test_a_mark_that_says_neither_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="is_error"):
        result_of("openai", content="cold", is_error="yes")


@pytest.mark.parametrize("client", CLIENTS)
@settings(max_examples=tries(25, 300), deadline=None)
@given(st.data())
def test_no_body_raises_anything_but_its_error(client: str, data: st.DataObject) -> None:
    vessel, route = CLIENTS[client]
    upstream, _ = UPSTREAMS[data.draw(st.sampled_from(["local", "ollama", "anthropic", "gemini"]))]
    if client == "anthropic" and data.draw(st.booleans()):
        body: Any = json.loads(json.dumps(AGENT_REQUEST))
    else:
        refused = frozenset({"options", "extra_body", "think", "keep_alive", "logprobs", "seed"})
        chat = data.draw(chats(refused | {"n", "tool_choice", "response_format"}))
        body = json.loads(json.dumps(vessel.request(chat).body))
    body = broken(body, data)
    try:
        _, request = translated_request(client, route, body, upstream)
    except InvalidRequestError:
        return
    json.dumps(request.body)


def test_thinking_is_asked_for_where_the_upstream_has_a_word_for_it() -> None:
    budget = {"thinking": {"type": "enabled", "budget_tokens": 2048}}
    assert sent("anthropic", "gemini", **budget)["generationConfig"]["thinkingConfig"] == {
        "includeThoughts": True,
        "thinkingBudget": 2048,
    }
    assert "reasoning_effort" not in sent("anthropic", "openai", **budget)
    assert "think" not in sent("anthropic", "ollama", **budget)
    off = {"thinking": {"type": "disabled"}}
    assert sent("anthropic", "ollama", **off)["think"] is False
    assert "reasoning_effort" not in sent("anthropic", "openai", **off)
    effort = {"output_config": {"effort": "low"}}
    assert sent("anthropic", "openai", **effort)["reasoning_effort"] == "low"
    assert "think" not in sent("anthropic", "ollama", **effort)


def test_an_effort_of_an_openai_client_is_a_level_elsewhere() -> None:
    assert sent("openai", "ollama", reasoning_effort="low")["think"] == "low"
    assert sent("openai", "ollama", reasoning_effort="none")["think"] is False
    config = sent("openai", "anthropic", reasoning_effort="low")["output_config"]
    assert config == {"effort": "low"}


def test_one_call_at_a_time_has_two_names() -> None:
    one = {"type": "any", "disable_parallel_tool_use": True}
    assert sent("anthropic", "openai", tool_choice=one)["parallel_tool_calls"] is False
    assert sent("anthropic", "openai", tool_choice=one)["tool_choice"] == "required"
    choice = sent("openai", "anthropic", parallel_tool_calls=False, tool_choice="required")
    assert choice["tool_choice"] == one
    assert sent("openai", "anthropic", parallel_tool_calls=False)["tool_choice"] == {
        **one,
        "type": "auto",
    }
    assert "parallel_tool_calls" not in sent("openai", "ollama", parallel_tool_calls=True)
    assert "parallel_tool_calls" in refusal("openai", "ollama", parallel_tool_calls=False)


def test_tools_that_may_not_be_called_are_not_offered_to_ollama() -> None:
    body = sent("openai", "ollama", tool_choice="none")
    assert body.keys().isdisjoint({"tools", "tool_choice"})


def test_no_tools_are_no_list_of_tools() -> None:
    """OpenAI refuses an empty list, which coding agents send."""
    body = sent("anthropic", "openai", tools=[], tool_choice={"type": "auto"})
    assert body.keys().isdisjoint({"tools", "tool_choice"})


def test_sampling_that_a_dialect_has_under_another_name() -> None:
    options = {"top_k": 3, "frequency_penalty": 0.5, "num_ctx": 8192, "temperature": 0}
    config = sent("ollama", "gemini", options=options)["generationConfig"]
    assert config == {"temperature": 0, "topK": 3, "frequencyPenalty": 0.5}
    assert sent("openai", "ollama", presence_penalty=1)["options"] == {"presence_penalty": 1}
    assert sent("anthropic", "ollama", top_k=3)["options"] == {"num_predict": 9, "top_k": 3}


def test_a_schema_is_a_schema_everywhere() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    asked = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": schema}}
    assert sent("openai", "ollama", response_format=asked)["format"] == schema
    config = sent("openai", "anthropic", response_format=asked)["output_config"]
    assert config == {"format": {"type": "json_schema", "schema": schema}}
    given_to_ollama = sent("ollama", "openai", format=schema)["response_format"]
    assert given_to_ollama["json_schema"]["schema"] == schema
    assert "response_format" not in sent("openai", "gemini", response_format={"type": "text"})


def test_a_prompt_of_ollama_is_the_chat_that_it_makes_of_it() -> None:
    image = "iVBORw0KGgo="
    body = {"model": "m", "prompt": "Look", "system": "Be brief.", "images": [image]}
    chat, request = translated_request("ollama", "/api/generate", body, LOCAL)
    assert chat.messages is not None
    assert chat.messages[0].text == "Be brief."
    assert chat.messages[1].images[0].image_url.url == f"data:image/png;base64,{image}"
    assert request.url.endswith("/chat/completions")
    raw = {"model": "m", "prompt": "Once", "raw": True}
    assert translated_request("ollama", "/api/generate", raw, LOCAL)[1].url.endswith(
        "/v1/completions"
    )
    with pytest.raises(InvalidRequestError, match="raw"):
        translated_request("ollama", "/api/generate", raw, Gemini())


def test_a_prompt_of_a_legacy_completion_is_one_for_ollama() -> None:
    body = {"model": "m", "prompt": "Once", "max_tokens": 3, "echo": False}
    _, request = translated_request("openai", "/v1/completions", body, Ollama())
    assert request.url.endswith("/api/generate")
    assert request.body == {
        "model": "m",
        "prompt": "Once",
        "stream": False,
        "options": {"num_predict": 3},
    }
    with pytest.raises(InvalidRequestError, match="prompt"):
        translated_request("openai", "/v1/completions", body, Anthropic())


def calling(**choice: Any) -> dict[str, Any]:
    return {"toolConfig": {"functionCallingConfig": {"mode": "ANY", **choice}}}


def test_geminis_choice_of_all_functions_is_any_of_them() -> None:
    for names in ([], ["f"], ["f", "g"]):
        choice = sent("gemini", "openai", **calling(allowedFunctionNames=names))["tool_choice"]
        assert choice in ("required", {"type": "function", "function": {"name": "f"}})


REFUSED: list[tuple[str, str, dict[str, Any], str]] = [
    ("openai", "ollama", {"logit_bias": {"5": 1}}, "logit_bias"),
    ("openai", "ollama", {"modalities": ["text", "audio"]}, "modalities"),
    ("openai", "ollama", {"n": 2}, "n"),
    ("openai", "ollama", {"store": True}, "store"),
    ("openai", "ollama", {"tool_choice": "required"}, "tool_choice"),
    ("openai", "ollama", {"tools": [{"type": "custom", "custom": {"name": "s"}}]}, "custom tools"),
    ("openai", "ollama", {"temperature": "warm"}, "temperature"),
    ("openai", "ollama", {"tool_choice": 5}, "tool_choice"),
    ("openai", "ollama", {"some_new_field": 1}, "some_new_field"),
    ("openai", "anthropic", {"seed": 1, "max_tokens": 5}, "seed"),
    ("openai", "anthropic", {"functions": [{"name": "f"}]}, "functions"),
    ("openai", "anthropic", {"frequency_penalty": 1}, "frequency_penalty"),
    ("openai", "gemini", {"tool_choice": {"type": "allowed_tools"}}, "tool_choice"),
    ("openai", "gemini", {"response_format": {"type": "grammar"}}, "response_format"),
    ("ollama", "openai", {"options": {"mirostat": 1}}, "options.mirostat"),
    ("ollama", "openai", {"options": {"temperature": "warm"}}, "options.temperature"),
    ("ollama", "openai", {"options": 5}, "options"),
    ("ollama", "openai", {"think": True}, "think"),
    ("ollama", "anthropic", {"options": {"seed": 1, "num_predict": 1}}, "seed"),
    ("gemini", "openai", {"cachedContent": "c"}, "cachedContent"),
    ("gemini", "openai", {"generationConfig": {"responseModalities": ["IMAGE"]}}, "Modalities"),
    ("gemini", "openai", {"generation_config": {"top_k": 3}}, "top_k"),
    ("gemini", "openai", {"generationConfig": {"temperature": "warm"}}, "temperature"),
    ("gemini", "ollama", {"tools": [{"googleSearch": {}}]}, "googleSearch"),
    ("gemini", "ollama", {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}, "tool_choice"),
    (
        "gemini",
        "openai",
        {"contents": [{"parts": [{"fileData": {"fileUri": "x", "mimeType": "audio/mp3"}}]}]},
        "fileData",
    ),
    ("anthropic", "openai", {"container": "c"}, "container"),
    ("anthropic", "openai", {"mcp_servers": [{"name": "m"}]}, "mcp_servers"),
    ("anthropic", "openai", {"top_k": 3}, "top_k"),
    ("anthropic", "ollama", {"tool_choice": {"type": "tool", "name": "f"}}, "tool_choice"),
    (
        "anthropic",
        "ollama",
        {"tools": [{"type": "bash_20250124", "name": "bash"}]},
        "bash_20250124",
    ),
    ("anthropic", "ollama", {"thinking": {"type": "other"}}, "thinking.type"),
    ("anthropic", "ollama", {"output_config": {"task_budget": 1}}, "output_config.task_budget"),
    ("anthropic", "ollama", {"output_config": {"format": {"type": "x"}}}, "output_config.format"),
    ("anthropic", "ollama", {"tool_choice": {"type": "other"}}, "tool_choice"),
    # Values of a wrong type are not left out.
    ("openai", "ollama", {"max_tokens": True}, "max_tokens"),
    ("openai", "ollama", {"max_tokens": -1}, "max_tokens"),
    ("anthropic", "openai", {"output_config": {"effort": 5}}, "output_config.effort"),
    ("anthropic", "openai", {"output_config": {"format": []}}, "output_config.format"),
    (
        "anthropic",
        "openai",
        {"tool_choice": {"type": "auto", "disable_parallel_tool_use": "yes"}},
        "tool_choice.disable_parallel_tool_use",
    ),
    (
        "anthropic",
        "openai",
        {"messages": [*HELLO, {"role": "assistant", "content": [{"type": "text", "text": 5}]}]},
        "'text' of a part",
    ),
    ("gemini", "openai", calling(allowedFunctionNames="f"), "allowedFunctionNames"),
    ("gemini", "openai", calling(allowedFunctionNames=["g", "h"]), "allowedFunctionNames"),
    ("gemini", "openai", calling(streamed=True), "functionCallingConfig.streamed"),
    (
        "gemini",
        "openai",
        {"tools": [{"functionDeclarations": [{"name": "f", "parameters": "x"}]}]},
        "parameters",
    ),
]


@pytest.mark.parametrize(("client", "upstream", "changed", "name"), REFUSED)
def test_what_cannot_be_said_is_named(
    client: str, upstream: str, changed: dict[str, Any], name: str
) -> None:
    assert name in refusal(client, upstream, **changed)


def test_a_client_of_gemini_in_either_spelling() -> None:
    config = {"max_output_tokens": 5, "topK": 3, "thinkingConfig": {"thinkingBudget": -1}}
    more: dict[str, Any] = {
        "system_instruction": {"parts": [{"text": "Be brief."}]},
        "safetySettings": [{"category": "x"}],
    }
    body = sent("gemini", "ollama", generation_config=config, **more)
    assert body["options"] == {"num_predict": 5, "top_k": 3}
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert "think" not in body
    schema = {"type": "OBJECT", "properties": {"a": {"type": "INTEGER"}}}
    asked = {"responseMimeType": "application/json", "responseSchema": schema}
    assert sent("gemini", "ollama", generationConfig=asked)["format"] == {
        "type": "object",
        "properties": {"a": {"type": "integer"}},
    }
    assert "response_format" not in sent(
        "gemini", "openai", generationConfig={"responseMimeType": "text/plain"}
    )
    off = {"thinkingConfig": {"thinkingBudget": 0}}
    assert sent("gemini", "ollama", generationConfig=off)["think"] is False


def test_a_tool_with_what_another_provider_cannot_do_is_named() -> None:
    tool = {"name": "f", "input_schema": {"type": "object"}}
    for key in ("cache_control", "defer_loading", "eager_input_streaming"):
        assert sent("anthropic", "ollama", tools=[{**tool, key: {"type": "ephemeral"}}])
    assert sent("anthropic", "ollama", tools=[{**tool, "allowed_callers": ["direct"]}])
    callers = {**tool, "allowed_callers": ["code_execution_20250825"]}
    assert "tools[0].allowed_callers" in refusal("anthropic", "ollama", tools=[callers])


@pytest.mark.parametrize("client", ["unknown"])
def test_other_clients_reach_only_upstreams_of_their_dialect(client: str) -> None:
    with pytest.raises(InvalidRequestError, match=client):
        translated_request(client, "/x", {}, Ollama())


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("body", [None, [], {}, {"model": 5}, {"model": "m", "messages": [7]}])
def test_a_body_that_is_none_of_the_dialect_is_refused(client: str, body: Any) -> None:
    with pytest.raises(InvalidRequestError):
        translated_request(client, ROUTES[client], body, Gemini())
