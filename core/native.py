"""The assistant's messages of an answer, in the form that their provider wants back.

The decoder builds them, the `end` line of a call holds them, and a completion has that of each
choice as `native`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

__all__ = ["NativeMessages", "natives_of", "natives_record"]

NativeMessages = Mapping[int, dict[str, Any]]
"""A message for each choice, by the choice's number."""


def natives_record(messages: NativeMessages) -> dict[str, Any]:
    """The keys of an `end` line: `message` is that of choice 0, `other_messages` has the rest."""
    others = {str(choice): message for choice, message in messages.items() if choice != 0}
    record: dict[str, Any] = {"message": messages[0]} if 0 in messages else {}
    return {**record, "other_messages": others} if others else record


def natives_of(end: Mapping[str, Any] | None) -> NativeMessages:
    """The messages in an `end` line; what is damaged there is left out."""
    if end is None:
        return {}
    found: dict[str, Any] = {"0": end.get("message")}
    if isinstance(others := end.get("other_messages"), dict):
        found |= cast("dict[str, Any]", others)
    return {
        int(choice): cast("dict[str, Any]", message)
        for choice, message in found.items()
        if isinstance(message, dict) and choice.isdecimal()
    }
