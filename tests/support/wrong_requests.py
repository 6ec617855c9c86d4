"""Vessels whose requests are right but for one fault each, with the words that must name it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from broken import Toy
from vesselog.vessels import (
    ChatRequest,
    ModelInfo,
    ProviderError,
    WireRequest,
    error_of_status,
    route_url,
)

__all__ = ["WRONG"]

Change = Callable[[ChatRequest], ChatRequest]
BodyChange = Callable[[dict[str, Any], ChatRequest], dict[str, Any]]
Part = dict[str, Any]

WRONG: dict[str, tuple[Toy, str, str]] = {}
"""By fault: the vessel, the check that finds it, and what its message says."""


def body_fault(fault: str, check: str, words: str, change: BodyChange) -> None:
    """A vessel that makes this of the body."""

    class Wrong(Toy):
        def body(self, chat: ChatRequest) -> dict[str, Any]:
            return change(super().body(chat), chat)

    WRONG[fault] = Wrong(), check, words


def vessel_fault(check: str, words: str) -> Callable[[type[Toy]], type[Toy]]:
    def add(vessel: type[Toy]) -> type[Toy]:
        WRONG[vessel.__doc__ or ""] = vessel(), check, words
        return vessel

    return add


def without(*names: str) -> BodyChange:
    return lambda body, _: {name: value for name, value in body.items() if name not in names}


def messages(change: Callable[[list[Part]], list[Part]]) -> BodyChange:
    return lambda body, _: {**body, "messages": change(body.get("messages", []))}


def each_message(change: Callable[[Part], Part]) -> BodyChange:
    return messages(lambda found: [change(each) for each in found])


def texts_alone(message: Part) -> Part:
    content = message.get("content")
    if isinstance(content, list):
        content = [part for part in content if part["type"] == "text"]
    return {**message, "content": content}


def known_of(chat: ChatRequest) -> set[str]:
    return {*ChatRequest.model_fields, *(chat.options or {})}


def no_description(body: Part, _: ChatRequest) -> Part:
    for tool in body.get("tools", ()):
        tool["function"].pop("description", None)
    return body


SAID, TOLD = "messages are in the request", "tools are in the request"
FIELDS, EXTRA = "fields are in the request or refused", "extra_body passes untouched"
URLS, KEYS = "base URLs have every form", "keys are in headers alone"
STATUSES, MODELS = "error statuses tell what may pass", "models are asked for"

body_fault(
    "it leaves out the system message",
    SAID,
    "the system message is not in the body",
    messages(lambda found: [each for each in found if each["role"] != "system"]),
)
body_fault(
    "it sends the last message alone",
    SAID,
    "the history is not in the body",
    messages(lambda found: found[-1:]),
)
body_fault(
    "it turns the history around",
    SAID,
    "the history is not in its order",
    messages(lambda found: found[::-1]),
)
body_fault("it leaves out images", SAID, "the image is not in the body", each_message(texts_alone))
body_fault(
    "it forgets what tools were called with",
    SAID,
    "the call of a tool is not in the body: tool_called, word-of-arguments",
    each_message(lambda each: {name: each[name] for name in each if name != "tool_calls"}),
)
body_fault(
    "it forgets what tools answered",
    SAID,
    "the result of a tool is not in the body",
    messages(lambda found: [each for each in found if each["role"] != "tool"]),
)
body_fault("it leaves out tools", TOLD, "the name of a tool is not in the body", without("tools"))
body_fault(
    "it leaves out what tools do",
    TOLD,
    "the description of a tool is not in the body",
    no_description,
)
body_fault(
    "it does not say the model",
    FIELDS,
    "the model is neither in the body nor in the URL",
    lambda body, chat: {name: body[name] for name in body if body[name] != chat.model},
)
body_fault(
    "it forgets stop words", FIELDS, "stop=['word-of-stop'] is neither sent", without("stop")
)
body_fault("it forgets a limit", FIELDS, "max_tokens=6543 is neither sent", without("max_tokens"))
body_fault(
    "it says null for what was not given",
    FIELDS,
    "what was not given is sent as null: temperature",
    lambda body, chat: {**body, "temperature": body.get("temperature", chat.temperature)},
)
body_fault(
    "it does not say whether it wants a stream",
    FIELDS,
    "a stream and a whole answer are asked for by the same request",
    without("stream"),
)
body_fault(
    "it keeps what it knows of extra_body",
    EXTRA,
    "extra_body is not at the top of the body",
    lambda body, chat: {name: body[name] for name in body if name in known_of(chat)},
)
body_fault(
    "it leaves out nulls of extra_body",
    EXTRA,
    "a null in extra_body is left out",
    lambda body, _: {name: value for name, value in body.items() if value is not None},
)
body_fault(
    "it knows better than extra_body",
    EXTRA,
    "extra_body does not win over model",
    lambda body, chat: {**body, "model": chat.model},
)


@vessel_fault(URLS, "(with a /) gives http://conformance.test:81//say")
class Doubling(Toy):
    """it puts a slash behind a slash"""

    def request(self, chat: ChatRequest) -> WireRequest:
        return replace(super().request(chat), url=f"{self.base_url}/say")


@vessel_fault(URLS, "(the full address) gives http://conformance.test:81/say/say")
class Appending(Toy):
    """it appends the route to a full address"""

    def request(self, chat: ChatRequest) -> WireRequest:
        return replace(super().request(chat), url=f"{self.base_url.rstrip('/')}/say")


@vessel_fault(URLS, "base_url='http://conformance.test:81' is not used")
class Settled(Toy):
    """it asks the same server always"""

    def request(self, chat: ChatRequest) -> WireRequest:
        url = route_url(self.default_base_url, "/say", routes=["/say"], root="")
        return replace(super().request(chat), url=url)


@vessel_fault(KEYS, "the key is in the URL")
class Showing(Toy):
    """it puts the key into the URL"""

    def request(self, chat: ChatRequest) -> WireRequest:
        made = super().request(chat)
        return replace(made, url=f"{made.url}?key={self.api_key}" if self.api_key else made.url)


@vessel_fault(KEYS, "the key is in the body")
class Telling(Toy):
    """it puts the key into the body"""

    def body(self, chat: ChatRequest) -> dict[str, Any]:
        return {**super().body(chat), **({"key": self.api_key} if self.api_key else {})}


@vessel_fault(STATUSES, "failure(503, …) has retryable=False")
class Resigned(Toy):
    """it never tries again"""

    def failure(self, status: int, text: str) -> ProviderError:
        return ProviderError(f"{status}: {text}", status=status)


@vessel_fault(STATUSES, "failure(400, …) has retryable=True")
class Hopeful(Toy):
    """it always tries again"""

    def failure(self, status: int, text: str) -> ProviderError:
        error = error_of_status(self.name, status, text)
        error.retryable = True
        return error


@vessel_fault(STATUSES, "the server's words are not in the message")
class Curt(Toy):
    """it does not say why"""

    def failure(self, status: int, text: str) -> ProviderError:
        return error_of_status(self.name, status, "")


@vessel_fault(MODELS, "models_request is a POST")
class Posting(Toy):
    """it posts its question for models"""

    def models_request(self) -> WireRequest | None:
        return WireRequest(url=f"{self.base_url}/models", body={})

    def read_models(self, body: Any) -> list[ModelInfo]:
        return [ModelInfo(each["id"]) for each in body["data"]]
