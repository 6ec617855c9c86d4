"""One output item of an answer of OpenAI's Responses API, as it grows.

https://developers.openai.com/api/docs/guides/streaming-responses. An item begins as an object,
deltas extend its texts, and `response.output_item.done` has it whole, which is then the item. Its
texts are the parts of its lists `content` and `summary`, or one of its keys (`arguments`, `input`,
`code`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

__all__ = [
    "CALL_KINDS",
    "OUTPUT_TEXT",
    "PART_KINDS",
    "TEXT_KINDS",
    "Fields",
    "OutputItem",
    "Place",
    "TextKind",
]

Fields = dict[str, Any]

_LISTS = ("summary", "content")
# Items that the API takes back although the answer was cut inside them.
_PARTLY_SENT = frozenset({"message", "function_call", "custom_tool_call"})


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


class OutputItem:
    """An output item. index: its place in the output. slot: of its call. done: it came whole.

    named: the name of its tool is known.
    """

    __slots__ = ("_parts", "_pieces", "annotated", "content", "done", "index", "named", "slot")

    def __init__(self, index: int, content: dict[str, Any]) -> None:
        self.index = index
        self.content = content
        self.slot: str | None = None
        self.done = self.named = False
        self.annotated: dict[Place, int] = {}  # how many annotations of a text are known
        self._pieces: dict[Place, list[str]] = {}
        self._parts: dict[Place, dict[str, Any]] = {}

    @property
    def kind(self) -> str:
        """The item's type."""
        kind = self.content.get("type")
        return kind if isinstance(kind, str) else ""

    @property
    def grown(self) -> bool:
        """Whether any of its texts came."""
        return bool(self._pieces)

    def write(self, place: Place, kind: TextKind, piece: str) -> None:
        """Extend a text."""
        pieces = self._pieces.get(place)
        if pieces is None:
            pieces = self._pieces[place] = []
            if kind.part:
                self._parts.setdefault(place, {"type": kind.part})
        pieces.append(piece)

    def part(self, place: Place, content: dict[str, Any]) -> None:
        """A part of a list, as an event gives it."""
        self._parts[place] = {**self._parts.get(place, {}), **content}

    def annotate(self, place: Place, annotation: Any) -> None:
        """Add an annotation of a text."""
        part = self._parts.setdefault(place, {"type": "output_text"})
        part["annotations"] = [*part.get("annotations", ()), annotation]
        self.annotated[place] = self.annotated.get(place, 0) + 1

    def text(self, place: Place) -> str:
        """A text so far."""
        return "".join(self._pieces.get(place, ()))

    def last_place(self, kind: TextKind) -> Place:
        """The last text of a kind, or where its first one begins."""
        numbers = [number for key, number in self._parts if key == kind.key]
        for number in sorted(numbers, reverse=True):
            if self._parts[kind.key, number].get("type") == kind.part:
                return kind.key, number
        return kind.key, len(numbers)

    def build(self) -> dict[str, Any]:
        """The item as the next request has it."""
        if self.done:
            return self.content
        built = dict(self.content)
        for key in _LISTS:
            if parts := list(self._built_parts(key)):
                built[key] = parts
        for key, number in self._pieces:
            if key not in _LISTS:
                built[key] = self.text((key, number))
        if "status" in built:
            built["status"] = "incomplete"
        return built

    def goes_back(self, *, cut: bool) -> bool:
        """Whether it belongs into the next request. cut: the answer did not come to its end.

        The API refuses a part of its own reasoning, and of a call of one of its own tools.
        """
        if not cut or self.done:
            return True
        return self.kind in _PARTLY_SENT and (self.grown or self.kind != "message")

    def _built_parts(self, key: str) -> Iterator[dict[str, Any]]:
        for place in sorted(self._parts):
            if place[0] != key:
                continue
            part = self._parts[place]
            name = "refusal" if part.get("type") == "refusal" else "text"
            text = {name: self.text(place)} if place in self._pieces else {}
            missing: dict[str, Any] = (
                {"annotations": []} if part.get("type") == "output_text" else {}
            )
            yield {**missing, **part, **text}
