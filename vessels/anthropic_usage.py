"""Token counts of Anthropic's Messages API, as the universal usage.

https://docs.claude.com/en/docs/build-with-claude/streaming. Usage is split over events, and the
later ones are cumulative. The API counts cached input, read or written, apart from `input_tokens`;
here, as everywhere, input_tokens are all of them. What has no field of its own (the kinds of cache,
uses of the server's tools, the service tier) is in `details`, nested as it was sent.
"""

from __future__ import annotations

from typing import Any, cast

from ..core.chunk import ChunkFields
from .repeated_fields import RepeatFilter
from .wire_values import sum_of_counts

__all__ = ["AnthropicUsage"]

_READ, _WRITTEN = "cache_read_input_tokens", "cache_creation_input_tokens"
_KNOWN = frozenset({"input_tokens", "output_tokens", _READ, _WRITTEN})
_THOUGHT = "thinking_tokens"

# The API has about ten names; all are looked at whenever one of the counts changes.
_MOST_NAMES = 100


class AnthropicUsage:
    """The usage of one answer, from all its events."""

    def __init__(self, repeats: RepeatFilter) -> None:
        self._repeats = repeats
        self._counts: dict[str, Any] = {}

    def add(self, usage: dict[str, Any], fields: ChunkFields) -> None:
        """Add the counts of an event; if they are new, all go into the chunk's fields."""
        sent = self._counts
        for name, value in usage.items():
            if value is None or (value == 0 and sent.get(name)):
                continue  # counts only grow; gateways send zeros for what they do not know
            if name in sent or len(sent) < _MOST_NAMES:
                sent[name] = value
        details = {name: value for name, value in sent.items() if name not in _KNOWN}
        thought = None
        if isinstance(sent_details := details.get("output_tokens_details"), dict):
            output = cast("dict[str, Any]", sent_details)
            thought = sum_of_counts(output, _THOUGHT)
            if output.keys() <= {_THOUGHT}:
                del details["output_tokens_details"]
        counts: dict[str, Any] = {
            "input_tokens": sum_of_counts(sent, "input_tokens", _READ, _WRITTEN),
            "output_tokens": sum_of_counts(sent, "output_tokens"),
            "cached_input_tokens": sum_of_counts(sent, _READ),
            "cache_write_tokens": sum_of_counts(sent, _WRITTEN),
            "reasoning_tokens": thought,
            "details": details or None,
        }
        counts = {name: count for name, count in counts.items() if count is not None}
        if counts and self._repeats.is_new("counts", counts):
            fields["usage"] = counts
