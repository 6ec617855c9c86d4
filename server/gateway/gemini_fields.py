"""What a request of the Gemini API says beside what its reader has a field for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from ...core.errors import InvalidRequestError
from ...core.request import ChatRequest
from .request_rules import CONFIG_DEFAULTS, CONFIG_LOOSE, CONFIG_READ, SAMPLING

__all__ = ["Refuse", "check_gemini_tools", "gemini_sampling"]

_NAMES = {names["gemini"]: name for name, names in SAMPLING.items() if "gemini" in names}
_SCHEMAS = frozenset({"parameters", "parametersJsonSchema"})
_DECLARED = frozenset(
    {
        *_SCHEMAS,
        *("description", "name"),
        *("response", "responseJsonSchema"),  # which are for the reader of a result alone
    }
)

Refuse = Callable[[str, str], InvalidRequestError]
"""Makes the error from the place in the body and the reason."""


def gemini_sampling(chat: ChatRequest, body: Mapping[str, Any], refused: Refuse) -> dict[str, Any]:
    """The fields of `generationConfig` that are in SAMPLING. refused: makes the error."""
    wanted: dict[str, Any] = {}
    kept = chat.options or {}
    for key, value in cast("dict[str, Any]", body.get("generationConfig", {})).items():
        place = f"generationConfig.{key}"
        if value is None or CONFIG_DEFAULTS.get(key) == value:
            continue
        if key in _NAMES:
            wanted[_NAMES[key]] = value
        elif key not in CONFIG_READ:
            raise refused(place, "is not known there")
        elif key in kept and (key not in CONFIG_LOOSE or not isinstance(value, dict)):
            raise refused(place, "has a value that cannot be translated")
    return wanted


def check_gemini_tools(chat: ChatRequest, body: Mapping[str, Any], refused: Refuse) -> None:
    """Whether all that is said of functions and their choice is translated."""
    names: list[Any] = []
    for number, tool in enumerate(cast("list[dict[str, Any]]", body.get("tools", []))):
        for declared in cast("list[dict[str, Any]]", tool.get("functionDeclarations", [])):
            place = f"tools[{number}].functionDeclarations"
            names.append(declared.get("name"))
            for key, value in declared.items():
                if key not in _DECLARED:
                    raise refused(f"{place}.{key}", "is not known there")
                if key in _SCHEMAS and not isinstance(value, dict | None):
                    raise refused(f"{place}.{key}", "is no JSON schema")
    config = cast("dict[str, Any]", body.get("toolConfig", {}))
    for key in config:
        if key != "functionCallingConfig":
            raise refused(f"toolConfig.{key}", "is not known there")
    if config:
        _check_choice(chat, config["functionCallingConfig"], names, refused)


def _check_choice(
    chat: ChatRequest, calling: Mapping[str, Any], names: list[Any], refused: Refuse
) -> None:
    """names: of all functions."""
    place = "toolConfig.functionCallingConfig"
    if chat.tool_choice is None:
        raise refused(place, "has a choice that cannot be translated")
    for key, value in calling.items():
        if key == "allowedFunctionNames":
            chosen = isinstance(chat.tool_choice, dict) or value in ([], None)
            if not chosen and not (isinstance(value, list) and all(n in value for n in names)):
                raise refused(f"{place}.{key}", "can name one function, or all of them")
        elif key != "mode":
            raise refused(f"{place}.{key}", "is not known there")
