"""Finds the output item of OpenAI's Responses API that an event is about.

An event names its item by `output_index` and by `item_id`. Servers leave out the one or the other,
send another id in each event, or the index of another item; then the other name decides, and where
there is none, it is the last item.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from ..core.frame import Frame
from .mended_values import mended_index
from .responses_item import OutputItem
from .responses_kinds import Fields

__all__ = ["OutputItems"]


class OutputItems:
    """The items of one answer, by their names."""

    def __init__(self) -> None:
        self._items: list[OutputItem] = []
        self._by_index: dict[int, OutputItem] = {}
        self._by_id: dict[str, OutputItem] = {}
        self._shared: set[str] = set()  # ids that several items have

    def __bool__(self) -> bool:
        return bool(self._items)

    @property
    def next_index(self) -> int:
        """The place in the output after the last item."""
        return self._items[-1].index + 1 if self._items else 0

    def in_order(self) -> list[OutputItem]:
        """The items in the order of the output."""
        return sorted(self._items, key=lambda item: item.index)

    def add(self, content: Fields, index: Any, frame: Frame) -> OutputItem:
        """A new item. index: its place in the output, if that is known."""
        number = mended_index(index, frame)
        if number is None:
            frame.repair("missing-output-index")
            number = self.next_index
        elif number in self._by_index:
            frame.repair("output-index-repeated")
        item = OutputItem(number, dict(content))
        self._items.append(item)
        self._by_index[number] = item
        # llama-server's calls have no id, and are named by that of the call.
        for key in ("call_id", "id"):
            if isinstance(name := content.get(key), str) and name:
                if self._by_id.get(name, item) is not item:
                    self._shared.add(name)
                self._by_id[name] = item
        return item

    def of_event(self, event: Fields, frame: Frame) -> OutputItem | None:
        """The item that an event names, which may be of a type that does not fit the event."""
        identifier, index = event.get("item_id"), mended_index(event.get("output_index"), frame)
        item = self._by_id.get(identifier) if isinstance(identifier, str) else None
        if index is not None:
            if item is None or identifier in self._shared:
                return self._by_index.get(index)
            return item
        frame.repair("missing-output-index")
        return self._items[-1] if item is None and self._items else item

    def like(
        self, content: Fields, index: Any, frame: Frame, others: Container[OutputItem] = ()
    ) -> OutputItem | None:
        """The item of the same type that has an id of this one, or this index; none of `others`."""
        names = [each for each in map(content.get, ("id", "call_id")) if isinstance(each, str)]
        found = [self._by_id.get(name) for name in names if name not in self._shared]
        number = mended_index(index, frame)
        found.append(None if number is None else self._by_index.get(number))
        same = (item for item in found if item is not None and item.kind == content.get("type"))
        return next((item for item in same if item not in others), None)
