"""The calls of tools in one answer of OpenAI's Responses API: ids, and arguments held back."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.chunk import ChunkFields, ToolCallDeltaFields
from ..core.frame import Frame
from .call_arguments import meant_arguments, unique_id
from .responses_item import OutputItem
from .responses_kinds import Fields, TextKind
from .typed_events import text_under

__all__ = ["ResponsesCalls", "is_run_by_api"]

# xAI's search of X comes as calls of custom tools (x_keyword_search …) that have such ids:
# https://github.com/vercel/ai/tree/main/packages/xai/src/responses
_RUN_BY_API = "xs_call_"


def is_run_by_api(item: Fields) -> bool:
    """Whether a call is one of the API's own, which it runs itself, though its type is another."""
    return str(item.get("call_id")).startswith(_RUN_BY_API)


class ResponsesCalls:
    """The calls of one answer. seed: what the ids of those are made of that have none."""

    def __init__(self) -> None:
        self.seed = ""
        self._ids: set[str] = set()
        self._in_strings: dict[str | None, OutputItem] = {}  # whose arguments are a JSON string

    def begin(self, item: OutputItem, frame: Frame) -> ChunkFields:
        """The beginning of a call. Its id is made where it has none, or another call's."""
        content = item.content
        item.slot = str(len(self._ids))
        name = text_under(content, "name", frame)
        identifier = text_under(content, "call_id", frame) or text_under(content, "id", frame)
        seed = f"{self.seed} {item.slot} {name}"
        identifier = content["call_id"] = unique_id(identifier, self._ids, seed, frame)
        call: ToolCallDeltaFields = {"slot": item.slot, "index": item.index, "id": identifier}
        if name:
            item.named = True
            call["name"] = name
        if item.kind == "custom_tool_call":
            call["type"] = "custom"
        return {"tool_calls": [call]}

    def holds(self, item: OutputItem, kind: TextKind, text: str) -> bool:
        """Whether the arguments of `item` are held back; `text` is about to be added to them."""
        if kind.item == "function_call" and not item.grown and text.lstrip()[:1] == '"':
            self._in_strings[item.slot] = item
        return item.slot in self._in_strings

    def release(self, frame: Frame) -> Iterator[ChunkFields]:
        """The arguments that were held back, now that no more of them will come."""
        for item in self._in_strings.values():
            text = meant_arguments(item.text(("arguments", 0)), frame)
            yield {"tool_calls": [{"slot": item.slot or "0", "arguments": text}]}
        self._in_strings.clear()
