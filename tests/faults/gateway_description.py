"""An OpenAPI description of the routes that the gateway serves, for programs that test by one."""

from __future__ import annotations

from typing import Any

__all__ = ["DESCRIPTION"]

_TEXT = {"type": "string"}
_FLAG = {"type": "boolean"}
_NUMBER = {"type": "number"}
_MODEL = {"type": "string", "enum": ["m", "ollama/m", "openai/m", "anthropic/m", "gemini/m", ""]}
_ANY: dict[str, Any] = {}


def _object(required: tuple[str, ...] = (), /, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": properties}


def _list(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, "maxItems": 3}


_PART = _object(
    ("type",),
    type={"enum": ["text", "image_url", "image", "tool_use", "tool_result", "thinking", "x"]},
    text=_TEXT,
    image_url=_object(url=_TEXT),
    source=_ANY,
    id=_TEXT,
    name=_TEXT,
    input=_ANY,
    content=_ANY,
    tool_use_id=_TEXT,
    is_error=_ANY,
)
_MESSAGE = _object(
    ("role",),
    role={"enum": ["system", "user", "assistant", "tool", "developer"]},
    content={"anyOf": [_TEXT, _list(_PART), {"type": "null"}]},
    tool_calls=_list(_object(id=_TEXT, type=_TEXT, function=_object(name=_TEXT, arguments=_ANY))),
    tool_call_id=_TEXT,
)
_TOOL = _object(
    type=_TEXT, name=_TEXT, input_schema=_ANY, function=_object(name=_TEXT, parameters=_ANY)
)
_CHAT = _object(
    ("model", "messages"),
    model=_MODEL,
    messages=_list(_MESSAGE),
    stream=_FLAG,
    tools=_list(_TOOL),
    tool_choice=_ANY,
    temperature=_NUMBER,
    max_tokens={"type": "integer"},
    response_format=_ANY,
    format=_ANY,
    stop=_ANY,
    system=_ANY,
    user=_TEXT,
)
_PROMPT = _object(("model", "prompt"), model=_MODEL, prompt=_ANY, stream=_FLAG, options=_ANY)
_RESPONSES = _object(
    ("model", "input"),
    model=_MODEL,
    input=_ANY,
    stream=_FLAG,
    background=_FLAG,
    tools=_list(_TOOL),
    store=_FLAG,
)
_CONTENTS = _object(
    ("contents",),
    contents=_list(_object(role=_TEXT, parts=_list(_object(text=_TEXT, inlineData=_ANY)))),
    tools=_ANY,
    generationConfig=_ANY,
)

_HEADERS = [
    {"in": "header", "name": "x-vesselog-session", "schema": {"type": "string"}},
    {"in": "header", "name": "x-vesselog-meta", "schema": {"type": "string"}},
]


def _route(method: str, body: Any = None, *parameters: Any) -> dict[str, Any]:
    described: dict[str, Any] = {
        "parameters": [*_HEADERS, *parameters],
        "responses": {"default": {"description": "whatever the upstream answers"}},
    }
    if body is not None:
        described["requestBody"] = {"content": {"application/json": {"schema": body}}}
    return {method: described}


def _in_path(name: str) -> dict[str, Any]:
    return {"in": "path", "name": name, "required": True, "schema": {"type": "string"}}


def _in_query(name: str) -> dict[str, Any]:
    return {"in": "query", "name": name, "schema": {"type": "string"}}


DESCRIPTION: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "vesselog serve", "version": "1"},
    "paths": {
        "/v1/chat/completions": _route("post", _CHAT),
        "/v1/completions": _route("post", _PROMPT),
        "/v1/responses": _route("post", _RESPONSES),
        "/v1/responses/{id}": _route(
            "get", None, _in_path("id"), _in_query("stream"), _in_query("starting_after")
        ),
        "/v1/responses/{id}/cancel": _route("post", None, _in_path("id")),
        "/openai/v1/responses": _route("post", _RESPONSES),
        "/v1/models": _route("get"),
        "/v1/models/{model}": _route("get", None, _in_path("model")),
        "/v1/messages": _route("post", _CHAT),
        "/v1/messages/count_tokens": _route("post", _CHAT),
        "/api/chat": _route("post", _CHAT),
        "/api/generate": _route("post", _PROMPT),
        "/api/tags": _route("get"),
        "/api/show": _route("post", _object(model=_MODEL)),
        "/api/version": _route("get"),
        "/v1beta/models/{model}:generateContent": _route("post", _CONTENTS, _in_path("model")),
        "/v1beta/models/{model}": _route("get", None, _in_path("model")),
        "/v1beta/models/{model}:countTokens": _route("post", _CONTENTS, _in_path("model")),
        "/v1beta/models/{model}:streamGenerateContent": _route(
            "post", _CONTENTS, _in_path("model"), _in_query("alt")
        ),
        "/{upstream}/v1/chat/completions": _route("post", _CHAT, _in_path("upstream")),
        "/sessions": _route("get"),
        "/sessions/{session}": _route(
            "get", None, _in_path("session"), _in_query("call"), _in_query("after")
        ),
        "/sessions/{session}/messages": _route("get", None, _in_path("session")),
        "/sessions/{session}/stop": _route("post", None, _in_path("session")),
        "/healthz": _route("get"),
        "/metrics": _route("get"),
    },
}
