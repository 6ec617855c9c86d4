"""Joins values that come in pieces, by rules that need no knowledge of the field.

They are for what a provider adds to its messages without the dialect's knowing it:

- Texts are joined, in order. Where all pieces are equal it is one value, sent again each time, as
  fingerprints are; the first that differs shows that they are pieces of a text ("ha", "ha", " ok").
  Only what came eight times from the beginning stays such a value: of it the latest stands, as of
  one whose name says that it is a label (`id`, `type`, `format`, `channel` …).
- Objects are joined key by key.
- Lists of numbers are joined. Entries with texts continue the entry that they belong to: the one of
  their type and `index`, without an index the last one, unless that has its signature. Any other
  list brings its new entries: all that it adds to those so far (ListSoFar).
- null says nothing. Of any other value the latest stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from .repeated_fields import ListSoFar

__all__ = ["JoinedList", "JoinedObject"]

_LABELS = frozenset(
    {
        *("id", "index", "type", "name", "format", "role", "channel", "phase", "status", "object"),
        *("model", "provider", "recipient", "mime_type", "media_type", "url", "title", "detail"),
    }
)
_TEXTS = frozenset({"text", "thinking", "summary", "reasoning", "content", "transcript", "input"})
# What makes an entry of a list a piece of one; encrypted data only where an index says of which.
_PIECE = frozenset({"text", "thinking", "summary", "signature"})
_PIECE_WITH_INDEX = _PIECE | {"data"}
_PIECE_TYPES = frozenset({"text", "thinking", "summary_text"})
# A text that begins with so many equal pieces is a value that is sent again each time.
_VALUE_TIMES = 8
# Values below this depth are taken as they are. Known ones have four levels; each level costs a
# frame of Python's stack.
_DEEPEST = 16


class _Text:
    __slots__ = ("_is_label", "_is_text", "_pieces")

    def __init__(self, key: str) -> None:
        self._is_label = key in _LABELS or key.endswith("_id")
        self._is_text = key in _TEXTS
        self._pieces: list[str] = []

    def add(self, piece: str) -> bool:
        pieces = self._pieces
        if not piece:
            return False
        if self._is_label:
            new = pieces != [piece]
            self._pieces = [piece]
            return new
        if not self._is_text and pieces and piece != pieces[0]:
            self._is_text = True
        pieces.append(piece)
        if self._is_text or len(pieces) < _VALUE_TIMES:
            return True
        self._is_label = True
        self._pieces = [piece]
        return False

    def build(self) -> str:
        return "".join(self._pieces if self._is_text else self._pieces[:1])


class JoinedObject:
    """A JSON object that arrives in pieces, which are joined.

    Args:
        depth: How many other objects it is nested in.
    """

    __slots__ = ("_depth", "_values")

    def __init__(self, depth: int = 0) -> None:
        self._depth = depth
        self._values: dict[str, Any] = {}

    def __bool__(self) -> bool:
        return bool(self._values)

    def add(self, fields: Mapping[str, Any]) -> bool:
        """Add a piece, `fields`. Returns whether it says anything that earlier ones did not."""
        new = False
        for key, value in fields.items():
            new = self.put(key, value) or new
        return new

    def put(self, key: str, value: Any) -> bool:
        """Add `value`, a piece of what is under `key`. Returns whether it says anything new."""
        if value is None:
            return False
        known = self._values.get(key)
        if isinstance(value, str):
            text = known if isinstance(known, _Text) else _Text(key)
            self._values[key] = text
            return text.add(value)
        if isinstance(value, list) and self._depth < _DEEPEST:
            if not isinstance(known, JoinedList):
                known = self._values[key] = JoinedList(self._depth + 1)
            return known.add(cast("list[Any]", value))
        if isinstance(value, dict) and self._depth < _DEEPEST:
            if not isinstance(known, JoinedObject):
                known = self._values[key] = JoinedObject(self._depth + 1)
            return known.add(cast("dict[str, Any]", value))
        self._values[key] = value
        return bool(known != value)

    def build(self) -> dict[str, Any]:
        """The object so far."""
        return {key: _built(value) for key, value in self._values.items()}


class _Entry(JoinedObject):
    """An entry of a list that comes in pieces."""

    __slots__ = ("has_index", "id", "is_signed", "type")

    def __init__(self, depth: int, piece: Mapping[str, Any]) -> None:
        super().__init__(depth)
        self.type = piece.get("type")
        self.has_index = type(piece.get("index")) is int
        self.id: Any = None
        self.is_signed = False

    def add(self, fields: Mapping[str, Any]) -> bool:
        self.id = self.id or fields.get("id")
        if fields.get("signature"):
            self.is_signed = True
        return super().add(fields)

    def goes_on_with(self, piece: Mapping[str, Any]) -> bool:
        """Whether a piece of its type, and of its index if it has one, is one of its own."""
        if self.has_index:
            return not (self.id and piece.get("id")) or self.id == piece["id"]
        texts = any(piece.get(key) for key in ("text", "thinking", "summary"))
        return self.type == piece.get("type") and not (self.is_signed and texts)


class JoinedList:
    """A list that comes in pieces. depth: how many objects and lists it is in."""

    __slots__ = ("_depth", "_entries", "_of_index", "_so_far")

    def __init__(self, depth: int = 0) -> None:
        self._depth = depth
        self._entries: list[Any] = []
        self._of_index: dict[tuple[Any, int], _Entry] = {}
        self._so_far = ListSoFar()

    def add(self, entries: list[Any]) -> bool:
        """Add a piece, `fields`. Returns whether it says anything that earlier ones did not."""
        are_pieces = [_is_piece(entry, self._of_index) for entry in entries]
        if True not in are_pieces:
            new = self._so_far.new_in(entries)
            self._entries += new
            return bool(new)
        may_go_on = True
        for entry, is_piece in zip(entries, are_pieces, strict=True):
            if not is_piece:
                self._entries.append(entry)
                continue
            known = self._known(entry, may_go_on=may_go_on)
            # Without an index the entries of one list are several.
            may_go_on = False
            known.add(entry)
        return True

    def _known(self, piece: dict[str, Any], *, may_go_on: bool) -> _Entry:
        """The entry that a piece belongs to, begun if there is none."""
        index = piece.get("index")
        last: _Entry | None = None
        if type(index) is int:
            last = self._of_index.get((piece.get("type"), index))
        elif may_go_on and self._entries and isinstance(self._entries[-1], _Entry):
            last = self._entries[-1]
            last = None if last.has_index else last
        if last is not None and last.goes_on_with(piece):
            return last
        entry = _Entry(self._depth + 1, piece)
        self._entries.append(entry)
        if type(index) is int:
            self._of_index[piece.get("type"), index] = entry
        return entry

    def build(self) -> list[Any]:
        """The list so far."""
        return [_built(entry) for entry in self._entries]


def _is_piece(entry: Any, begun: Mapping[tuple[Any, int], _Entry]) -> bool:
    """Whether an entry is one of several pieces; begun: the entries with an index that are."""
    if not isinstance(entry, dict):
        return False
    piece = cast("dict[str, Any]", entry)
    kind = piece.get("type")
    if kind is not None and not isinstance(kind, str):
        return False
    if type(index := piece.get("index")) is int:
        return not piece.keys().isdisjoint(_PIECE_WITH_INDEX) or (kind, index) in begun
    if kind is None or not (kind in _PIECE_TYPES or kind.startswith("reasoning")):
        return False
    return not piece.keys().isdisjoint(_PIECE)


def _built(value: Any) -> Any:
    return value.build() if isinstance(value, _Text | JoinedObject | JoinedList) else value
