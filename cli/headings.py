"""What a recorded call was about, in a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from ..core.truth.recording import RecordedCall

__all__ = ["address", "heading", "question"]

_LONGEST_QUESTION = 72


def heading(call: RecordedCall) -> str:
    """As `call 1 · ollama/story · "Tell me a story."`."""
    words = [f"call {call.number}", address(call)]
    if asked := question(call):
        words.append(f'"{asked}"')
    return " · ".join(words)


def address(call: RecordedCall) -> str:
    """The model's address, as far as it is recorded."""
    request = call.request
    return f"{request.get('vessel') or '?'}/{request.get('model') or '?'}"


def question(call: RecordedCall, longest: int = _LONGEST_QUESTION) -> str:
    """The last message's text, or the prompt, in one line; empty where there is none."""
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
