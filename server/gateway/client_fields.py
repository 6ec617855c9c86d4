"""What a request says beside what ChatRequest has: by which rule, and what is refused.

Here are the fields of the OpenAI dialect, of Anthropic, of Ollama and of the Responses API;
gemini_fields.py has those of Gemini.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ...core.request import ChatRequest
from .gemini_fields import Refuse, check_gemini_tools, gemini_sampling
from .request_rules import LEFT_OUT_OF_TOOLS, OPTIONS_LEFT_OUT, OPTIONS_READ, RULES, SAMPLING, Rules

__all__ = ["sampling_beside"]

_UNTRANSLATED = "has a value that cannot be translated"


def sampling_beside(
    client: str, chat: ChatRequest, body: Mapping[str, Any], refused: Refuse
) -> dict[str, Any]:
    """The fields of a body that are in SAMPLING. chat: as it was read from the body.

    Raises what `refused` makes of a place and a reason for what is neither translated nor left out.
    """
    wanted: dict[str, Any] = {}
    for key, value in body.items():
        wanted |= _beside(key, value, RULES[client], chat.extra_body or {}, refused)
    if client == "anthropic":
        _check_anthropic(body, chat, refused)
        return wanted
    if client == "gemini":
        wanted |= gemini_sampling(chat, body, refused)
        check_gemini_tools(chat, body, refused)
    elif client == "ollama":
        wanted |= _options(chat, body.get("options", {}), refused)
    elif client == "openai-responses":
        _check_responses(body, refused)
    _check_tools([tool.model_dump(exclude_none=True) for tool in chat.tools or ()], refused)
    return wanted


def _beside(
    key: str, value: Any, rules: Rules, kept: Mapping[str, Any], refused: Refuse
) -> dict[str, Any]:
    """What a field of the body says by a name of SAMPLING."""
    if key in rules.read:
        kinds = rules.loose.get(key)
        if key in kept if kinds is None else not _is_of(value, kinds):
            raise refused(key, _UNTRANSLATED)
    elif key in rules.left_out or any(_equal(value, each) for each in rules.defaults.get(key, ())):
        pass
    elif key in SAMPLING:
        return {key: value}
    else:
        raise refused(key, "is not known there")
    return {}


def _options(chat: ChatRequest, given: Any, refused: Refuse) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise refused("options", "is no object")
    wanted: dict[str, Any] = {}
    for key, value in cast("dict[str, Any]", given).items():
        if key in OPTIONS_READ and key not in (chat.options or {}):
            continue
        if key in SAMPLING:
            wanted[key] = value
        elif key not in OPTIONS_LEFT_OUT and value is not None:
            raise refused(f"options.{key}", "is not known there")
    return wanted


def _check_anthropic(body: Mapping[str, Any], chat: ChatRequest, refused: Refuse) -> None:
    """What the reader keeps of these fields beside what ChatRequest has."""
    known = {
        "output_config": {"effort", "format"},
        "thinking": {"budget_tokens", "display", "type"},
        "tool_choice": {"disable_parallel_tool_use", "name", "type"},
    }
    for field, keys in known.items():
        for key in body.get(field, {}):
            if key not in keys:
                raise refused(f"{field}.{key}", "is not known there")
    _check_kind(body, "output_config.effort", str, refused)
    _check_kind(body, "tool_choice.disable_parallel_tool_use", bool, refused)
    if "thinking" in body and chat.think is None:
        raise refused("thinking.type", _UNTRANSLATED)
    if body.get("output_config", {}).get("format") is not None and chat.response_format is None:
        raise refused("output_config.format", "is no JSON schema")
    for number, tool in enumerate(cast("list[dict[str, Any]]", body.get("tools", []))):
        place = f"tools[{number}]"
        if (kind := tool.get("type")) not in (None, "custom"):
            raise refused(place, f"is a tool of Anthropic's own, {kind!r}")
        _check_keys(tool, {"type", "name", "description", "input_schema", "strict"}, place, refused)


def _check_responses(body: Mapping[str, Any], refused: Refuse) -> None:
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
                raise refused(f"{field}.{key}", "is not known there")
    _check_kind(body, "reasoning.effort", str, refused)
    _check_kind(body, "text.format", dict, refused)
    if body.get("text", {}).get("verbosity") not in (None, "medium"):
        raise refused("text.verbosity", "is not known there")


def _check_kind(body: Mapping[str, Any], place: str, kind: type, refused: Refuse) -> None:
    """Whether the value at this place, of an object and its key, is of the type; or null."""
    field, _, key = place.partition(".")
    value = body.get(field, {}).get(key)
    if value is not None and not isinstance(value, kind):
        raise refused(place, _UNTRANSLATED)


def _check_tools(tools: list[dict[str, Any]], refused: Refuse) -> None:
    for number, tool in enumerate(tools):
        place = f"tools[{number}]"
        if "function" not in tool and "custom" not in tool:
            raise refused(place, f"is of the type {tool.get('type')!r}")
        _check_keys(tool, {"type", "function", "custom"}, place, refused)
        function = tool.get("function", {})
        _check_keys(function, {"name", "description", "parameters", "strict"}, place, refused)


def _check_keys(tool: Mapping[str, Any], known: set[str], place: str, refused: Refuse) -> None:
    for key, value in tool.items():
        left_out = LEFT_OUT_OF_TOOLS.get(key)
        if key in known or (left_out is not None and (not left_out or value in left_out)):
            continue
        raise refused(f"{place}.{key}", "is not known there")


def _is_of(value: Any, kinds: type | tuple[type, ...]) -> bool:
    """Whether a field's value is of one of these types; an integer is a number of something."""
    if kinds is int:
        return type(value) is int and value >= 0
    return isinstance(value, kinds)


def _equal(one: Any, other: Any) -> bool:
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)
