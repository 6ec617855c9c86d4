"""The content blocks of one answer of Anthropic's Messages API: their chunks, and the blocks again.

A block has a start, deltas and a stop, each with its index. Servers leave some of them out, and
begin several blocks at one index: a delta belongs to the latest block of its index, which it begins
where there is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from ..core.chunk import ChunkFields, ToolCallDeltaFields
from ..core.frame import Frame
from ..core.mending import mend_value
from .anthropic_block import Block, typed_block
from .call_arguments import arguments_text, meant_arguments, renamed_arguments, unique_id
from .mended_values import mended_index
from .typed_events import Event, text_under

__all__ = ["AnthropicContent"]

# The kind of block that a delta belongs to whose block has no start.
_KINDS: dict[str | None, str] = {
    None: "text",
    "text_delta": "text",
    "citations_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "thinking",
}
# Deltas that fit into a block of a kind. Another one of these is for a block of its own.
_FITTING: dict[str, tuple[Any, ...]] = {
    "text": ("text_delta", "citations_delta"),
    "thinking": ("thinking_delta", "signature_delta"),
    "tool_use": ("input_json_delta",),
}


class AnthropicContent:
    """The blocks of one answer, in the order in which they began.

    seed: what the ids of calls are made of that have none: the answer's id.
    """

    def __init__(self) -> None:
        self.seed = ""
        self._blocks: list[Block] = []
        self._latest: dict[int, Block] = {}  # by its index
        self._others: dict[tuple[int, str], Block] = {}  # see _beside
        self._ids: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._blocks)

    @property
    def calls_tools(self) -> bool:
        """Whether the caller is to run a tool; the server's own tools are none of those."""
        return bool(self._ids)

    def whole(self, blocks: Any, frame: Frame) -> Iterator[ChunkFields]:
        """The chunks of a whole message's content."""
        if blocks is None:
            return
        if not isinstance(blocks, list):
            frame.repair("unexpected-type")
            blocks = [blocks]
        frame.count(len(cast("list[Any]", blocks)))
        for index, block in enumerate(cast("list[Any]", blocks)):
            if (content := typed_block(block, frame)) is not None:
                yield from self._begin(index, content, frame)
                yield self._finish(self._latest[index], frame)

    def start(self, event: Event, frame: Frame) -> Iterator[ChunkFields]:
        """The chunks of a start event."""
        content = typed_block(event.get("content_block"), frame)
        if content is not None:
            yield from self._begin(self._index(event, frame, new=True), content, frame)

    def delta(self, event: Event, frame: Frame) -> ChunkFields:
        """The chunk of a delta, empty if it says nothing."""
        sent = event.get("delta")
        if not isinstance(sent, dict):
            frame.repair("missing-delta")
            return {}
        delta = cast("Event", sent)
        index = event.get("index")
        block = self._latest.get(index) if type(index) is int else None
        kind = delta.get("type")
        if block is None or block.ended or kind not in _FITTING.get(block.kind, (kind,)):
            block = self._odd_block(block, event, kind, frame)
        fields: ChunkFields = {}
        for key, value in delta.items():
            if key == "type":
                continue
            if key not in {"text", "thinking", "partial_json"}:
                block.extend(kind, key, value)
                if key == "citation":
                    fields["extra"] = {"citations": [value]}
                continue
            text = value if isinstance(value, str) else text_under(delta, key, frame)
            block.write(key, text)
            if not text:
                continue
            if key == "text":
                fields["text"] = text
            elif key == "thinking":
                fields["reasoning"] = text
            elif block.slot is not None and not block.in_string:
                fields["tool_calls"] = [{"slot": block.slot, "arguments": text}]
        return fields

    def stop(self, event: Event, frame: Frame) -> ChunkFields:
        """The chunk of a stop event."""
        block = self._latest.get(self._index(event, frame))
        return {} if block is None else self._finish(block, frame)

    def stop_all(self, frame: Frame, *, complete: bool) -> Iterator[ChunkFields]:
        """The chunks of the blocks that were never ended; if cut, of those held back."""
        for block in self._blocks:
            if complete or block.in_string:
                yield self._finish(block, frame)

    def build(self, *, cut: bool) -> list[dict[str, Any]]:
        """The blocks in order, for the next request. cut: the answer is not whole."""
        ordered = sorted(self._blocks, key=lambda block: block.index)
        return [block.build() for block in ordered if block.goes_back(cut=cut)]

    def _begin(self, index: int, content: Event, frame: Frame) -> Iterator[ChunkFields]:
        known = self._latest.get(index)
        if known is not None:
            frame.repair("block-index-repeated")
            if known.content == content and not (known.ended or known.grown or known.said):
                return
            yield self._finish(known, frame)
        block = self._latest[index] = Block(index, content)
        self._blocks.append(block)
        match block.kind:
            case "text":
                content["text"] = text_under(content, "text", frame)
                if content["text"]:
                    yield {"text": content["text"]}
                if isinstance(cited := content.get("citations"), list):
                    yield {"extra": {"citations": list(cast("list[Any]", cited))}}
            case "thinking":
                content["thinking"] = text_under(content, "thinking", frame)
                if content["thinking"]:
                    yield {"reasoning": content["thinking"]}
            case "tool_use":
                yield self._call(block, frame)
            case _:
                pass

    def _call(self, block: Block, frame: Frame) -> ChunkFields:
        """The beginning of a tool call. Its id is made where it has none, or another call's."""
        content = block.content = renamed_arguments(block.content, "input", frame)
        if "input" in content:
            content["input"] = mend_value(content["input"], frame)
        block.slot = str(len(self._ids))
        identifier, name = (text_under(content, key, frame) for key in ("id", "name"))
        seed = f"{self.seed} {block.slot} {name}"
        identifier = content["id"] = unique_id(identifier, self._ids, seed, frame)
        call: ToolCallDeltaFields = {
            "slot": block.slot,
            "index": block.index,
            "id": identifier,
            "name": name,
        }
        return {"tool_calls": [call]}

    def _finish(self, block: Block, frame: Frame) -> ChunkFields:
        """The chunk of a block that has ended."""
        if block.ended:
            return {}
        block.ended = True
        if block.slot is not None:
            text = block.input_text
            if text and not block.in_string:
                return {}
            block.in_string = False
            # Servers that do not stream the input give it at the start.
            given = text or block.content.get("input")
            if not given:
                return {}
            meant = meant_arguments(arguments_text(given), frame)
            return {"tool_calls": [{"slot": block.slot, "arguments": meant}]}
        if block.kind not in {"text", "thinking"}:
            return {"extra": {f"block_{block.index}": block.build()}}
        if text := block.input_text:  # which no call is there for
            return {"extra": {f"block_{block.index}": {"input": text}}}
        return {}

    def _without_start(self, index: int, kind: Any, frame: Frame) -> Block:
        """The block of a delta that has no block, or no index."""
        block = self._latest.get(index)
        if block is None:
            frame.repair("missing-block-start")
            known = _KINDS.get(kind) if kind is None or isinstance(kind, str) else None
            content = {"type": known or str(kind).removesuffix("_delta")}
            block = self._latest[index] = Block(index, content, started=False)
            self._blocks.append(block)
        return block

    def _odd_block(self, block: Block | None, event: Event, kind: Any, frame: Frame) -> Block:
        """The block of a delta that has none, an ended one, or one of another kind (SGLang)."""
        if block is None:
            block = self._without_start(self._index(event, frame), kind, frame)
        own = _KINDS.get(kind) if isinstance(kind, str) else None
        if own is not None and block.kind in _FITTING and block.kind != own:
            block = self._beside(block, own, frame)
        if block.ended:
            frame.repair("delta-after-block-stop")
            block.ended = False
        return block

    def _beside(self, block: Block, kind: str, frame: Frame) -> Block:
        """A block of another kind at the same index."""
        frame.repair("delta-of-another-kind")
        known = self._others.get((block.index, kind))
        if known is None:
            known = Block(block.index, {"type": kind}, started=False)
            self._others[block.index, kind] = known
            self._blocks.append(known)
        return known

    def _index(self, event: Event, frame: Frame, *, new: bool = False) -> int:
        """The index of an event's block; without one, it is about the last block, or a new one."""
        if (index := mended_index(event.get("index"), frame)) is not None:
            return index
        frame.repair("missing-block-index")
        return self._blocks[-1].index + new if self._blocks else 0
