"""What every dialect's requests have in common: whatever is built can be read and built again."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chats import chats, json_values
from corpus import ROOT
from house import ROOT as HOUSE
from strict_anthropic import check_anthropic
from strict_gemini import check_gemini
from strict_ollama import check_ollama
from strict_openai import check_openai
from thorough import tries
from vesselog import Recording
from vesselog.core.registry import dialect
from vesselog.vessels import (
    Anthropic,
    Azure,
    ChatRequest,
    DeepSeek,
    Gemini,
    Groq,
    InvalidRequestError,
    LlamaCpp,
    Mistral,
    Ollama,
    OpenAI,
    OpenRouter,
    ToolCallRequest,
    Vessel,
    loads_exact,
    valid_arguments,
)

VESSELS: dict[str, tuple[Vessel, set[str]]] = {
    "ollama": (Ollama(), {"tool_choice", "n"}),
    "openai": (OpenAI(), {"keep_alive"}),
    "lab": (OpenAI(base_url="http://127.0.0.1:8000"), {"keep_alive"}),
    "azure": (Azure(base_url="https://x.openai.azure.com"), {"keep_alive"}),
    "deepseek": (DeepSeek(), {"keep_alive"}),
    "groq": (Groq(), {"keep_alive", "n", "logprobs"}),
    "llamacpp": (LlamaCpp(), {"keep_alive"}),
    "mistral": (Mistral(), {"keep_alive"}),
    "openrouter": (OpenRouter(), {"keep_alive"}),
    "anthropic": (Anthropic(max_tokens=5), {"seed", "n", "logprobs", "keep_alive"}),
    "gemini": (Gemini(), {"keep_alive"}),
}
NAMED = {
    "extra_body",
    "keep_alive",
    "logprobs",
    "n",
    "options",
    "response_format",
    "seed",
    "think",
    "tool_choice",
}
every_vessel = pytest.mark.parametrize("name", VESSELS)


def built(vessel: Vessel, chat: ChatRequest) -> tuple[str, dict[str, Any]]:
    """The URL and the body of the request."""
    request = vessel.request(chat)
    assert request.body is not None
    return request.url, request.body


@every_vessel
@settings(max_examples=tries(12, 40))
@given(st.data())
def test_what_is_built_is_read_and_built_again(name: str, data: st.DataObject) -> None:
    vessel, refused = VESSELS[name]
    chat = data.draw(chats(frozenset(refused)))
    try:
        url, body = built(vessel, chat)
    except InvalidRequestError:
        assume(False)
        return
    stored = json.loads(json.dumps(body))
    read = vessel.read_request(url, stored)
    assert built(vessel, read) == (url, body)
    assert stored == json.loads(json.dumps(body)), "the body that was read has changed"
    assert read.stream is chat.stream


@every_vessel
@settings(max_examples=tries(8, 25))
@given(st.data())
def test_the_universal_form_comes_back(name: str, data: st.DataObject) -> None:
    """But for what a dialect has one way for: text and images apart, arguments as an object."""
    vessel, refused = VESSELS[name]
    chat = data.draw(chats(frozenset(refused | {"options", "extra_body", "think", "logprobs"})))
    chat = chat.model_copy(update={"max_tokens": chat.max_tokens or 7})  # Anthropic needs one
    try:
        url, body = built(vessel, chat)
    except InvalidRequestError:
        assume(False)
        return
    read = vessel.read_request(url, json.loads(json.dumps(body)))
    assert _plain(read) == _plain(chat)


def _plain(chat: ChatRequest) -> Any:
    """What all dialects can say of a request, in one form."""
    said = [
        {
            "role": message.role,
            "text": message.text if message.text.strip() else "",  # which Anthropic refuses
            "images": [part.image_url.url.partition(",")[2] for part in message.images],
            "calls": [_call(call) for call in message.tool_calls or ()],
            "result_of": message.tool_call_id or "",
        }
        for message in chat.messages or ()
    ]
    found = [each for each in said if any(each[key] for key in each.keys() - {"role"})]
    in_a_row = groupby(found, lambda each: each["role"] == "tool")
    ordered = [
        sorted(each, key=lambda one: one["result_of"]) if tool else list(each)
        for tool, each in in_a_row
    ]
    tools = [
        tool.function and tool.function.model_dump(include={"name", "description"})
        for tool in chat.tools or ()
    ]
    same = ("temperature", "top_p", "max_tokens", "seed", "n", "tool_choice", "response_format")
    stop = (chat.stop,) if isinstance(chat.stop, str) else chat.stop
    return ordered, tools, stop, [getattr(chat, field) for field in same]


def _call(call: ToolCallRequest) -> Any:
    assert call.function is not None
    arguments = valid_arguments(call.function.arguments)
    return (
        call.id,
        call.tool,
        loads_exact(arguments or "{}") if isinstance(arguments, str) else arguments,
    )


CHECKS: dict[str, Callable[[Any], str | None]] = {
    "ollama": check_ollama,
    "openai": check_openai,
    "anthropic": check_anthropic,
    "gemini": check_gemini,
}


@pytest.mark.parametrize("writer", CHECKS)
@every_vessel
@settings(max_examples=tries(4, 15))
@given(st.data())
def test_what_one_vessel_reads_another_can_send(
    name: str, writer: str, data: st.DataObject
) -> None:
    """Without what only the first provider knows: `options` and `extra_body`."""
    vessel, _ = VESSELS[name]
    other, _ = VESSELS[writer]
    chat = data.draw(chats(frozenset(NAMED)))
    url, body = built(vessel, chat)
    read = vessel.read_request(url, json.loads(json.dumps(body)))
    if "messages" not in body and "contents" not in body:
        return
    sent = built(other, read.model_copy(update={"options": None, "extra_body": None}))[1]
    assert CHECKS[writer](sent) is None
    assert _plain(other.read_request(built(other, read)[0], sent))[0] == _plain(read)[0]


@every_vessel
@settings(max_examples=tries(15, 60))
@given(st.data())
def test_no_body_raises_anything_but_its_error(name: str, data: st.DataObject) -> None:
    vessel, refused = VESSELS[name]
    url, body = built(vessel, data.draw(chats(frozenset(refused | NAMED))))
    broken = _broken(json.loads(json.dumps(body)), data)
    try:
        chat = vessel.read_request(url, broken)
        _, again = built(vessel, chat)
    except InvalidRequestError:
        return
    json.dumps(again)


def _broken(value: Any, data: st.DataObject) -> Any:
    """The value with one place of it replaced, left out or added to."""
    places = [(value, key) for key in value] if isinstance(value, dict) else []
    for container, key in places:
        inner = container[key]
        keys = (
            inner
            if isinstance(inner, dict)
            else range(len(inner))
            if isinstance(inner, list)
            else ()
        )
        places += [(inner, each) for each in keys]
    if not places:
        return data.draw(json_values())
    container, key = data.draw(st.sampled_from(places))
    if isinstance(container, dict) and data.draw(st.booleans()):
        words = ["name", "role", "content", "native", "type", "text", "id", "parts", "tool_calls"]
        container[data.draw(st.sampled_from(words))] = data.draw(json_values())
    else:
        container[key] = data.draw(json_values())
    return value


def _captured() -> dict[str, tuple[str, Any]]:
    """Requests that real servers answered: the route and the body, by the name of the file."""
    found: dict[str, tuple[str, Any]] = {}
    for path in sorted((ROOT / "captures").glob("*/*.req")):
        head, brace, text = path.read_text("utf-8").partition("{")
        route = head.split()[1].removeprefix("http://127.0.0.1")
        status = path.with_suffix(".raw").read_bytes().split()[1:2]
        known = ("/chat/completions", "/v1/completions", "/api/chat", "/api/generate", "/messages")
        if status == [b"200"] and brace and route.endswith(known):
            found[f"{path.parent.name}/{path.stem}"] = (route, json.loads(brace + text))
    return found


CAPTURED = _captured()
SAMPLES = HOUSE / "recordings/samples"


@pytest.mark.skipif(not CAPTURED, reason="no captured requests: set VESSELOG_CORPUS")
@pytest.mark.parametrize("name", CAPTURED)
def test_real_requests_are_built_again(name: str) -> None:
    """But for `stream`, which is always said, and the token counts that are asked for."""
    route, body = CAPTURED[name]
    vessel: Vessel = OpenAI(base_url="http://127.0.0.1:8000/v1")
    if route.startswith("/api/"):
        vessel = Ollama()
    elif route.endswith("/messages"):
        vessel = Anthropic()
    if "messages" not in body and route == "/api/chat":
        with pytest.raises(InvalidRequestError, match="messages"):
            vessel.read_request(route, body)
        return
    url, again = built(vessel, vessel.read_request(route, body))
    assert url.endswith(route)
    wanted = {"stream": isinstance(vessel, Ollama), **body}
    if wanted["stream"] and vessel.name == "openai":
        wanted["stream_options"] = {"include_usage": True}
    if route == "/api/generate":
        wanted.setdefault("prompt", "")
    assert again == wanted


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.jsonl")), ids=lambda path: path.stem)
def test_shipped_recordings_are_built_again(path: Path) -> None:
    for call in Recording(path).calls():
        vessel = dialect(str(call.vessel))
        url, body = call.request["url"], call.request["body"]
        assert built(vessel, vessel.read_request(url, body))[1] == body
