"""Finds the choices of an event of the OpenAI dialect where they are not in their usual form."""

from __future__ import annotations

from typing import Any, cast

from ..core.frame import Frame

__all__ = ["answer_in_envelope", "join_split_choices", "only_place"]


def join_split_choices(choices: Any, frame: Frame) -> Any:
    """The choices of an answer of which one was asked for, as one if they are its parts.

    Text and tool calls of one message are in choices of their own in GitHub Copilot's answers of
    some models: https://github.com/SWE-agent/mini-swe-agent/issues/804. Choices that are
    alternatives have a text each, or the same calls; those stay apart.
    """
    listed = cast("list[Any]", choices) if isinstance(choices, list) else []
    if len(listed) < 2:
        return cast("Any", choices)
    parts = [part for each in listed if (part := _message(each)) is not None]
    texts = [part for part in parts if part.get("content")]
    calls = [cast("list[Any]", part["tool_calls"]) for part in parts if _calls(part)]
    if len(parts) != len(listed) or len(texts) > 1 or not calls:
        return listed
    if any(not part.get("content") and not _calls(part) for part in parts):
        return listed
    names = [cast("dict[str, Any]", call).get("id") for each in calls for call in each if call]
    if None in names or len(set(map(str, names))) < len(names):
        return listed
    frame.repair("choices-joined")
    frame.count(len(names))
    message: dict[str, Any] = {}
    for part in [*reversed(parts), *texts]:
        message.update(part)
    message["tool_calls"] = [call for each in calls for call in each]
    first = cast("dict[str, Any]", listed[0])
    return [{**first, "message": message, "finish_reason": "tool_calls"}]


def _message(choice: Any) -> dict[str, Any] | None:
    if not isinstance(choice, dict) or "delta" in choice:
        return None
    message = cast("dict[str, Any]", choice).get("message")
    return cast("dict[str, Any]", message) if isinstance(message, dict) else None


def _calls(message: dict[str, Any]) -> bool:
    calls = message.get("tool_calls")
    return isinstance(calls, list) and bool(cast("list[Any]", calls))


def answer_in_envelope(event: dict[str, Any]) -> dict[str, Any] | None:
    """The answer in an envelope (`result` at Cloudflare), if there is one."""
    for name in ("data", "result"):
        inside = event.get(name)
        if isinstance(inside, dict):
            answer = cast("dict[str, Any]", inside)
            if isinstance(answer.get("choices"), list):
                return {"usage": event["usage"], **answer} if "usage" in event else answer
    return None


def only_place(value: Any) -> Any:
    """Where the text is in an event that has one choice; None in any other."""
    try:
        (choice,) = value["choices"]
        return choice.get("delta", choice)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
