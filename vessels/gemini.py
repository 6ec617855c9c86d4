"""The dialect of Google's Gemini API: `models/MODEL:streamGenerateContent`, `:generateContent`.

https://ai.google.dev/api/generate-content, …/gemini-api/docs/thinking and …/docs/function-calling.
How a request is translated (gemini_contents.py says how messages are):

- System messages at the beginning become `systemInstruction`; later ones are refused.
- The sampling fields go to `generationConfig`, where those given as `options` win; `extra_body`
  goes to the body's top, its `generationConfig` winning over both.
- `think`: True asks for thoughts to be shown, an effort is a `thinkingLevel` and a number a
  `thinkingBudget` in tokens (with thoughts shown), False sets the budget to 0, which some models
  refuse.
- Gemini 3 wants the signatures of its thoughts back where it called a function. They are in the
  answer's own form, which `to_message()` has and this vessel sends.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, cast
from urllib.parse import urlunsplit

from ..core.errors import InvalidRequestError, ProviderError
from ..core.request import ChatRequest, Tool
from ..core.version import VERSION
from ..core.vessel import ModelInfo, Vessel, WireRequest
from .base_urls import path_segment, split_base_url, with_root
from .gemini_answer import GeminiDecoder
from .gemini_contents import contents, message_parts
from .gemini_read import COLLECTIONS, GEMINI_SAMPLING, read_gemini
from .history import valid_history
from .provider_errors import error_of_status
from .request_parts import (
    chosen_tool,
    conversation,
    refuse_custom_tools,
    requested_format,
    stop_list,
)

__all__ = ["Gemini"]

_STREAM, _WHOLE = ":streamGenerateContent", ":generateContent"
_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY", "any": "ANY"}


class Gemini(Vessel):
    """Google's Gemini API.

    Args:
        base_url: The server's address: the host, or what is before `/models`.
        api_key: The key, or a callable that gives it when a request is sent.
        headers: Sent with each request of this vessel.
    """

    name = "gemini"
    version = VERSION
    default_base_url = "https://generativelanguage.googleapis.com/v1beta"
    variables: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "api_key": ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
        "base_url": ("GOOGLE_GEMINI_BASE_URL",),
    }

    def authorization(self, key: str) -> dict[str, str]:
        """The key as `x-goog-api-key`, never in the URL."""
        return {"x-goog-api-key": key}

    def request(self, chat: ChatRequest) -> WireRequest:
        """The request for `chat`. Raises InvalidRequestError for what the API cannot express."""
        return WireRequest(
            url=self._url(chat.model, _STREAM if chat.stream else _WHOLE),
            body=self._body(chat),
            stream=chat.stream,
            split_think=chat.split_think,
            model=chat.model,
            route=_path(chat.model),
        )

    def read_request(self, route: str, body: Any) -> ChatRequest:
        """The request of `models/MODEL:generateContent` or `:streamGenerateContent`."""
        return read_gemini(route, body, self._body)

    def _body(self, chat: ChatRequest) -> dict[str, Any]:
        chat.refuse(
            self.name,
            prompt="give messages",
            functions="give tools",
            function_call="give tool_choice",
            keep_alive="it is not supported",
        )
        refuse_custom_tools(chat, self.name)
        # A call may have no id here, nor its result.
        messages = valid_history(
            chat.messages or (), self.name, ids=r"(?s).*", annotations=False, names=True
        )
        system, turns = conversation(messages, self.name)
        body: dict[str, Any] = {}
        if system:
            parts = [part for message in system for part in message_parts(message)]
            body["systemInstruction"] = {"parts": parts}
        body["contents"] = contents(turns, chat.model)
        if chat.tools is not None:
            body["tools"] = _tools(chat.tools)
        if chat.tool_choice is not None:
            body["toolConfig"] = _tool_choice(chat.tool_choice)
        extra = dict(chat.extra_body or {})
        config = {**_config(chat), **(chat.options or {})}
        own: Any = extra.get("generationConfig", {})
        if isinstance(own, dict) or (own is None and config):
            config |= extra.pop("generationConfig", None) or {}
        if "responseSchema" in config:
            config.pop("responseJsonSchema", None)  # the API refuses both together
        if config or "generationConfig" in (chat.extra_body or {}):
            body["generationConfig"] = config
        body |= extra
        return body

    def decoder(self, request: WireRequest) -> GeminiDecoder:
        """A decoder that knows how many candidates were asked for."""
        config: Any = (request.body or {}).get("generationConfig")
        asked = config.get("candidateCount") if config else None
        expected = asked if isinstance(asked, int) else 1
        return GeminiDecoder(self.name, expected, whole=not request.stream)

    def failure(self, status: int, text: str) -> ProviderError:
        """The error of a status and its body."""
        return error_of_status(self.name, status, text)

    def models_request(self) -> WireRequest | None:
        """GET /models, as many as one page holds."""
        return WireRequest(url=self._url("", "?pageSize=1000"), method="GET", stream=False)

    def read_models(self, body: Any) -> list[ModelInfo]:
        """The models, without `models/` before their names."""
        listed = cast("list[dict[str, Any]]", body.get("models") or [])
        return [ModelInfo(each["name"].removeprefix("models/")) for each in listed]

    def _url(self, model: str, method: str) -> str:
        parts = split_base_url(self.base_url)
        path = with_root(parts.path.partition("/models")[0], "/v1beta")
        path += _path(model) if model else "/models"
        name, _, query = method.partition("?")
        query = "alt=sse" if method == _STREAM else query
        own = (each for each in parts.query.split("&") if not each.startswith("alt="))
        query = "&".join(filter(None, (*own, query)))
        return urlunsplit(parts._replace(path=path + name, query=query, fragment=""))


def _path(model: str) -> str:
    """The path of a name or resource name (Vertex AI's too). Raises InvalidRequestError."""
    names = model.split("/") if "/" in model else ("models", model)
    if len(names) % 2 or not COLLECTIONS.issuperset(names[::2]):
        raise InvalidRequestError(f"{model!r} is no model: give a name, or tunedModels/NAME")
    return "".join(f"/{path_segment(name)}" for name in names)


def _config(chat: ChatRequest) -> dict[str, Any]:
    config = {GEMINI_SAMPLING[name]: value for name, value in chat.given(*GEMINI_SAMPLING).items()}
    if (stop := stop_list(chat.stop)) is not None:
        config["stopSequences"] = stop
    if chat.logprobs is not None:
        config["responseLogprobs"] = chat.logprobs is not False
        if not isinstance(chat.logprobs, bool):
            config["logprobs"] = chat.logprobs
    asked = None if chat.response_format is None else requested_format(chat.response_format)
    if asked is not None:
        config["responseMimeType"] = "application/json"
        if asked != "json":
            config["responseJsonSchema"] = asked
    if chat.think is not None:
        config["thinkingConfig"] = _thinking(chat.think)
    return config


def _thinking(think: bool | str | int) -> dict[str, Any]:  # noqa: FBT001 - as the field has it
    if not think:
        return {"thinkingBudget": 0}
    if think is True:
        return {"includeThoughts": True}
    name = "thinkingLevel" if isinstance(think, str) else "thinkingBudget"
    return {"includeThoughts": True, name: think}


def _tools(tools: tuple[Tool, ...]) -> list[dict[str, Any]]:
    """Functions in one tool, then the API's own tools, each as its own field."""
    declared: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    for tool in tools:
        if tool.function is None:
            others.append(dict(tool.model_extra or {}))
            continue
        function = tool.function.model_dump(mode="json", exclude_none=True)
        function.pop("strict", None)
        if "parameters" in function:
            function["parametersJsonSchema"] = function.pop("parameters")
        declared.append(function)
    return [{"functionDeclarations": declared}, *others] if declared else others


def _tool_choice(choice: str | dict[str, Any]) -> dict[str, Any]:
    if (name := chosen_tool(choice)) is not None:
        return {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": [name]}}
    if isinstance(choice, dict):
        return choice
    if choice not in _MODES:
        raise InvalidRequestError(f"gemini does not support tool_choice {choice!r}")
    return {"functionCallingConfig": {"mode": _MODES[choice]}}
