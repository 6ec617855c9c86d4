"""The kinds of items and texts in answers of OpenAI's Responses API.

https://developers.openai.com/api/docs/api-reference/responses-streaming.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..core.frame import Frame

__all__ = [
    "CALL_KINDS",
    "LISTS",
    "OUTPUT_TEXT",
    "PART_KINDS",
    "TEXT_KINDS",
    "Fields",
    "Place",
    "TextKind",
    "typed_item",
]

Fields = dict[str, Any]

LISTS = ("summary", "content")
"""The keys of an item that have lists of texts."""

# The parts that a text becomes where a list of parts belongs.
_PARTS: dict[tuple[str, str], Fields] = {
    ("message", "content"): {"type": "output_text", "annotations": []},
    ("reasoning", "content"): {"type": "reasoning_text"},
    ("reasoning", "summary"): {"type": "summary_text"},
}
# What tells the type of an item that has none.
_TOLD_BY = {"arguments": "function_call", "summary": "reasoning", "role": "message"}


class TextKind(NamedTuple):
    """A kind of text. item: the type of items that have it. key: where the item has it.

    part: the type of a part of a list. text: the key of the text in its part, and in events.
    field: that of a chunk; "call" for the arguments of a call, "" where a chunk has none.
    """

    item: str
    key: str
    part: str
    text: str
    field: str


Place = tuple[str, int]
"""Where a text of an item is: the key, and the number in the list that is there."""

OUTPUT_TEXT = TextKind("message", "content", "output_text", "text", "text")
_REFUSAL = TextKind("message", "content", "refusal", "refusal", "refusal")
_REASONING = TextKind("reasoning", "content", "reasoning_text", "text", "reasoning")
_SUMMARY = TextKind("reasoning", "summary", "summary_text", "text", "reasoning")
CALL_KINDS = {
    "function_call": TextKind("function_call", "arguments", "", "arguments", "call"),
    "custom_tool_call": TextKind("custom_tool_call", "input", "", "input", "call"),
}
TEXT_KINDS = {
    "response.output_text": OUTPUT_TEXT,
    "response.refusal": _REFUSAL,
    "response.reasoning_text": _REASONING,
    "response.reasoning": _REASONING,  # OpenRouter's
    "response.reasoning_summary_text": _SUMMARY,
    "response.reasoning_summary": _SUMMARY,
    "response.function_call_arguments": CALL_KINDS["function_call"],
    "response.custom_tool_call_input": CALL_KINDS["custom_tool_call"],
    "response.mcp_call_arguments": TextKind("mcp_call", "arguments", "", "arguments", ""),
    "response.code_interpreter_call_code": TextKind(
        "code_interpreter_call", "code", "", "code", ""
    ),
}
"""The kinds of texts, by the names of their events without `.delta` and `.done`."""

PART_KINDS = {kind.part: kind for kind in (OUTPUT_TEXT, _REFUSAL, _REASONING, _SUMMARY)} | {
    "text": OUTPUT_TEXT
}
"""The kinds of texts in lists, by the types of their parts."""


def typed_item(item: dict[str, Any], frame: Frame) -> dict[str, Any]:
    """An item with its type, which its other keys may tell, and with lists of parts.

    A text in place of parts is one part. Both are repairs of `frame`.
    """
    kind = item.get("type")
    if not kind:
        told = (name for key, name in _TOLD_BY.items() if key in item)
        if (kind := next(told, None)) is not None:
            frame.repair("unexpected-type")
            item = {**item, "type": kind}
    for key in LISTS:
        text, part = item.get(key), _PARTS.get((str(kind), key))
        if part is not None and text and isinstance(text, str):
            frame.repair("unexpected-type")
            item = {**item, key: [{**part, "text": text}]}
    return item
