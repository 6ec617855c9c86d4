"""Token counts of Anthropic's Messages API, as the universal usage.

https://docs.claude.com/en/docs/build-with-claude/streaming. Usage is split over events, and the
later ones are cumulative. The API counts cached input apart from `input_tokens`; here, as
everywhere, input_tokens are all of them, and the API's own counts are in `extra["usage"]`.
"""

from __future__ import annotations

from typing import Any, cast

from ..core.chunk import ChunkFields
from .repeated_fields import RepeatFilter
from .wire_values import object_in, sum_of_counts

__all__ = ["AnthropicUsage"]

_CACHED = ("cache_read_input_tokens", "cache_creation_input_tokens")

# The API has about ten names; all are looked at whenever one of the counts changes.
_MOST_NAMES = 100


class AnthropicUsage:
    """The usage of one answer, from all its events."""

    def __init__(self, repeats: RepeatFilter) -> None:
        self._repeats = repeats
        self._counts: dict[str, Any] = {}

    def add(self, usage: dict[str, Any], fields: ChunkFields) -> None:
        """Add the counts of an event; those that are new go into the chunk's fields."""
        sent = self._counts
        for name, value in usage.items():
            if value is not None and (name in sent or len(sent) < _MOST_NAMES):
                sent[name] = value
        details = object_in(sent, "output_tokens_details")
        counts = {
            "input_tokens": sum_of_counts(sent, "input_tokens", *_CACHED),
            "output_tokens": sum_of_counts(sent, "output_tokens"),
            "cached_input_tokens": sum_of_counts(sent, _CACHED[0]),
            "reasoning_tokens": sum_of_counts(details, "thinking_tokens"),
        }
        counts = {name: count for name, count in counts.items() if count is not None}
        if counts and self._repeats.is_new("counts", counts):
            fields["usage"] = cast("dict[str, int | None]", counts)
        known = {"output_tokens", "output_tokens_details"}
        if not sum_of_counts(sent, *_CACHED):
            known |= {"input_tokens", *_CACHED}
        own = {name: value for name, value in sent.items() if name not in known}
        if extra := self._repeats.unknown_fields({"usage": own}):
            fields["extra"] = {**fields.get("extra", {}), **extra}
