"""The fields of a request of the OpenAI dialect beside its messages, written and read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, cast

from ..core.errors import InvalidRequestError
from .request_reader import read_fields

__all__ = [
    "LIMITS",
    "SAMPLING",
    "TOOLS",
    "ThinkingRules",
    "chat_logprobs",
    "read_openai_fields",
    "response_format",
    "thinking_fields",
]

SAMPLING = ("temperature", "top_p", "max_tokens", "stop", "seed", "n")
TOOLS = ("tools", "tool_choice", "functions", "function_call")
LIMITS = ("max_completion_tokens", "max_tokens")
# What `type` says in a JSON schema; in a provider's own object it names the kind of format.
_SCHEMA_TYPES = {"object", "array", "string", "number", "integer", "boolean", "null"}


class ThinkingRules(Protocol):
    """What a vessel of the dialect says about its server (openai.py)."""

    refused: ClassVar[Mapping[str, str]]
    renamed: ClassVar[Mapping[str, str]]
    thinking: ClassVar[Mapping[bool, Mapping[str, Any]]]
    effort: ClassVar[tuple[str, ...]]
    budget: ClassVar[tuple[str, ...]]

    @property
    def name(self) -> str:
        """The vessel's name."""
        ...


def chat_logprobs(asked: int | None) -> dict[str, Any]:
    """The keys that ask for log probabilities on the chat route."""
    if asked is None or isinstance(asked, bool):
        return {} if asked is None else {"logprobs": asked}
    return {"logprobs": True, "top_logprobs": asked}


def response_format(asked: dict[str, Any] | str) -> dict[str, Any]:
    """The format `asked` for in the dialect's form; a JSON schema gets the name "answer"."""
    if isinstance(asked, str):
        return {"type": "json_object"}
    if isinstance(kind := asked.get("type"), str) and kind not in _SCHEMA_TYPES:
        return asked
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": asked}}


def thinking_fields(rules: ThinkingRules, think: bool | str | int | None) -> Mapping[str, Any]:  # noqa: FBT001 - as the field has it
    """The keys for `think`. Raises InvalidRequestError where the server has no word for it."""
    if think is None:
        return {}
    if isinstance(think, bool):
        if think in rules.thinking:
            return rules.thinking[think]
    elif path := rules.effort if isinstance(think, str) else rules.budget:
        value: Any = think
        for name in reversed(path):
            value = {name: value}
        return cast("dict[str, Any]", value)
    taken = [f"think={on}" for on in sorted(rules.thinking)]
    taken += ["an effort such as think='low'"] * bool(rules.effort)
    taken += ["a number of tokens"] * bool(rules.budget)
    raise InvalidRequestError(
        f"{rules.name} does not take think={think!r}, but {' or '.join(taken) or 'none'}; put "
        "what the server takes anyway into extra_body"
    )


def read_openai_fields(
    rules: ThinkingRules, body: Mapping[str, Any], *, chat: bool
) -> dict[str, Any]:
    """The fields of a ChatRequest in a body, without what the server does not take.

    chat: whether it is of the chat route.
    """
    named = (*SAMPLING, *TOOLS, "response_format") if chat else (*SAMPLING, "response_format")
    names = {field: rules.renamed.get(field, field) for field in named}
    if chat and LIMITS[0] in body:
        names["max_tokens"] = LIMITS[0]
    fields = {"stream": False, **read_fields(body, {**names, "stream": "stream"})}
    if "response_format" in fields:
        fields["response_format"] = _read_format(cast("dict[str, Any]", fields["response_format"]))
    asked, best = body.get("logprobs"), body.get("top_logprobs")
    if chat and asked is True and isinstance(best, int) and not isinstance(best, bool):
        fields["logprobs"] = best
    elif isinstance(asked, bool) is chat and isinstance(asked, int):
        fields["logprobs"] = asked
    think = _read_thinking(rules, body)
    if think is not None:
        fields["think"] = think
    return {
        field: value
        for field, value in fields.items()
        if field not in rules.refused or (field == "n" and value == 1)
    }


def _read_format(asked: dict[str, Any]) -> dict[str, Any] | str:
    if asked == {"type": "json_object"}:
        return "json"
    given = asked.get("json_schema")
    if asked.keys() == {"type", "json_schema"} and isinstance(given, dict):
        schema = cast("dict[str, Any]", given).get("schema")
        if isinstance(schema, dict) and response_format(cast("dict[str, Any]", schema)) == asked:
            return cast("dict[str, Any]", schema)
    return asked


def _read_thinking(rules: ThinkingRules, body: Mapping[str, Any]) -> bool | str | int | None:
    for path, kind in ((rules.effort, str), (rules.budget, int)):
        value: Any = body
        for name in path:
            value = cast("dict[str, Any]", value).get(name) if isinstance(value, dict) else None
        if path and isinstance(value, kind) and not isinstance(value, bool):
            return value
    for on, keys in rules.thinking.items():
        if all(key in body and body[key] == value for key, value in keys.items()):
            return on
    return None
