"""The dialect of Anthropic's Messages API: `/v1/messages`.

https://docs.claude.com/en/api/messages and …/en/docs/build-with-claude/extended-thinking. How a
request is translated:

- System messages at the beginning become `system`; the API has no others, so later ones are
  refused. anthropic_messages.py has the rules for the messages.
- `max_tokens` is required by the API: give it with the request, or to the vessel for all of them.
- `think`: an effort goes to `output_config.effort`; True is adaptive thinking, False or 0 turns it
  off; a number is the budget in tokens, which older models want.
- An answer of this vessel goes back as it came, thinking with its signatures in its order, if the
  message is that of `to_message()`; the container that it used goes to `container`.
- Parts and tools of the API's own (documents, server tools, `cache_control`) pass through.
- `options` and `extra_body` both go to the body's top, `extra_body` last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, cast

from ..core.errors import InvalidRequestError, ProviderError
from ..core.request import ChatRequest, Tool
from ..core.version import VERSION
from ..core.vessel import ModelInfo, Vessel, WireRequest
from .anthropic_answer import AnthropicDecoder
from .anthropic_messages import container_of, system_and_messages
from .anthropic_read import read_anthropic
from .base_urls import route_url
from .provider_errors import error_of_status
from .request_parts import chosen_tool, refuse_custom_tools, requested_format, stop_list

__all__ = ["Anthropic"]

API_VERSION = "2023-06-01"
_MESSAGES, _MODELS = "/messages", "/models"
_ROUTES = (_MESSAGES, _MODELS)
_TOOL_CHOICES = {"auto": "auto", "none": "none", "required": "any", "any": "any"}


class Anthropic(Vessel):
    """Anthropic, or a server that speaks its Messages dialect.

    Beta features are turned on by `headers={"anthropic-beta": …}`.

    Args:
        base_url: The server's address: the host, the dialect's root, or the full endpoint.
        api_key: The key, or a callable that gives it when a request is sent.
        headers: Sent with each request of this vessel.
        max_tokens: The most tokens of an answer, for requests that do not set it.
    """

    name = "anthropic"
    version = VERSION
    default_base_url = "https://api.anthropic.com"
    variables: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "api_key": ("ANTHROPIC_API_KEY",),
        "base_url": ("ANTHROPIC_BASE_URL",),
    }

    def __init__(
        self,
        *,
        base_url: str | None = None,
        api_key: str | Callable[[], str] | None = None,
        headers: Mapping[str, str] | None = None,
        max_tokens: int | None = None,
    ) -> None:
        own = {name.lower(): value for name, value in (headers or {}).items()}
        own.setdefault("anthropic-version", API_VERSION)
        super().__init__(base_url=base_url, api_key=api_key, headers=own)
        self._max_tokens = max_tokens

    def authorization(self, key: str) -> dict[str, str]:
        """The key as `x-api-key`."""
        return {"x-api-key": key}

    def request(self, chat: ChatRequest) -> WireRequest:
        """The request for `chat`. Raises InvalidRequestError for what the API cannot express."""
        body = self._body(chat)
        return WireRequest(
            url=self._url(_MESSAGES),
            body=body,
            stream=bool(body["stream"]),
            split_think=chat.split_think,
        )

    def read_request(self, route: str, body: Any) -> ChatRequest:
        """The request of `/v1/messages`."""
        return read_anthropic(route, body, self._body)

    def _body(self, chat: ChatRequest) -> dict[str, Any]:
        if chat.n not in {None, 1}:
            chat.refuse(self.name, n="it gives one answer per request")
        chat.refuse(
            self.name,
            prompt="give messages",
            functions="give tools",
            function_call="give tool_choice",
            seed="it is not supported",
            logprobs="they are not supported",
            keep_alive="it is not supported",
        )
        refuse_custom_tools(chat, self.name)
        system, messages = system_and_messages(chat.messages or ())
        body: dict[str, Any] = {"model": chat.model}
        limit = self._max_tokens if chat.max_tokens is None else chat.max_tokens
        if limit is not None:
            body["max_tokens"] = limit
        if system is not None:
            body["system"] = system
        body["messages"] = messages
        if (container := container_of(chat.messages or ())) is not None:
            body["container"] = container
        body |= chat.given("temperature", "top_p")
        if (stop := stop_list(chat.stop)) is not None:
            body["stop_sequences"] = stop
        if chat.tools is not None:
            body["tools"] = [_tool(tool) for tool in chat.tools]
        if chat.tool_choice is not None:
            body["tool_choice"] = _tool_choice(chat.tool_choice)
        if output := _output(chat):
            body["output_config"] = output
        if (thinking := _thinking(chat)) is not None:
            body["thinking"] = thinking
        body["stream"] = chat.stream
        body |= {**(chat.options or {}), **(chat.extra_body or {})}
        if "max_tokens" not in body:
            raise InvalidRequestError(
                "anthropic needs max_tokens: give it with the request, or once for all as "
                "Anthropic(max_tokens=…)"
            )
        return body

    def decoder(self, request: WireRequest) -> AnthropicDecoder:  # noqa: ARG002 - one answer, always
        """A fresh decoder."""
        return AnthropicDecoder(self.name)

    def failure(self, status: int, text: str) -> ProviderError:
        """The error of a status (529: overloaded) and its body."""
        return error_of_status(self.name, status, text)

    def models_request(self) -> WireRequest | None:
        """GET /v1/models, as many as one page holds."""
        url = f"{self._url(_MODELS)}?limit=1000"
        return WireRequest(url=url, method="GET", stream=False)

    def read_models(self, body: Any) -> list[ModelInfo]:
        """The models listed under `data`."""
        return [
            ModelInfo(each["id"], modified=each.get("created_at"))
            for each in cast("list[dict[str, Any]]", body["data"])
        ]

    def _url(self, route: str) -> str:
        return route_url(self.base_url, route, routes=_ROUTES, root="/v1", below_path=True)


def _tool(tool: Tool) -> dict[str, Any]:
    if tool.function is None:
        return tool.model_dump(mode="json", exclude_none=True)
    function = tool.function.model_dump(mode="json", exclude_none=True)
    schema = function.pop("parameters", {"type": "object", "properties": {}})
    return {**function, "input_schema": schema, **(tool.model_extra or {})}


def _tool_choice(choice: str | dict[str, Any]) -> dict[str, Any]:
    if (name := chosen_tool(choice)) is not None:
        return {"type": "tool", "name": name}
    if isinstance(choice, dict):
        if choice.get("type") not in ("auto", "any", "tool", "none"):
            raise InvalidRequestError(
                f"anthropic does not support tool_choice of the type {choice.get('type')!r}"
            )
        return choice
    if choice not in _TOOL_CHOICES:
        raise InvalidRequestError(f"anthropic does not support tool_choice {choice!r}")
    return {"type": _TOOL_CHOICES[choice]}


def _thinking(chat: ChatRequest) -> dict[str, Any] | None:
    think = chat.think
    if think is None or isinstance(think, str):
        return None
    if isinstance(think, bool) or think == 0:
        return {"type": "adaptive" if think else "disabled"}
    return {"type": "enabled", "budget_tokens": think}


def _output(chat: ChatRequest) -> dict[str, Any]:
    output: dict[str, Any] = {"effort": chat.think} if isinstance(chat.think, str) else {}
    if chat.response_format is not None:
        schema = requested_format(chat.response_format)
        if schema == "json":
            raise InvalidRequestError("anthropic needs a JSON schema as response_format")
        if schema is not None:
            output["format"] = {"type": "json_schema", "schema": schema}
    return output
