"""Fields that providers send in every frame; a chunk has them where they are new or have changed.

These are the role, the response's id, the model, usage that is sent again, and fields that only the
provider knows (a fingerprint, citations, filter results …). Of the last, small ones go to `extra`.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from ..core.jsontext import dumps

__all__ = ["LARGEST_EXTRA", "MOST_FIELDS", "RepeatFilter"]

# Bytes of JSON. Larger ones (search results, token contexts, audio) are in the frame's raw text.
LARGEST_EXTRA = 2048

# How many unknown fields one object may have. No provider has a tenth of these; where there are
# more, all of them are in the frame's raw text alone.
MOST_FIELDS = 256


class RepeatFilter:
    """Remembers the last value of each field of an answer."""

    def __init__(self) -> None:
        self._values: dict[Hashable, Any] = {}

    def is_new(self, key: Hashable, value: Any) -> bool:
        """Whether `value` differs from the last one of `key`; it is the last one then."""
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
        """Those of the fields that are not known, are new, and are small. place: where they are."""
        if fields.keys() <= known or len(fields) > len(known) + MOST_FIELDS:
            return {}
        found: dict[str, Any] = {}
        for key, value in fields.items():
            if key in known or value in _EMPTY or not self.is_new((place, key), value):
                continue
            if not isinstance(value, str | list | dict) or len(dumps(value)) <= LARGEST_EXTRA:
                found[key] = value
        return found


_EMPTY: tuple[Any, ...] = (None, "", [], {})
