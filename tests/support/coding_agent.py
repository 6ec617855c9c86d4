"""What coding agents send to Anthropic's Messages API, with all that they add by habit."""

from __future__ import annotations

from typing import Any

__all__ = ["AGENT_REQUEST"]

_CACHED = {"cache_control": {"type": "ephemeral"}}
AGENT_REQUEST: dict[str, Any] = {
    "model": "m",
    "max_tokens": 32000,
    "stream": True,
    "temperature": 1,
    "metadata": {"user_id": "user_abc_account__session_def"},
    "system": [
        {"type": "text", "text": "You are a coding agent.", **_CACHED},
        {"type": "text", "text": "Answer briefly.", **_CACHED},
    ],
    "thinking": {"type": "enabled", "budget_tokens": 31999},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "tools": [
        {
            "name": "Read",
            "description": "Reads a file.",
            "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}},
            "eager_input_streaming": True,
        },
        {"name": "Bash", "input_schema": {"type": "object", "properties": {}}, **_CACHED},
    ],
    "tool_choice": {"type": "auto"},
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "<system-reminder>Be careful.</system-reminder>"},
                {"type": "text", "text": "Read a and b.", **_CACHED},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "signature-of-thinking"},
                {"type": "text", "text": "I read both."},
                {"type": "tool_use", "id": "toolu_01", "name": "Read", "input": {"path": "a"}},
                {"type": "tool_use", "id": "toolu_02", "name": "Read", "input": {"path": "b"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_01",
                    "content": [
                        {"type": "text", "text": "line 1"},
                        {"type": "text", "text": "line 2"},
                    ],
                },
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_02",
                    "is_error": True,
                    "content": "no such file",
                    **_CACHED,
                },
                {"type": "text", "text": "Go on."},
            ],
        },
    ],
}
