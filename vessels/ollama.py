"""The dialect of Ollama's own API: `/api/chat` for messages, `/api/generate` for a prompt.

https://github.com/ollama/ollama/blob/main/docs/api.md. The sampling fields go into `options`,
where those given as `options` win; `extra_body` goes to the body's top, its `options` winning over
both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, cast

from ..core.errors import InvalidRequestError, ProviderError
from ..core.framing import Framing
from ..core.request import ChatRequest, Message, OtherPart, ToolCallRequest
from ..core.version import VERSION
from ..core.vessel import ModelInfo, Vessel, WireRequest
from .base_urls import ollama_base_url, route_url
from .call_arguments import arguments_object
from .ollama_answer import OllamaDecoder
from .provider_errors import error_of_status
from .request_parts import inline_image, names_by_call_id, requested_format

__all__ = ["Ollama"]

_CHAT, _GENERATE, _TAGS, _VERSION = "/api/chat", "/api/generate", "/api/tags", "/api/version"
_ROUTES = (_CHAT, _GENERATE, _TAGS, _VERSION, "/api")
_SAMPLING = {
    "temperature": "temperature",
    "top_p": "top_p",
    "seed": "seed",
    "stop": "stop",
    "max_tokens": "num_predict",
}
_ROLES = {"developer": "system", "function": "tool"}


class Ollama(Vessel):
    """An Ollama server. base_url may have any form that OLLAMA_HOST may have: host, :port, URL."""

    name = "ollama"
    version = VERSION
    default_base_url = "http://127.0.0.1:11434"
    framing = Framing.NDJSON
    variables: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "api_key": ("OLLAMA_API_KEY",),
        "base_url": ("OLLAMA_HOST",),
    }

    def request(self, chat: ChatRequest) -> WireRequest:
        """The request for `chat`. Raises InvalidRequestError for what Ollama cannot express."""
        if chat.n not in {None, 1}:
            chat.refuse(self.name, n="it gives one answer per request")
        if (
            chat.tool_choice not in {None, "auto"}
            if not isinstance(chat.tool_choice, dict)
            else True
        ):
            chat.refuse(self.name, tool_choice="the model always chooses itself")
        chat.refuse(self.name, functions="give tools", function_call="give tools")
        body: dict[str, Any] = {"model": chat.model}
        if chat.messages is not None:
            route = _CHAT
            body["messages"] = _messages(chat.messages)
            body |= chat.given("tools")
        else:
            route = _GENERATE
            chat.refuse(self.name, tools="the generate route does not take tools; give messages")
            body["prompt"] = chat.prompt
        body |= chat.given("think", "keep_alive")
        if chat.response_format is not None and (wanted := requested_format(chat.response_format)):
            body["format"] = wanted
        if chat.logprobs is not None:
            body["logprobs"] = chat.logprobs is not False
            if not isinstance(chat.logprobs, bool):
                body["top_logprobs"] = chat.logprobs
        body["stream"] = chat.stream
        extra = dict(chat.extra_body or {})
        named = {_SAMPLING[name]: value for name, value in chat.given(*_SAMPLING).items()}
        if isinstance(named.get("stop"), str):
            named["stop"] = [named["stop"]]
        own: dict[str, Any] = extra.pop("options", None) or {}
        if options := {**named, **(chat.options or {}), **own}:
            body["options"] = options
        body |= extra
        return WireRequest(
            url=self._url(route),
            body=body,
            stream=bool(body["stream"]),
            split_think=chat.split_think,
        )

    def decoder(self, request: WireRequest) -> OllamaDecoder:  # noqa: ARG002 - one answer, always
        """A fresh decoder."""
        return OllamaDecoder(self.name)

    def failure(self, status: int, text: str) -> ProviderError:
        """The error of a status and its body."""
        return error_of_status(self.name, status, text)

    def models_request(self) -> WireRequest | None:
        """GET /api/tags."""
        return WireRequest(url=self._url(_TAGS), method="GET", stream=False)

    def read_models(self, body: Any) -> list[ModelInfo]:
        """The models that were pulled."""
        return [
            ModelInfo(each["name"], size=each.get("size"), modified=each.get("modified_at"))
            for each in cast("list[dict[str, Any]]", body["models"] or [])
        ]

    def version_request(self) -> WireRequest | None:
        """GET /api/version."""
        return WireRequest(url=self._url(_VERSION), method="GET", stream=False)

    def read_version(self, body: Any) -> str:
        """The server's version."""
        return str(body["version"])

    def _url(self, route: str) -> str:
        return route_url(ollama_base_url(self.base_url), route, routes=_ROUTES, root="")


def _messages(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    """The conversation. A tool's result names its tool: by itself, or through its call's id."""
    called = names_by_call_id(messages)
    written: list[dict[str, Any]] = []
    for message in messages:
        own: dict[str, Any] = {
            "role": _ROLES.get(message.role, message.role),
            "content": message.text,
        }
        if not isinstance(message.content, str) and any(
            isinstance(part, OtherPart) for part in message.content or ()
        ):
            raise InvalidRequestError("ollama takes only text and images as parts of a message")
        if message.images:
            own["images"] = [_image(part.image_url.url) for part in message.images]
        if message.tool_calls:
            own["tool_calls"] = [_tool_call(call) for call in message.tool_calls]
        if own["role"] == "tool":
            name = message.name or called.get(message.tool_call_id or "")
            own |= {"tool_name": name} if name else {}
            own |= {"tool_call_id": message.tool_call_id} if message.tool_call_id else {}
        elif message.name:
            own["name"] = message.name
        written.append({**own, **(message.model_extra or {})})
    return written


def _image(url: str) -> str:
    inline = inline_image(url, "ollama")
    if inline is None:
        raise InvalidRequestError(
            "ollama does not download images: give ImagePart.from_bytes(…), or a data: URL"
        )
    return inline.data


def _tool_call(call: ToolCallRequest) -> dict[str, Any]:
    arguments = arguments_object(call, "ollama")
    function: dict[str, Any] = {"name": call.tool, "arguments": arguments}
    return {"id": call.id, "function": function} if call.id else {"function": function}
