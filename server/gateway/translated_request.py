"""A client's request, as a ChatRequest that an upstream of another dialect understands.

What is only in the client's own form is translated, left out by a rule of request_rules.py, or
refused with its place in the body. So is what the upstream's vessel cannot express. The answers of
the assistant in the conversation are sent without their reasoning, whose signatures no other
provider takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from ...core.errors import InvalidRequestError
from ...core.request import ChatRequest
from ...core.vessel import Vessel, WireRequest
from ...vessels import Anthropic, Gemini, Ollama, OpenAI, OpenAIResponses, chosen_tool
from .request_rules import (
    LEFT_OUT_OF_TOOLS,
    OPTIONS_LEFT_OUT,
    OPTIONS_READ,
    RULES,
    SAMPLING,
    Rules,
)
from .translated_messages import translated_messages

__all__ = ["dialect_of", "translated_request"]

_READERS: Mapping[str, Vessel] = {
    "anthropic": Anthropic(),
    "ollama": Ollama(),
    "openai": OpenAI(),
    "openai-responses": OpenAIResponses(),
}
_DIALECTS = (OpenAI, Ollama, Anthropic, Gemini)
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
    given = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
    rules = RULES[client]
    if client == "ollama" and "prompt" in given:
        if not given.get("raw"):
            route, given = "/api/chat", _as_chat(given)
        elif dialect == "openai":  # whose legacy completions take the prompt as it is
            given = {key: value for key, value in given.items() if key != "raw"}
    # What is null was not said.
    given = {key: value for key, value in given.items() if value is not None}
    chat = reader.read_request(route, given if isinstance(body, dict) else body)
    kept = chat.extra_body or {}
    changed: dict[str, Any] = {"options": None, "extra_body": None}
    wanted: dict[str, Any] = {}
    for key, value in given.items():
        wanted |= _beside(key, value, rules, kept, upstream)
    if client == "ollama":
        changed["keep_alive"] = None
        wanted |= _options(chat, given.get("options", {}), upstream)
    if wanted:
        changed["options"] = {_named(key, dialect, upstream): each for key, each in wanted.items()}
    if chat.messages is not None:
        changed["messages"] = translated_messages(chat.messages, client, rules, upstream, dialect)
    if client == "anthropic":
        _check_anthropic(given, chat, upstream)
    else:
        if client == "openai-responses":
            _check_responses(given, upstream)
        tools = [tool.model_dump(exclude_none=True) for tool in chat.tools or ()]
        _check_tools(tools, upstream)
    if not chat.tools:
        changed |= {"tools": None, "tool_choice": None}
    changed |= _checked_format(chat, upstream)
    chat = chat.model_copy(update=changed)
    chat = _with_choice(chat, given, dialect, upstream)
    return _prepared(chat, client, dialect, given, upstream)


def _beside(
    key: str, value: Any, rules: Rules, kept: Mapping[str, Any], upstream: Vessel
) -> dict[str, Any]:
    """What a field of the body says by a name of SAMPLING."""
    if key in rules.read:
        kinds = rules.loose.get(key)
        if (key in kept and kinds is None) or not (kinds is None or isinstance(value, kinds)):
            raise _refused(key, "has a value that cannot be translated", upstream)
    elif key in rules.left_out or any(_equal(value, each) for each in rules.defaults.get(key, ())):
        pass
    elif key in SAMPLING:
        return {key: value}
    else:
        raise _refused(key, "is not known there", upstream)
    return {}


def _options(chat: ChatRequest, given: Any, upstream: Vessel) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise _refused("options", "is no object", upstream)
    wanted: dict[str, Any] = {}
    for key, value in cast("dict[str, Any]", given).items():
        if key in OPTIONS_READ and key not in (chat.options or {}):
            continue
        if key in SAMPLING:
            wanted[key] = value
        elif key not in OPTIONS_LEFT_OUT and value is not None:
            raise _refused(f"options.{key}", "is not known there", upstream)
    return wanted


def _named(key: str, dialect: str, upstream: Vessel) -> str:
    if dialect not in SAMPLING[key]:
        raise _refused(key, "is not known there", upstream)
    return SAMPLING[key][dialect]


def _as_chat(body: dict[str, Any]) -> dict[str, Any]:
    """A request of /api/generate as the chat that it is: Ollama too puts it in the template."""
    said = {key: body[key] for key in ("images",) if body.get(key)}
    system = body.get("system")
    messages: list[dict[str, Any]] = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": body["prompt"], **said})
    left = {"images", "prompt", "system"}
    return {**{key: body[key] for key in body if key not in left}, "messages": messages}


def _check_anthropic(body: Mapping[str, Any], chat: ChatRequest, upstream: Vessel) -> None:
    """What the reader keeps of these fields beside what ChatRequest has."""
    known = {
        "output_config": {"effort", "format"},
        "thinking": {"budget_tokens", "display", "type"},
        "tool_choice": {"disable_parallel_tool_use", "name", "type"},
    }
    for field, keys in known.items():
        for key in body.get(field, {}):
            if key not in keys:
                raise _refused(f"{field}.{key}", "is not known there", upstream)
    if "thinking" in body and chat.think is None:
        raise _refused("thinking.type", "has a value that cannot be translated", upstream)
    if body.get("output_config", {}).get("format") and chat.response_format is None:
        raise _refused("output_config.format", "is no JSON schema", upstream)
    for number, tool in enumerate(cast("list[dict[str, Any]]", body.get("tools", []))):
        place = f"tools[{number}]"
        if (kind := tool.get("type")) not in (None, "custom"):
            raise _refused(place, f"is a tool of Anthropic's own, {kind!r}", upstream)
        _check_keys(
            tool, {"type", "name", "description", "input_schema", "strict"}, place, upstream
        )


def _check_responses(body: Mapping[str, Any], upstream: Vessel) -> None:
    """What the reader keeps of these fields beside what ChatRequest has.

    Of reasoning the effort is translated; the others are wishes of how it is shown.
    """
    known = {
        "reasoning": {"effort", "generate_summary", "summary"},
        "text": {"format", "verbosity"},
    }
    for field, keys in known.items():
        for key, value in body.get(field, {}).items():
            if key not in keys and value is not None:
                raise _refused(f"{field}.{key}", "is not known there", upstream)
    if body.get("text", {}).get("verbosity") not in (None, "medium"):
        raise _refused("text.verbosity", "is not known there", upstream)


def _check_tools(tools: list[dict[str, Any]], upstream: Vessel) -> None:
    for number, tool in enumerate(tools):
        place = f"tools[{number}]"
        if "function" not in tool and "custom" not in tool:
            raise _refused(place, f"is of the type {tool.get('type')!r}", upstream)
        _check_keys(tool, {"type", "function", "custom"}, place, upstream)
        function = tool.get("function", {})
        _check_keys(function, {"name", "description", "parameters", "strict"}, place, upstream)


def _check_keys(tool: Mapping[str, Any], known: set[str], place: str, upstream: Vessel) -> None:
    for key, value in tool.items():
        left_out = LEFT_OUT_OF_TOOLS.get(key)
        if key in known or (left_out is not None and (not left_out or value in left_out)):
            continue
        raise _refused(f"{place}.{key}", "is not known there", upstream)


def _checked_format(chat: ChatRequest, upstream: Vessel) -> dict[str, Any]:
    """The format without what is not asked for: plain text is what every model gives."""
    asked = chat.response_format
    if isinstance(asked, dict) and isinstance(kind := asked.get("type"), str):
        if kind == "text":
            return {"response_format": None}
        own = {"array", "boolean", "integer", "null", "number", "object", "string"}
        if kind not in _FORMATS | own:
            raise _refused("response_format", f"is of the type {kind!r}", upstream)
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
        raise _refused("tool_choice", f"is of the type {own.get('type')!r}", upstream)
    if isinstance(chat.tool_choice, dict) and chosen_tool(chat.tool_choice) is None:
        raise _refused("tool_choice", f"is of the type {chat.tool_choice.get('type')!r}", upstream)
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
            raise _refused(name, "cannot be asked for", upstream)
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
    raise refusal or InvalidRequestError("nothing was asked for")


def _thoughts(
    chat: ChatRequest, client: str, dialect: str, body: Mapping[str, Any]
) -> Iterator[bool | str | int | None]:
    """`think` as it was given, then what comes near it.

    Clients of Anthropic's and of the Responses API ask for thinking by habit, with budgets and
    efforts that few others take: if the upstream has no word for it, the model thinks as it does by
    default. So it does on Ollama, which refuses to be asked where the model cannot think.
    """
    think = chat.think
    if client == "openai" and think == "none" and dialect != "openai":
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


def _equal(one: Any, other: Any) -> bool:
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


def _refused(place: str, why: str, upstream: Vessel) -> InvalidRequestError:
    return InvalidRequestError(f"{place} cannot be sent to {upstream.name}: it {why}")
