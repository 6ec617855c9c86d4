"""OpenAI's Responses API: `/v1/responses`.

https://developers.openai.com/api/docs/api-reference/responses. How a request is translated:

- A first system message whose content is a text becomes `instructions`; all other messages are
  items of `input` (responses_input.py).
- `max_tokens` becomes `max_output_tokens`, `response_format` becomes `text.format`. `logprobs` asks
  for `message.output_text.logprobs` in `include`, a number also for as many `top_logprobs`.
- `think`: an effort goes to `reasoning.effort`; False is the effort "none"; True asks for
  a summary of the reasoning (`reasoning.summary: "auto"`).
- Functions are not strict unless their `strict` says so, as in the chat route.
- `options` and `extra_body` both go to the body's top, `extra_body` last: `store`,
  `previous_response_id`, `background` … What they have in `include`, `reasoning` and `text` is
  added to what is there.

An answer of this vessel goes back as it came, all output items in their order. So a conversation
needs nothing that the provider keeps: give `extra_body={"store": False, "include":
["reasoning.encrypted_content"]}`. Or keep it there: give `previous_response_id` and the new
messages alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self, cast

from ..core.completion import Completion
from ..core.errors import ProviderError
from ..core.request import ChatRequest
from ..core.version import VERSION
from ..core.vessel import ModelInfo, Vessel, WireRequest
from .base_urls import route_url
from .openai_models import models_in
from .provider_errors import error_of_status
from .responses_answer import ResponsesDecoder
from .responses_fields import request_fields
from .responses_input import instructions_and_input
from .responses_read import read_responses
from .responses_shape import completion_to_response

__all__ = ["OpenAIResponses"]

_RESPONSES, _MODELS = "/responses", "/models"
_ROUTES = (_RESPONSES, _MODELS)


class OpenAIResponses(Vessel):
    """OpenAI's Responses API, or a server that has this route.

    organization, project: sent as OpenAI-Organization and OpenAI-Project.
    """

    name = "openai-responses"
    version = VERSION
    default_base_url = "https://api.openai.com/v1"
    variables: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "api_key": ("OPENAI_API_KEY",),
        "base_url": ("OPENAI_BASE_URL",),
        "organization": ("OPENAI_ORG_ID",),
        "project": ("OPENAI_PROJECT_ID",),
    }

    def __init__(
        self,
        *,
        base_url: str | None = None,
        api_key: str | Callable[[], str] | None = None,
        headers: Mapping[str, str] | None = None,
        organization: str | None = None,
        project: str | None = None,
    ) -> None:
        super().__init__(base_url=base_url, api_key=api_key, headers=headers)
        self._organization = organization
        self._project = project

    def configured(self, environment: Mapping[str, str]) -> Self:
        """As for every vessel; organization and project belong to their server, as the key does."""
        given = super().configured(environment)
        if self._base_url is not None:
            vars(given).update(_organization=self._organization, _project=self._project)
        return given

    def request(self, chat: ChatRequest) -> WireRequest:
        """The request for `chat`. Raises InvalidRequestError for what the API cannot express."""
        body = self._body(chat)
        return WireRequest(
            url=self._url(_RESPONSES),
            body=body,
            headers=self._identity(),
            stream=bool(body["stream"]),
            split_think=chat.split_think,
        )

    def read_request(self, route: str, body: Any) -> ChatRequest:
        """The request of `/v1/responses`."""
        return read_responses(route, body, self._body)

    def _body(self, chat: ChatRequest) -> dict[str, Any]:
        if chat.n not in {None, 1}:
            chat.refuse(self.name, n="it gives one answer per request")
        chat.refuse(
            self.name,
            prompt="give messages",
            functions="give tools",
            function_call="give tool_choice",
            stop="it is not supported",
            seed="it is not supported",
            keep_alive="the server decides how long a model stays loaded",
        )
        instructions, items = instructions_and_input(chat.messages or ())
        body: dict[str, Any] = {"model": chat.model}
        if instructions is not None:
            body["instructions"] = instructions
        body["input"] = items
        body |= request_fields(chat)
        body["stream"] = chat.stream
        for name, value in {**(chat.options or {}), **(chat.extra_body or {})}.items():
            body[name] = _joined(body.get(name), value) if name in _JOINED else value
        return body

    def decoder(self, request: WireRequest) -> ResponsesDecoder:  # noqa: ARG002 - one answer, always
        """A fresh decoder."""
        return ResponsesDecoder(self.name)

    def failure(self, status: int, text: str) -> ProviderError:
        """The error of a status and its body."""
        return error_of_status(self.name, status, text)

    def completion_object(self, completion: Completion) -> dict[str, Any]:
        """A `response`."""
        return completion_to_response(completion)

    def models_request(self) -> WireRequest | None:
        """GET /models."""
        return WireRequest(
            url=self._url(_MODELS), method="GET", headers=self._identity(), stream=False
        )

    def read_models(self, body: Any) -> list[ModelInfo]:
        """The models listed under `data`."""
        return models_in(body)

    def _url(self, route: str) -> str:
        return route_url(self.base_url, route, routes=_ROUTES, root="/v1")

    def _identity(self) -> dict[str, str]:
        identity = {"openai-organization": self._organization, "openai-project": self._project}
        return {name: value for name, value in identity.items() if value}


_JOINED = frozenset({"include", "reasoning", "text"})


def _joined(own: Any, given: Any) -> Any:
    """Both values in one, if both are objects or lists; else the one that was given."""
    if isinstance(own, dict) and isinstance(given, dict):
        return cast("dict[str, Any]", own) | cast("dict[str, Any]", given)
    if isinstance(own, list) and isinstance(given, list):
        listed = cast("list[Any]", given)
        return [*listed, *(each for each in cast("list[Any]", own) if each not in listed)]
    return given
