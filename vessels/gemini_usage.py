"""Reads the token counts of the Gemini API.

https://ai.google.dev/api/generate-content#UsageMetadata. They are cumulative on each event. The API
counts thoughts apart from `candidatesTokenCount`, and what tools put in apart from
`promptTokenCount`; here, as everywhere, output_tokens and input_tokens are all of them. Counts by
modality (text, image, audio, video) and the like are details, under the API's names.
"""

from __future__ import annotations

from typing import Any

from .wire_values import sum_of_counts

__all__ = ["usage_fields"]

_SUMS = {
    "input_tokens": ("promptTokenCount", "toolUsePromptTokenCount"),
    "output_tokens": ("candidatesTokenCount", "thoughtsTokenCount"),
    "total_tokens": ("totalTokenCount",),
    "cached_input_tokens": ("cachedContentTokenCount",),
    "reasoning_tokens": ("thoughtsTokenCount",),
}
# What the sums tell already; that of the tools is in a sum only.
_TOLD = frozenset(
    {"cachedContentTokenCount", "candidatesTokenCount", "promptTokenCount", "thoughtsTokenCount"}
) | {"totalTokenCount"}
_EMPTY: tuple[Any, ...] = (None, "", [], {})


def usage_fields(usage: dict[str, Any]) -> dict[str, Any]:
    """The fields of a chunk's usage that are in a `usageMetadata`."""
    found: dict[str, Any] = {}
    for field, names in _SUMS.items():
        count = sum_of_counts(usage, *names)
        if count is not None:
            found[field] = count
    if not usage.keys() <= _TOLD:
        details = {
            name: value
            for name, value in usage.items()
            if name not in _TOLD and value not in _EMPTY
        }
        if details:
            found["details"] = details
    return found
