"""The dialect of Ollama's own API: `/api/chat` for messages, `/api/generate` for a prompt.

https://github.com/ollama/ollama/blob/main/docs/api.md. The sampling fields go into `options`,
where those given as `options` win; `extra_body` goes to the body's top, its `options` winning over
both. `think` is True, False or a level ("low", "medium", "high"), which only some models know.
ollama_messages.py says how messages are written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, cast

from ..core.errors import InvalidRequestError, ProviderError
from ..core.framing import Framing
from ..core.request import ChatRequest
from ..core.version import VERSION
from ..core.vessel import ModelInfo, Vessel, WireRequest
from .base_urls import ollama_base_url, route_url
from .ollama_answer import OllamaDecoder
from .ollama_messages import ollama_messages
from .ollama_read import OLLAMA_SAMPLING, read_ollama
from .provider_errors import error_of_status
from .request_parts import refuse_custom_tools, requested_format

__all__ = ["Ollama"]

_CHAT, _GENERATE, _TAGS, _VERSION = "/api/chat", "/api/generate", "/api/tags", "/api/version"
_ROUTES = (_CHAT, _GENERATE, _TAGS, _VERSION, "/api")


class Ollama(Vessel):
    """An Ollama server.

    Args:
        base_url: The server's address, in any form of OLLAMA_HOST: a host, a :port or a URL.
        api_key: The key, or a callable that gives it when a request is sent.
        headers: Sent with each request of this vessel.
    """

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
        if chat.tool_choice not in (None, "auto"):
            chat.refuse(self.name, tool_choice="the model always chooses itself")
        chat.refuse(self.name, functions="give tools", function_call="give tools")
        body = self._body(chat)
        return WireRequest(
            url=self._url(_GENERATE if chat.messages is None else _CHAT),
            body=body,
            stream=bool(body["stream"]),
            split_think=chat.split_think,
        )

    def read_request(self, route: str, body: Any) -> ChatRequest:
        """The request of `/api/chat` or `/api/generate`."""
        return read_ollama(route, body, self._body)

    def _body(self, chat: ChatRequest) -> dict[str, Any]:
        body: dict[str, Any] = {"model": chat.model}
        if chat.messages is not None:
            body["messages"] = ollama_messages(chat.messages)
            refuse_custom_tools(chat, self.name)
            body |= chat.given("tools")
        else:
            chat.refuse(self.name, tools="the generate route does not take tools; give messages")
            body["prompt"] = chat.prompt
        if isinstance(chat.think, int) and not isinstance(chat.think, bool):
            raise InvalidRequestError(
                f"{self.name} does not take think={chat.think}: give True, False or a level"
            )
        body |= chat.given("think", "keep_alive")
        if chat.response_format is not None and (wanted := requested_format(chat.response_format)):
            body["format"] = wanted
        if chat.logprobs is not None:
            body["logprobs"] = chat.logprobs is not False
            if not isinstance(chat.logprobs, bool):
                body["top_logprobs"] = chat.logprobs
        body["stream"] = chat.stream
        extra = dict(chat.extra_body or {})
        named = {
            OLLAMA_SAMPLING[name]: value for name, value in chat.given(*OLLAMA_SAMPLING).items()
        }
        if isinstance(named.get("stop"), str):
            named["stop"] = [named["stop"]]
        options = {**named, **(chat.options or {})}
        own: Any = extra.get("options", {})
        if isinstance(own, dict) or (own is None and options):
            options |= extra.pop("options", None) or {}
        if options or "options" in (chat.extra_body or {}):
            body["options"] = options
        body |= extra
        return body

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
