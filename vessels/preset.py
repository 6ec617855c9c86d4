"""What the presets have in common (presets.py)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from .openai import OpenAI
from .openai_history import MessageRules

__all__ = ["Preset", "looked_for", "strict"]

_NO_CUSTOM_TOOLS = MessageRules(custom_tools=False)


class Preset(OpenAI):
    """A server that is known by name. Only OpenAI and Azure are known to have custom tools."""

    message_rules: ClassVar[MessageRules] = _NO_CUSTOM_TOOLS


def looked_for(*api_key: str, base_url: str | None = None) -> Mapping[str, tuple[str, ...]]:
    """The variables that hold the key, the first that is set, and the address."""
    return {"api_key": api_key} | ({"base_url": (base_url,)} if base_url else {})


def strict(*keys: str, ids: str = _NO_CUSTOM_TOOLS.ids) -> MessageRules:
    """Of a server that takes only these keys, beside the usual ones, in an assistant's message."""
    known = frozenset({"role", "content", "tool_calls", *keys})
    return _NO_CUSTOM_TOOLS._replace(keys=known, ids=ids)
