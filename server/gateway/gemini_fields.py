"""What a request of the Gemini API says beside what its reader has a field for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from ...core.errors import InvalidRequestError
from ...core.request import ChatRequest
from .request_rules import CONFIG_DEFAULTS, CONFIG_LOOSE, CONFIG_READ, SAMPLING

__all__ = ["Refuse", "check_gemini_tools", "gemini_sampling"]

_NAMES = {names["gemini"]: name for name, names in SAMPLING.items() if "gemini" in names}
_DECLARED = frozenset(
    {
        *("description", "name", "parameters", "parametersJsonSchema"),
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
    for number, tool in enumerate(cast("list[dict[str, Any]]", body.get("tools", []))):
        for declared in cast("list[dict[str, Any]]", tool.get("functionDeclarations", [])):
            for key in declared:
                if key not in _DECLARED:
                    raise refused(
                        f"tools[{number}].functionDeclarations.{key}", "is not known there"
                    )
    config = cast("dict[str, Any]", body.get("toolConfig", {}))
    for key in config:
        if key != "functionCallingConfig":
            raise refused(f"toolConfig.{key}", "is not known there")
    if config and chat.tool_choice is None:
        raise refused("toolConfig.functionCallingConfig", "has a choice that cannot be translated")
