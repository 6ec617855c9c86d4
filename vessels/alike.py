"""The short way for a frame that is like the one before it but for one text.

Nearly every frame is. It says nothing else that is new, so its chunk has that text only. To know
this takes one comparison of the parsed frames with the text left out; what else there is to look at
was looked at when the first of them came.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast

from ..core.chunk import ChunkFields
from ..core.frame import Frame

__all__ = ["Alike"]

# Told once (repeats.py), so that a frame with these among its fields may be the first of many
# alike.
_ONCE = {"role", "response_id", "model", "extra"}


class Alike:
    """Remembers the last frame that said a text and no more."""

    def __init__(self) -> None:
        self._key = "content"
        self._field = "text"
        self._frame: Any = None

    def read(self, frame: dict[str, Any], place: dict[str, Any]) -> ChunkFields | None:
        """The chunk of a frame that is alike, else None; `place` in it has the text."""
        text = place.get(self._key)
        if not text or type(text) is not str:
            return None
        place[self._key] = ""
        if frame == self._frame:
            return cast("ChunkFields", {self._field: text})
        place[self._key] = text
        return None

    def learn(
        self,
        parsed: dict[str, Any],
        place: dict[str, Any],
        chunks: Collection[ChunkFields],
        frame: Frame,
    ) -> None:
        """Remember a frame, if it gave one text from `place` and needed no repair."""
        if len(chunks) != 1 or frame.repairs:
            return
        (chunk,) = chunks
        said = chunk.keys() - _ONCE
        if said not in ({"text"}, {"reasoning"}):
            return
        field = "text" if "text" in said else "reasoning"
        keys = [key for key, value in place.items() if value == chunk.get(field)]
        if len(keys) == 1:
            self._key, self._field, self._frame = keys[0], field, parsed
            place[keys[0]] = ""
