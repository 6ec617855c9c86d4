"""A client's request, as a ChatRequest that an upstream of another dialect understands.

What is only in the client's own form is translated, left out by a rule of request_rules.py, or
refused with its place in the body. So is what the upstream's vessel cannot express. The answers of
the assistant in the conversation are sent without their reasoning, whose signatures no other
provider takes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, cast

from ...core.errors import InvalidRequestError
from ...core.request import ChatRequest
from ...core.vessel import Vessel, WireRequest
from ...vessels import Anthropic, Gemini, Ollama, OpenAI, OpenAIResponses, chosen_tool
from ...vessels.gemini_names import in_camel_case
from ...vessels.request_reader import body_of
from .client_fields import sampling_beside
from .request_rules import RULES, SAMPLING
from .translated_messages import translated_messages

__all__ = ["dialect_of", "translated_request"]

_READERS: Mapping[str, Vessel] = {
    "anthropic": Anthropic(),
    "gemini": Gemini(),
    "ollama": Ollama(),
    "openai": OpenAI(),
    "openai-responses": OpenAIResponses(),
}
_DIALECTS = (OpenAI, Ollama, Anthropic, Gemini)
# What only a program that calls the library could do, and what a client can.
_SPELLINGS = (
    (r"; put what the server takes anyway into extra_body$", ""),
    (r"ImagePart\.from_bytes\(…\), or a data: URL", "a data: URL"),
    (r"as Anthropic\(max_tokens=…\)", "as max_tokens of the upstream in the gateway's settings"),
)
_FORMATS = {"json_object", "json_schema", "text"}


def dialect_of(vessel: Vessel) -> str:
    """The dialect that a vessel speaks: OpenAI's for all its presets."""
    return next((kind.name for kind in _DIALECTS if isinstance(vessel, kind)), vessel.name)


def translated_request(
    client: str, route: str, body: Any, upstream: Vessel
) -> tuple[ChatRequest, WireRequest]:
    """The request, and as the upstream gets it. client: the client's dialect.

    Raises InvalidRequestError, which names what the upstream or its dialect cannot be told.
    """
    reader = _READERS.get(client)
    if reader is None:
        raise InvalidRequestError(
            f"requests of the dialect {client!r} go only to upstreams that speak it"
        )
    dialect = dialect_of(upstream)
    given = cast("dict[str, Any]", body) if isinstance(body, dict) else None
    if given is not None:
        route, given = _usual_form(client, route, given, dialect)
    chat = reader.read_request(route, body if given is None else given)
    given = given or {}
    refused = partial(_refused, upstream)
    wanted = sampling_beside(client, chat, given, refused)
    changed: dict[str, Any] = {"extra_body": None, "keep_alive": None, "options": None}
    if wanted:
        changed["options"] = {_named(key, dialect, upstream): each for key, each in wanted.items()}
    if chat.messages is not None:
        rules = RULES[client]
        changed["messages"] = translated_messages(chat.messages, client, rules, upstream, dialect)
    if not chat.tools:
        changed |= {"tools": None, "tool_choice": None}
    changed |= _checked_format(chat, upstream)
    chat = _with_choice(chat.model_copy(update=changed), given, dialect, upstream)
    return _prepared(chat, client, dialect, given, upstream)


def _usual_form(
    client: str, route: str, body: dict[str, Any], dialect: str
) -> tuple[str, dict[str, Any]]:
    """Route and body where a dialect has several ways to say a thing; null says nothing."""
    given = {key: value for key, value in body.items() if value is not None}
    if client == "gemini":
        given = cast("dict[str, Any]", in_camel_case(body_of(given, client)))
    elif client == "ollama" and "prompt" in given:
        if not given.get("raw"):
            return "/api/chat", _as_chat(given)
        if dialect == "openai":  # whose legacy completions take the prompt as it is
            del given["raw"]
    return route, given


def _as_chat(body: dict[str, Any]) -> dict[str, Any]:
    """A request of /api/generate as the chat that it is: Ollama too puts it in the template."""
    said = {key: body[key] for key in ("images",) if body.get(key)}
    system = body.get("system")
    messages: list[dict[str, Any]] = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": body["prompt"], **said})
    left = {"images", "prompt", "system"}
    return {**{key: body[key] for key in body if key not in left}, "messages": messages}


def _named(key: str, dialect: str, upstream: Vessel) -> str:
    if dialect not in SAMPLING[key]:
        raise _refused(upstream, key, "is not known there")
    return SAMPLING[key][dialect]


def _checked_format(chat: ChatRequest, upstream: Vessel) -> dict[str, Any]:
    """The format without what is not asked for: plain text is what every model gives."""
    asked = chat.response_format
    if isinstance(asked, dict) and isinstance(kind := asked.get("type"), str):
        if kind == "text":
            return {"response_format": None}
        own = {"array", "boolean", "integer", "null", "number", "object", "string"}
        if kind not in _FORMATS | own:
            raise _refused(upstream, "response_format", f"is of the type {kind!r}")
    return {}


def _with_choice(
    chat: ChatRequest, body: Mapping[str, Any], dialect: str, upstream: Vessel
) -> ChatRequest:
    """The request with its choice of tools, and whether several may be called at once."""
    choice = body.get("tool_choice")
    own = cast("dict[str, Any]", choice) if isinstance(choice, dict) else {}
    one = body.get("parallel_tool_calls") is False or own.get("disable_parallel_tool_use") is True
    changed: dict[str, Any] = {}
    if chat.tool_choice is None and own.get("type", "auto") != "auto" and chat.tools:
        raise _refused(upstream, "tool_choice", f"is of the type {own.get('type')!r}")
    if isinstance(chat.tool_choice, dict) and chosen_tool(chat.tool_choice) is None:
        raise _refused(upstream, "tool_choice", f"is of the type {chat.tool_choice.get('type')!r}")
    if chat.tool_choice == "none" and dialect == "ollama":
        changed = {"tool_choice": None, "tools": None}  # whose models may call what they are given
    elif one and chat.tools:
        if dialect in {"openai", "openai-responses"}:
            changed["extra_body"] = {"parallel_tool_calls": False}
        elif dialect == "anthropic":
            kinds = {None: "auto", "required": "any"}
            if (name := chosen_tool(chat.tool_choice)) is not None:
                told: dict[str, Any] = {"type": "tool", "name": name}
            else:
                told = {"type": kinds.get(cast("Any", chat.tool_choice), chat.tool_choice)}
            changed["tool_choice"] = {**told, "disable_parallel_tool_use": True}
        else:
            name = "disable_parallel_tool_use" if own else "parallel_tool_calls"
            raise _refused(upstream, name, "cannot be asked for")
    return chat.model_copy(update=changed)


def _prepared(
    chat: ChatRequest, client: str, dialect: str, body: Mapping[str, Any], upstream: Vessel
) -> tuple[ChatRequest, WireRequest]:
    """The request with the first form of its wish to think that the upstream takes."""
    refusal: InvalidRequestError | None = None
    for think in _thoughts(chat, client, dialect, body):
        asked = chat if think is chat.think else chat.model_copy(update={"think": think})
        try:
            return asked, upstream.request(asked)
        except InvalidRequestError as error:
            refusal = refusal or error
    message = "nothing was asked for" if refusal is None else refusal.message
    for of_library, of_gateway in _SPELLINGS:
        message = re.sub(of_library, of_gateway, message)
    raise InvalidRequestError(message)


def _thoughts(
    chat: ChatRequest, client: str, dialect: str, body: Mapping[str, Any]
) -> Iterator[bool | str | int | None]:
    """`think` as it was given, then what comes near it.

    Clients of Anthropic's and of the Responses API ask for thinking by habit, with budgets and
    efforts that few others take: if the upstream has no word for it, the model thinks as it does by
    default. So it does on Ollama, which refuses to be asked where the model cannot think.
    """
    think = chat.think
    if client == "gemini":
        yield from _gemini_thoughts(think, dialect)
    elif client == "openai" and think == "none" and dialect != "openai":
        yield False
    elif client not in {"anthropic", "openai-responses"}:
        yield think
    elif dialect == "ollama":
        yield False if think is False else None
    else:
        yield think
        thinking: Any = body.get("thinking", {})
        if thinking.get("type") in ("adaptive", "enabled"):
            yield True
        yield None


def _gemini_thoughts(think: bool | str | int | None, dialect: str) -> Iterator[Any]:  # noqa: FBT001 - as the field has it
    """-1 leaves the number of tokens to the model."""
    if isinstance(think, str):
        think = think.lower()
    if think is False or (think and think != -1 and dialect != "ollama"):
        yield think
    if think and dialect != "ollama":
        yield True
    yield None


def _refused(upstream: Vessel, place: str, why: str) -> InvalidRequestError:
    return InvalidRequestError(f"{place} cannot be sent to {upstream.name}: it {why}")
