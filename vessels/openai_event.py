"""Reads what an event of the OpenAI dialect says about the answer as a whole.

repeated_fields.py says which fields are left out where they repeat, and which go to `extra`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from ..core.chunk import ChunkFields
from ..core.frame import Frame
from .openai_usage import find_usage, read_timings, read_usage
from .repeated_fields import RepeatFilter
from .wire_values import keep_counts

__all__ = ["KNOWN_IN_EVENT", "PADDING", "OpenAIEvent", "choices_in"]

# Fields of random length, which hide the length of a token from observers of the network.
PADDING = ("obfuscation", "p")
KNOWN_IN_EVENT = frozenset(
    {
        *("choices", "created", "error", "finish_reason", "id", "model", "object", "time_info"),
        *("timings", "usage", "x_groq"),
    }
)
_LEFT_OUT = KNOWN_IN_EVENT.union(PADDING)


class OpenAIEvent:
    """What was said of the answer so far. has_usage: whether token counts were."""

    def __init__(self, repeats: RepeatFilter) -> None:
        self._repeats = repeats
        self.has_usage = False
        self._counts: dict[str, Any] = {}

    def read(self, event: dict[str, Any], chunks: list[ChunkFields], frame: Frame) -> None:
        """Add what is not about one choice: to the first chunk, or as a chunk of its own."""
        fields: ChunkFields = {}
        repeats = self._repeats
        identifier = event.get("id")
        if identifier and isinstance(identifier, str) and repeats.is_new("id", identifier):
            fields["response_id"] = identifier
        model = event.get("model")
        if model and isinstance(model, str) and repeats.is_new("model", model):
            fields["model"] = model
        extra = repeats.unknown_fields(event, _LEFT_OUT)
        created = event.get("created")
        if created and repeats.last("created") is None and repeats.is_new("created", created):
            extra["created"] = created
        self._measures(event, fields, extra, frame)
        if chunks:
            extra.update(chunks[0].get("extra", {}))
        if extra:
            fields["extra"] = extra
        if chunks:
            chunks[0].update(fields)
        elif fields:
            chunks.append(fields)

    def _measures(
        self, event: dict[str, Any], fields: ChunkFields, extra: dict[str, Any], frame: Frame
    ) -> None:
        """Add token counts, costs and durations that are new."""
        repeats = self._repeats
        usage, misplaced = find_usage(event)
        if misplaced:
            frame.repair("usage-elsewhere")
        if usage:
            if self.has_usage:
                frame.repair("usage-cumulative")
            counts, rest = read_usage(usage, frame)
            self.has_usage = self.has_usage or bool(counts)
            keep_counts(counts, self._counts)
            if counts and repeats.is_new("usage", counts):
                fields["usage"] = counts
            if rest := repeats.unknown_fields(rest, frozenset(), "usage"):
                extra["usage"] = rest
        timings = read_timings(event, usage)
        if timings and repeats.is_new("timings", timings):
            fields["timings"] = timings


def choices_in(choices: Any, frame: Frame) -> Iterator[tuple[int, dict[str, Any]]]:
    """The choices that are objects, with their positions in the list."""
    if not isinstance(choices, list):
        frame.repair("unexpected-type")
        choices = [cast("Any", choices)] if isinstance(choices, dict) else []
    listed = cast("list[Any]", choices)
    if len(listed) > 1:
        frame.count(len(listed))
    for position, choice in enumerate(listed):
        if isinstance(choice, dict):
            yield position, cast("dict[str, Any]", choice)
        elif choice is None:
            frame.repair("null-choice")
        else:
            frame.repair("unexpected-type")
