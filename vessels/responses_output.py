"""The output items of one answer of OpenAI's Responses API: their chunks, and the items again.

https://developers.openai.com/api/docs/api-reference/responses-streaming. A text comes in deltas,
then whole in up to four events (`….done` of the text, of its part, its item, and the response).
What a whole text says beyond its deltas is a chunk too: servers may send deltas or not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from ..core.chunk import ChunkFields
from ..core.frame import Frame
from .call_arguments import arguments_text, renamed_arguments
from .mended_values import mended_objects
from .responses_calls import ResponsesCalls, is_run_by_api
from .responses_item import OutputItem
from .responses_items import OutputItems
from .responses_kinds import (
    CALL_KINDS,
    OUTPUT_TEXT,
    PART_KINDS,
    Fields,
    Place,
    TextKind,
    typed_item,
)
from .typed_events import object_of, text_under

__all__ = ["ResponsesOutput"]

_SAYING = {"message", "reasoning", *CALL_KINDS}
_NUMBERS = {"content": "content_index", "summary": "summary_index"}


class ResponsesOutput:
    """The items of one answer.

    calls: those of tools. has_text: whether a text came.
    """

    def __init__(self) -> None:
        self._items = OutputItems()
        self.calls = ResponsesCalls()
        self.has_text = False

    def __bool__(self) -> bool:
        return bool(self._items)

    def delta(self, event: Fields, kind: TextKind, frame: Frame) -> ChunkFields:
        """The chunk of a piece of a text, empty if it says nothing."""
        item = self._find(event, kind.item, frame)
        value = event.get("delta")
        text = value if isinstance(value, str) else text_under(event, "delta", frame)
        fields = self._text(item, self._place(event, kind, item), kind, text)
        if (logprobs := event.get("logprobs")) and kind.field == "text":
            fields["logprobs"] = {"content": logprobs}
        return fields

    def text_done(self, event: Fields, kind: TextKind, frame: Frame) -> Iterator[ChunkFields]:
        """The chunk of what a whole text has beyond its deltas."""
        item = self._find(event, kind.item, frame)
        if kind.text in event:
            text = text_under(event, kind.text, frame)
            yield self._settle(item, self._place(event, kind, item), kind, text, frame)

    def part(self, event: Fields, frame: Frame) -> Iterator[ChunkFields]:
        """The chunks of a part, at its beginning or whole."""
        content = object_of(event.get("part"), frame)
        kind = _kind_of(content)
        if kind is not None:
            item = self._find(event, kind.item, frame)
            yield from self._part(item, self._place(event, kind, item), content, frame)

    def annotation(self, event: Fields, frame: Frame) -> ChunkFields:
        """The chunk of an annotation of a text."""
        item = self._find(event, "message", frame)
        item.annotate(self._place(event, OUTPUT_TEXT, item), event.get("annotation"))
        return {"extra": {"annotations": [event.get("annotation")]}}

    def added(self, event: Fields, frame: Frame) -> Iterator[ChunkFields]:
        """The chunk of an item's beginning."""
        content = event.get("item")
        if not isinstance(content, dict):  # which some providers send, and the official SDK skips
            frame.repair("unexpected-type")
            return
        begun = typed_item(cast("Fields", content), frame)
        known, index = self._items.like(begun, None, frame), event.get("output_index")
        is_new = known is None or known.grown or known.done
        if not is_new and known is not None and index in (None, known.index):
            frame.repair("output-item-repeated")
        else:
            yield self._begin(begun, index, frame)[1]

    def done(self, event: Fields, frame: Frame) -> Iterator[ChunkFields]:
        """The chunks of what a whole item has beyond what came of it."""
        content = typed_item(object_of(event.get("item"), frame), frame)
        index = event.get("output_index")
        item = self._items.like(content, index, frame)
        if item is not None and item.done and index not in (None, item.index):
            item = None if item.says_other(content) else item
        yield from self._whole(item, content, index, frame)

    def whole(self, items: Any, frame: Frame) -> Iterator[ChunkFields]:
        """The chunks of a whole output: of what has not come in events before."""
        listed = mended_objects(items, frame)
        frame.count(len(listed))
        before: set[OutputItem] = set()
        for index, sent in enumerate(listed):
            content = typed_item(sent, frame)
            item = self._items.like(content, index, frame, before)
            if item is None:
                item, fields = self._begin(content, index, frame)
                yield fields
            before.add(item)
            yield from self._whole(item, content, index, frame)

    def text_alone(self, text: str, frame: Frame) -> Iterator[ChunkFields]:
        """The chunks of a text that came without its item."""
        part: Fields = {"type": "output_text", "text": text, "annotations": []}
        message: Fields = {"type": "message", "role": "assistant", "content": [part]}
        yield from self._whole(None, message, self._items.next_index, frame)

    def build(self, *, cut: bool) -> list[dict[str, Any]]:
        """The items in order, for the next request. cut: the answer is not whole."""
        items = [item for item in self._items.in_order() if item.goes_back(cut=cut)]
        # Reasoning goes back only with the item that followed it.
        while cut and items and items[-1].kind == "reasoning":
            del items[-1]
        return [item.build(cut=cut) for item in items]

    def _whole(
        self, item: OutputItem | None, content: Fields, index: Any, frame: Frame
    ) -> Iterator[ChunkFields]:
        if item is None:
            item, fields = self._begin(content, index, frame)
            yield fields
        if item.slot is not None:
            content = {**content, "call_id": item.content["call_id"]}
        if item.done and (item.grown or item.kind not in _SAYING or content == item.content):
            if content != item.content:
                frame.repair("output-item-changed")
            return
        if item.grown and (filled := item.filled(content)) is not content:
            frame.repair("final-text-missing")
            content = filled
        item.done = True
        item.content = content
        if item.slot is not None:
            kind = CALL_KINDS[item.kind]
            content = item.content = renamed_arguments(content, kind.key, frame)
            if (name := text_under(content, "name", frame)) and not item.named:
                item.named = True
                yield {"tool_calls": [{"slot": item.slot, "name": name}]}
            text = arguments_text(content.get(kind.key), frame)
            yield self._settle(item, (kind.key, 0), kind, text, frame)
        elif item.kind in _SAYING and item.kind not in CALL_KINDS:
            for key in ("summary", "content"):
                parts = mended_objects(content.get(key), frame)
                frame.count(len(parts))
                for number, part in enumerate(parts):
                    yield from self._part(item, (key, number), part, frame)
        else:
            yield {"extra": {f"item_{item.index}": content}}

    def _part(
        self, item: OutputItem, place: Place, content: Fields, frame: Frame
    ) -> Iterator[ChunkFields]:
        kind = _kind_of(content)
        if kind is None:
            return
        had_text = item.size(place) > 0
        item.part(place, content)
        fields = self._settle(item, place, kind, text_under(content, kind.text, frame), frame)
        if (logprobs := content.get("logprobs")) and fields and not had_text:
            fields["logprobs"] = {"content": logprobs}
        yield fields
        annotations = content.get("annotations")
        if isinstance(annotations, list):
            given = cast("list[Any]", annotations)
            if new := given[item.annotated.get(place, 0) :]:
                item.annotated[place] = len(given)
                yield {"extra": {"annotations": new}}

    def _settle(
        self, item: OutputItem, place: Place, kind: TextKind, whole: str, frame: Frame
    ) -> ChunkFields:
        """The chunk of what a whole text has beyond what came of it."""
        if not whole:
            return {}
        if (more := item.beyond(place, whole)) is None:
            frame.repair("final-text-differs")
            return {}
        return self._text(item, place, kind, more)

    def _text(self, item: OutputItem, place: Place, kind: TextKind, text: str) -> ChunkFields:
        if not text:
            return {}
        held = self.calls.holds(item, kind, text) if kind.field == "call" else False
        item.write(place, kind, text)
        match kind.field:
            case "text":
                self.has_text = True
                return {"text": text}
            case "reasoning":
                return {"reasoning": text}
            case "refusal":
                return {"refusal": text}
            case "call" if item.slot is not None and not held:
                return {"tool_calls": [{"slot": item.slot, "arguments": text}]}
            case _:
                return {}

    def _place(self, event: Fields, kind: TextKind, item: OutputItem) -> Place:
        if not kind.part:
            return kind.key, 0
        number = event.get(_NUMBERS[kind.key])
        return (kind.key, number) if type(number) is int else item.last_place(kind)

    def _find(self, event: Fields, kind: str, frame: Frame) -> OutputItem:
        """The item that an event is about, begun if there is none."""
        item = self._items.of_event(event, frame)
        if item is not None and item.kind == kind:
            return item
        frame.repair("missing-item-start")
        begun: Fields = {"type": kind}
        if isinstance(identifier := event.get("item_id"), str):
            begun["id"] = identifier
        if kind == "message":
            begun["role"] = "assistant"
        return self._begin(begun, event.get("output_index"), frame)[0]

    def _begin(self, content: Fields, index: Any, frame: Frame) -> tuple[OutputItem, ChunkFields]:
        item = self._items.add(content, index, frame)
        is_call = item.kind in CALL_KINDS and not is_run_by_api(item.content)
        return item, self.calls.begin(item, frame) if is_call else {}


def _kind_of(part: Fields) -> TextKind | None:
    kind = part.get("type")
    return PART_KINDS.get(kind) if isinstance(kind, str) else None
