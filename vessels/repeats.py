"""Fields that providers repeat in every frame, told once: on the first chunk, and on change.

These are the role, the response's id, the model, usage that is sent again, and what is unknown:
the fields of the provider's own (a fingerprint, citations, filter results …) go to `extra` if they
are small.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from ..core.jsontext import dumps

__all__ = ["Told"]

# Bytes of JSON. Larger ones (search results, token contexts, audio) are in the frame's raw text.
LARGEST_EXTRA = 2048


class Told:
    """Remembers what was told."""

    def __init__(self) -> None:
        self._told: dict[Hashable, Any] = {}

    def is_news(self, key: Hashable, value: Any) -> bool:
        """Whether `value` differs from what was told last under `key`; it is told now."""
        if self._told.get(key) == value:
            return False
        self._told[key] = value
        return True

    def before(self, key: Hashable) -> Any:
        """What was told under `key`, None if nothing was."""
        return self._told.get(key)

    def unknown(
        self, fields: Mapping[str, Any], known: AbstractSet[str], place: Hashable = None
    ) -> dict[str, Any]:
        """Those of the fields that are not known, say something new, and are small."""
        if fields.keys() <= known:
            return {}
        return {
            key: value
            for key, value in fields.items()
            if key not in known
            and value not in _NOTHING
            and self.is_news((place, key), value)
            and _is_small(value)
        }


_NOTHING: tuple[Any, ...] = (None, "", [], {})


def _is_small(value: Any) -> bool:
    return not isinstance(value, str | list | dict) or len(dumps(value)) <= LARGEST_EXTRA
