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

from typing import Any, cast

from ..core.completion import Completion
from ..core.request import ChatRequest
from ..core.vessel import WireRequest
from .openai_server import OpenAIServer
from .responses_answer import ResponsesDecoder
from .responses_fields import request_fields
from .responses_input import instructions_and_input
from .responses_read import read_responses
from .responses_shape import completion_to_response

__all__ = ["OpenAIResponses"]

_RESPONSES = "/responses"


class OpenAIResponses(OpenAIServer):
    """OpenAI's Responses API, or a server that has this route.

    `organization` and `project` are sent as OpenAI-Organization and OpenAI-Project.
    """

    name = "openai-responses"
    routes = (_RESPONSES,)

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

    def completion_object(self, completion: Completion) -> dict[str, Any]:
        """A `response`."""
        return completion_to_response(completion)


_JOINED = frozenset({"include", "reasoning", "text"})


def _joined(own: Any, given: Any) -> Any:
    """Both values in one, if both are objects or lists; else the one that was given."""
    if isinstance(own, dict) and isinstance(given, dict):
        return cast("dict[str, Any]", own) | cast("dict[str, Any]", given)
    if isinstance(own, list) and isinstance(given, list):
        listed = cast("list[Any]", given)
        return [*listed, *(each for each in cast("list[Any]", own) if each not in listed)]
    return given
