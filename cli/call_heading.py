"""One-line descriptions of a recorded call: its number, its model, its prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from ..core.truth.recording import RecordedCall

__all__ = ["call_heading", "model_address", "prompt_excerpt"]

_LONGEST_EXCERPT = 72


def call_heading(call: RecordedCall) -> str:
    """For example `call 1 · ollama/story · "Tell me a story."`."""
    parts = [f"call {call.number}", model_address(call)]
    if prompt := prompt_excerpt(call):
        parts.append(f'"{prompt}"')
    return " · ".join(parts)


def model_address(call: RecordedCall) -> str:
    """`vessel/model`; a part that is not recorded is `?`."""
    request = call.request
    return f"{request.get('vessel') or '?'}/{request.get('model') or '?'}"


def prompt_excerpt(call: RecordedCall, longest: int = _LONGEST_EXCERPT) -> str:
    """The start of the last message or of the prompt, in one line; empty if there is no text."""
    body = _mapping(call.request.get("body"))
    text: Any = body.get("prompt")
    messages = _list(body.get("messages"))
    if messages:
        text = _mapping(messages[-1]).get("content")
    if isinstance(text, list):
        text = " ".join(str(_mapping(part).get("text", "")) for part in _list(text))
    line = " ".join(text.split()) if isinstance(text, str) else ""
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def _mapping(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []
