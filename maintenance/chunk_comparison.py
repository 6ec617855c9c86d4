"""Compares recorded chunks with those that today's vessel makes of the same frames.

A chunk's call and time, and the text of its frame are not made by the vessel, and are not compared.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from ..core.chunk import StreamChunk
from ..core.jsontext import canonical

__all__ = ["Comparison", "differing"]


class Comparison:
    """Compares two sequences of chunks, which may come in different portions.

    differing: how many chunks differ, missing and additional ones included. first: the place of the
    first of them. fields: the names of the fields that differ anywhere.
    """

    def __init__(self) -> None:
        self._stored: deque[StreamChunk] = deque()
        self._today: deque[StreamChunk] = deque()
        self._place = 0
        self.differing = 0
        self.first: int | None = None
        self.fields: set[str] = set()

    def add(self, stored: Iterable[StreamChunk], today: Iterable[StreamChunk]) -> None:
        """The next chunks of both."""
        self._stored.extend(stored)
        self._today.extend(today)
        while self._stored and self._today:
            self._count(differing(self._stored.popleft(), self._today.popleft()))

    def finish(self) -> None:
        """There are no more."""
        for each in (*self._stored, *self._today):
            self._count(each.model_fields_set - {"call", "seq", "t", "raw"} or {"seq"})

    def _count(self, fields: set[str]) -> None:
        if fields:
            self.differing += 1
            self.fields |= fields
            if self.first is None:
                self.first = self._place
        self._place += 1


def differing(one: StreamChunk, other: StreamChunk) -> set[str]:
    """The names of the fields in which two chunks differ."""
    if one == other:
        return set()
    return {
        name
        for name in set(StreamChunk.model_fields) - {"call", "t", "raw"}
        if _text(one, name) != _text(other, name)
    }


def _text(chunk: StreamChunk, name: str) -> bytes | str:
    """A field's value as JSON, where NaN equals itself."""
    try:
        return canonical(chunk.model_dump(include={name}, mode="json"))
    except ValueError:  # pydantic writes no more than 255 levels
        return repr(getattr(chunk, name))
