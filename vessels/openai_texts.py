"""Text and reasoning of a delta or message of the OpenAI dialect, in all their places.

A value of another type than text is mended: some gateways parse what a model says in JSON, a token
at a time (`1`), or as a whole (JSON mode). `false` in place of a text says nothing, but in the
content it is what the model said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ..core.frame import Frame
from ..core.jsontext import dumps

__all__ = ["REASONING", "content_of", "count_inside", "reasoning_of", "text_in"]

# Reasoning: DeepSeek, Z.AI, xAI, llama.cpp, vLLM · OpenRouter, Groq, Cerebras, Ollama · GitHub ·
# others.
REASONING = ("reasoning_content", "reasoning", "reasoning_text", "thinking")
_INSIDE = ("text", "summary", "thinking", "content")


def text_in(place: Mapping[str, Any], name: str, frame: Frame) -> str:
    """The text under a name, "" if there is none."""
    value = place.get(name)
    return value if isinstance(value, str) else _mended(value, frame)


def count_inside(parts: list[Any]) -> int:
    """How many parts are inside the parts of a content."""
    count = 0
    for part in parts:
        if isinstance(part, dict):
            values = cast("dict[str, Any]", part).values()
            count += sum(len(cast("list[Any]", value)) for value in values if type(value) is list)
    return count


def content_of(content: Any, frame: Frame) -> tuple[str, str]:
    """Text and reasoning of a content: a text, or parts (text, thinking, reasoning)."""
    if content is None:
        return "", ""
    if isinstance(content, list):
        frame.repair("content-in-parts")
        return _parts(cast("list[Any]", content), frame)
    if isinstance(content, str):
        return content, ""
    frame.repair("unexpected-type")
    return dumps(content).decode(), ""


def reasoning_of(source: Mapping[str, Any], frame: Frame) -> str:
    """Reasoning under its several names; under two of them it is mostly the same text."""
    found: list[str] = []
    for name in REASONING:
        if source.get(name) and (text := text_in(source, name, frame)) and text not in found:
            found.append(text)
        elif source.get(name) is False:
            frame.repair("unexpected-type")
    details = source.get("reasoning_details")
    if isinstance(details, list):
        detailed = "".join(_texts(cast("list[Any]", details), frame))
        if not found:
            return detailed
        if detailed and detailed != found[0]:
            frame.repair("reasoning-details-left-out")
    if len(found) > 1:
        frame.repair("reasoning-in-several-fields")
    return "".join(found)


def _mended(value: Any, frame: Frame) -> str:
    """What a value says that is not a text."""
    if value is None:
        return ""
    frame.repair("unexpected-type")
    if isinstance(value, bool):
        return ""
    if isinstance(value, list):
        return "".join(_texts(cast("list[Any]", value), frame))
    if isinstance(value, dict):
        return _inside(cast("dict[str, Any]", value), frame)
    return dumps(value).decode()


def _inside(fields: Mapping[str, Any], frame: Frame) -> str:
    """The text in an object; an encrypted one has none."""
    for name in _INSIDE:
        value = fields.get(name)
        if value and isinstance(value, str):
            return value
        if isinstance(value, list):
            return "".join(_texts(cast("list[Any]", value), frame))
    return ""


def _texts(parts: list[Any], frame: Frame) -> list[str]:
    frame.count(1 + len(parts) // 16)
    return [
        _inside(cast("dict[str, Any]", part), frame)
        if isinstance(part, dict)
        else part
        if isinstance(part, str)
        else _mended(part, frame)
        for part in parts
    ]


def _parts(parts: list[Any], frame: Frame) -> tuple[str, str]:
    """Mistral has parts of type text and thinking, Databricks of type reasoning with summaries."""
    texts: list[str] = []
    thoughts: list[str] = []
    for part in parts:
        if not isinstance(part, dict):
            texts.append(part if isinstance(part, str) else _mended(part, frame))
            continue
        fields = cast("dict[str, Any]", part)
        if "thinking" in fields or str(fields.get("type")).startswith("reasoning"):
            thoughts.append(_inside(fields, frame))
        else:
            texts.append(text_in(fields, "text", frame))
    return "".join(texts), "".join(thoughts)
