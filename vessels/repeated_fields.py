"""Fields that providers send in every frame; a chunk has them where they are new or have changed.

These are the role, the response's id, the model, usage that is sent again, and fields that only the
provider knows (a fingerprint, citations, filter results …). The last go to `extra`, whatever their
size. An assembled completion has the lists of all chunks joined, so a list that grows from frame to
frame goes there with its new entries alone.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, cast

from ..core.errors import ProtocolError

__all__ = ["MOST_FIELDS", "ListSoFar", "RepeatFilter"]

# Objects below this depth are compared as a whole. Known ones have four levels.
_DEEPEST = 16

# How many fields of one place are looked at. No provider has a tenth of these. An object with more
# is compared as a whole; an event with more unknown fields than these is no answer.
MOST_FIELDS = 2048


class ListSoFar:
    """What the lists under one name have said so far."""

    __slots__ = ("_entries", "_last")

    def __init__(self) -> None:
        self._entries: list[Any] = []
        self._last: list[Any] = []

    def new_in(self, entries: list[Any]) -> list[Any]:
        """The entries that are new: all, unless the list repeats the last one or all so far.

        Lists that begin with a number (token ids) are always new.
        """
        size = len(self._entries)
        if entries and type(entries[0]) in {int, float}:
            new = entries
        elif entries == self._last:
            new = []
        elif size and len(entries) >= size and entries[:size] == self._entries:
            new = entries[size:]
        else:
            new = entries
        self._entries += new
        self._last = entries
        return new


class RepeatFilter:
    """Remembers the last value of each field of an answer."""

    def __init__(self) -> None:
        self._values: dict[Hashable, Any] = {}
        self._lists: dict[Hashable, ListSoFar] = {}
        self._looked_at = 0

    def is_new(self, key: Hashable, value: Any) -> bool:
        """Whether `value` differs from the last one of `key`, which it then replaces."""
        if self._values.get(key) == value:
            return False
        self._values[key] = value
        return True

    def last(self, key: Hashable) -> Any:
        """The last value of `key`, None if there was none."""
        return self._values.get(key)

    def unknown_fields(
        self,
        fields: Mapping[str, Any],
        known: AbstractSet[str] = frozenset(),
        place: Hashable = None,
    ) -> dict[str, Any]:
        """The unknown fields whose values are new.

        Args:
            fields: The fields of an object.
            known: The names that the decoder reads itself.
            place: Where the object is, so that equal names elsewhere are kept apart.

        Raises:
            ProtocolError: There are too many unknown fields.
        """
        if fields.keys() <= known:
            return {}
        if len(fields) > MOST_FIELDS:
            raise ProtocolError(
                f"an object of the answer has {len(fields)} fields: more than {MOST_FIELDS} are no "
                "answer of any provider",
                phase="body",
            )
        self._looked_at = 0
        return self._new(fields, known, place, 0)

    def _new(
        self, fields: Mapping[str, Any], known: AbstractSet[str], place: Hashable, depth: int
    ) -> dict[str, Any]:
        found: dict[str, Any] = {}
        self._looked_at += len(fields)
        for key, value in fields.items():
            if key in known or value in _EMPTY:
                continue
            path = (place, key)
            if isinstance(value, list):
                so_far = self._lists.get(path)
                if so_far is None:
                    so_far = self._lists[path] = ListSoFar()
                if new := so_far.new_in(cast("list[Any]", value)):
                    found[key] = new
            elif not self.is_new(path, value):
                continue
            elif isinstance(value, dict) and self._may_look_into(
                inside := cast("dict[str, Any]", value), depth
            ):
                if new_fields := self._new(inside, frozenset(), path, depth + 1):
                    found[key] = new_fields
            else:
                found[key] = value
        return found

    def _may_look_into(self, fields: Mapping[str, Any], depth: int) -> bool:
        return depth < _DEEPEST and self._looked_at + len(fields) <= MOST_FIELDS


_EMPTY: tuple[Any, ...] = (None, "", [], {})
