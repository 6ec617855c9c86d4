"""The OpenAI dialect: `/chat/completions` and the legacy `/completions`.

https://platform.openai.com/docs/api-reference/chat/create and …/completions/create. `messages`
goes to the chat route, `prompt` to completions. `options` and `extra_body` both go to the body's
top, `extra_body` last.

OpenAI's own API (api.openai.com and what is below it) is stricter than other servers of its
dialect, so two things depend on the address. Its chat route wants `max_completion_tokens`, which
every model there takes and the current ones require; other servers get `max_tokens`, which every
one of them knows. And it refuses keys that it does not know in a message (openai_history.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, cast
from urllib.parse import urlsplit

from ..core.chunk import StreamChunk
from ..core.completion import Completion
from ..core.errors import ConfigurationError
from ..core.request import ChatRequest
from ..core.vessel import WireRequest
from .openai_answer import OpenAIDecoder
from .openai_fields import (
    LIMITS,
    SAMPLING,
    TOOLS,
    chat_logprobs,
    response_format,
    thinking_fields,
)
from .openai_history import OPENAI_RULES, MessageRules, openai_messages
from .openai_read import read_openai
from .openai_server import OpenAIServer
from .openai_shape import chunk_to_openai, completion_to_openai
from .request_parts import refuse_custom_tools

__all__ = ["OpenAI"]

_CHAT, _COMPLETIONS = "/chat/completions", "/completions"


class OpenAI(OpenAIServer):
    """OpenAI, or a server that speaks its dialect.

    A server that differs is a subclass that sets the attributes below (presets.py).

    Args:
        base_url: The server's address: the host, the dialect's root, or the full endpoint.
        api_key: The key, or a callable that gives it when a request is sent.
        headers: Sent with each request of this vessel.
        organization: Sent as OpenAI-Organization.
        project: Sent as OpenAI-Project.
        ask_usage: Whether a stream is asked for its token counts (`stream_options.include_usage`);
            a few servers refuse that option.
    """

    name = "openai"
    routes = (_CHAT, _COMPLETIONS)
    refused: ClassVar[Mapping[str, str]] = {}
    """Fields of a request that the server does not take, with the reason."""
    renamed: ClassVar[Mapping[str, str]] = {}
    """Fields of a request that have another name on this server."""
    thinking: ClassVar[Mapping[bool, Mapping[str, Any]]] = {}
    """What `think=True` and `think=False` put into the body; refused where it is not here."""
    effort: ClassVar[tuple[str, ...]] = ("reasoning_effort",)
    """The path in the body of an effort (`think="low"`)."""
    budget: ClassVar[tuple[str, ...]] = ()
    """The path in the body of a thinking budget in tokens (`think=2048`); refused if empty."""
    message_rules: ClassVar[MessageRules] = MessageRules()
    """What the server takes in a message."""
    asks_usage: ClassVar[bool] = True
    """Whether a stream is asked for its token counts, unless `ask_usage` says otherwise."""
    quirks: ClassVar[tuple[str, ...]] = ()
    """What else is worth knowing about the server."""

    def __init__(
        self,
        *,
        base_url: str | None = None,
        api_key: str | Callable[[], str] | None = None,
        headers: Mapping[str, str] | None = None,
        organization: str | None = None,
        project: str | None = None,
        ask_usage: bool | None = None,
    ) -> None:
        super().__init__(
            base_url=base_url,
            api_key=api_key,
            headers=headers,
            organization=organization,
            project=project,
        )
        self._ask_usage = self.asks_usage if ask_usage is None else ask_usage

    def request(self, chat: ChatRequest) -> WireRequest:
        """The request for `chat`.

        Raises InvalidRequestError for keep_alive, for what is `refused`, for a `think` that the
        server has no word for, and for what it does not take in a message.
        """
        url = self._address(chat)
        body = self._body(chat, url)
        return WireRequest(
            url=url,
            body=body,
            headers=self._identity(),
            stream=bool(body["stream"]),
            split_think=chat.split_think,
        )

    def read_request(self, route: str, body: Any) -> ChatRequest:
        """The request of `/chat/completions` or `/completions`."""
        return read_openai(
            self, route, body, lambda chat: self._body(chat, self._address(chat, route))
        )

    def _body(self, chat: ChatRequest, url: str) -> dict[str, Any]:
        chat.refuse(self.name, keep_alive="the server decides how long a model stays loaded")
        chat.refuse(
            self.name,
            **{field: why for field, why in self.refused.items() if field != "n" or chat.n != 1},
        )
        rules = OPENAI_RULES if self._openai_api(url) else self.message_rules
        if not rules.custom_tools:
            refuse_custom_tools(chat, self.name)
        body: dict[str, Any] = {"model": chat.model}
        renamed = self.renamed
        if chat.messages is not None:
            renamed = {"max_tokens": self._limit(url), **renamed}
            body["messages"] = openai_messages(chat, self.name, rules)
            body |= chat.given(*SAMPLING, *TOOLS)
            body |= chat_logprobs(chat.logprobs)
        else:
            reason = "the completions route does not take it; give messages"
            chat.refuse(self.name, **dict.fromkeys(TOOLS, reason))
            body["prompt"] = chat.prompt
            body |= chat.given(*SAMPLING)
            if chat.logprobs is not None and chat.logprobs is not False:
                body["logprobs"] = int(chat.logprobs)
        if chat.response_format is not None:
            body["response_format"] = response_format(chat.response_format)
        body |= thinking_fields(self, chat.think)
        extra = {**(chat.options or {}), **(chat.extra_body or {})}
        if extra.keys() & set(LIMITS):
            body.pop("max_tokens", None)
        body = {renamed.get(field, field): value for field, value in body.items()}
        body["stream"] = chat.stream
        if chat.stream and self._ask_usage:
            body["stream_options"] = {"include_usage": True}
        return body | extra

    def decoder(self, request: WireRequest) -> OpenAIDecoder:
        """A decoder that knows how many choices were asked for, and whether token counts were."""
        body = request.body or {}
        asked = body.get("n")
        options = body.get("stream_options")
        return OpenAIDecoder(
            self.name,
            asked if isinstance(asked, int) else 1,
            asked_usage=isinstance(options, dict)
            and cast("dict[str, Any]", options).get("include_usage") is True,
        )

    def chunk_object(self, chunk: StreamChunk) -> dict[str, Any]:
        """A `chat.completion.chunk`."""
        return chunk_to_openai(chunk)

    def completion_object(self, completion: Completion) -> dict[str, Any]:
        """A `chat.completion`."""
        return completion_to_openai(completion)

    def _address(self, chat: ChatRequest, known: str = "") -> str:
        """The URL for `chat`. known: stands in where no address was configured."""
        try:
            return self._url(_COMPLETIONS if chat.messages is None else _CHAT, chat.model)
        except ConfigurationError:
            if not known:
                raise
            return known

    def _openai_api(self, url: str) -> bool:
        """Whether the URL is of OpenAI's own API."""
        return f".{urlsplit(url).hostname}".endswith(".api.openai.com")

    def _limit(self, url: str) -> str:
        """The name of max_tokens in a chat."""
        return "max_completion_tokens" if self._openai_api(url) else "max_tokens"
