"""Token counts and durations of the OpenAI dialect, in all their places, under all their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

__all__ = ["find_usage", "read_timings", "read_usage"]

Counts = dict[str, int | None]
Seconds = dict[str, float | None]

# Where each count may be, first the dialect's own place. DeepSeek: prompt_cache_hit_tokens;
# Together and Moonshot: cached_tokens; Mistral: num_cached_tokens; Perplexity: reasoning_tokens
# beside the others.
_COUNTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "input_tokens": (("prompt_tokens",), ("input_tokens",)),
    "output_tokens": (("completion_tokens",), ("output_tokens",)),
    "total_tokens": (("total_tokens",),),
    "cached_input_tokens": (
        ("prompt_tokens_details", "cached_tokens"),
        ("input_tokens_details", "cached_tokens"),
        ("prompt_cache_hit_tokens",),
        ("cached_tokens",),
        ("num_cached_tokens",),
    ),
    "reasoning_tokens": (
        ("completion_tokens_details", "reasoning_tokens"),
        ("output_tokens_details", "reasoning_tokens"),
        ("reasoning_tokens",),
    ),
}
_KNOWN = {path[0] for paths in _COUNTS.values() for path in paths}
# Groq puts its times into the usage.
_GROQ = {"total": "total_time", "prompt_eval": "prompt_time", "eval": "completion_time"}
_LLAMA = {"prompt_eval": "prompt_ms", "eval": "predicted_ms"}


def find_usage(event: Mapping[str, Any]) -> tuple[dict[str, Any] | None, bool]:
    """The usage of an event, and whether it was elsewhere: in `x_groq` or a choice (Moonshot)."""
    usage = event.get("usage")
    if isinstance(usage, dict):
        return cast("dict[str, Any]", usage), False
    for place in (event.get("x_groq"), *(event.get("choices") or ())):
        if isinstance(place, dict) and isinstance(cast("dict[str, Any]", place).get("usage"), dict):
            return cast("dict[str, Any]", place["usage"]), True
    return None, False


def read_usage(usage: Mapping[str, Any]) -> tuple[Counts, dict[str, Any]]:
    """The counts that are given, and the provider's own fields (costs, for example)."""
    counts: Counts = {}
    for name, paths in _COUNTS.items():
        for path in paths:
            count = _count(_at(usage, path))
            if count is not None:
                counts[name] = count
                break
    known = {*_KNOWN, *_GROQ.values()}
    return counts, {key: value for key, value in usage.items() if key not in known}


def read_timings(event: Mapping[str, Any], usage: Mapping[str, Any] | None) -> Seconds:
    """The durations that are given, in seconds: llama.cpp's `timings`, Groq's and Cerebras's."""
    llama = event.get("timings")
    if isinstance(llama, dict):
        milliseconds = _durations(cast("dict[str, Any]", llama), _LLAMA)
        return {name: value / 1000 for name, value in milliseconds.items()}
    info = event.get("time_info")
    if isinstance(info, dict):
        return {**_durations(cast("dict[str, Any]", info), _GROQ)}
    return {**_durations(usage, _GROQ)} if usage else {}


def _durations(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, float]:
    return {
        name: float(value)
        for name, key in names.items()
        if isinstance(value := values.get(key), int | float) and not isinstance(value, bool)
    }


def _at(usage: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = usage
    for key in path:
        value = cast("Mapping[str, Any]", value).get(key) if isinstance(value, Mapping) else None
    return value


def _count(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) else None
