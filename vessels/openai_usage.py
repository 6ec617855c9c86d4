"""Token counts and durations of the OpenAI dialect, in all their places, under all their names.

Counts that have no name here stay under the provider's own, nested as it sent them (`details`).
Costs and the like are no counts: they go to `extra`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ..core.frame import Frame
from .wire_values import whole_number

__all__ = ["find_usage", "read_timings", "read_usage"]

Seconds = dict[str, float | None]

_INPUT = ("prompt_tokens_details", "input_tokens_details")
_OUTPUT = ("completion_tokens_details", "output_tokens_details")
# Where each count may be, first the dialect's own place. DeepSeek: prompt_cache_hit_tokens;
# Together and Moonshot: cached_tokens; Mistral: num_cached_tokens; Perplexity: reasoning_tokens
# beside the others; OpenRouter: cache_write_tokens; Alibaba: cache_creation_input_tokens in the
# details; gateways to Anthropic: that and cache_read_input_tokens beside the others.
_COUNTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "input_tokens": (("prompt_tokens",), ("input_tokens",)),
    "output_tokens": (("completion_tokens",), ("output_tokens",)),
    "total_tokens": (("total_tokens",),),
    "cached_input_tokens": (
        *((details, "cached_tokens") for details in _INPUT),
        ("prompt_cache_hit_tokens",),
        ("cached_tokens",),
        ("num_cached_tokens",),
        ("cache_read_input_tokens",),
    ),
    "cache_write_tokens": (
        *((details, "cache_write_tokens") for details in _INPUT),
        *((details, "cache_creation_tokens") for details in _INPUT),
        *((details, "cache_creation_input_tokens") for details in _INPUT),
        ("cache_write_tokens",),
        ("cache_creation_input_tokens",),
    ),
    "reasoning_tokens": (
        *((details, "reasoning_tokens") for details in _OUTPUT),
        ("reasoning_tokens",),
    ),
}
_PATHS = {path for paths in _COUNTS.values() for path in paths}
_DETAILS = (*_INPUT, *_OUTPUT)
# Groq puts its times into the usage.
_GROQ = {"total": "total_time", "prompt_eval": "prompt_time", "eval": "completion_time"}
_LLAMA = {"prompt_eval": "prompt_ms", "eval": "predicted_ms"}
_KNOWN = {*(path[0] for path in _PATHS), *_DETAILS, *_GROQ.values()}


def find_usage(event: Mapping[str, Any]) -> tuple[dict[str, Any] | None, bool]:
    """The usage of an event, and whether it was elsewhere: in `x_groq` or a choice (Moonshot)."""
    usage = event.get("usage")
    if isinstance(usage, dict):
        return cast("dict[str, Any]", usage), False
    for name in ("x_groq", "choices"):
        found = event.get(name)
        for place in cast("list[Any]", found) if isinstance(found, list) else (found,):
            if isinstance(place, dict) and "usage" in place and isinstance(place["usage"], dict):
                return cast("dict[str, Any]", place["usage"]), True
    return None, False


def read_usage(usage: Mapping[str, Any], frame: Frame) -> tuple[dict[str, Any], dict[str, Any]]:
    """The counts in `usage`, and its other fields, such as costs; repairs are noted in `frame`."""
    counts: dict[str, Any] = {}
    for name, paths in _COUNTS.items():
        for path in paths:
            count = whole_number(_at(usage, path))
            if count is not None:
                counts[name] = count
                break
    output, reasoning = counts.get("output_tokens"), counts.get("reasoning_tokens")
    total = counts.get("total_tokens")
    if (
        output is not None
        and reasoning
        and total == counts.get("input_tokens", 0) + output + reasoning
    ):
        # xAI counts reasoning beside the output: https://docs.x.ai/docs/guides/reasoning
        frame.repair("reasoning-tokens-apart")
        counts["output_tokens"] = output + reasoning
    if details := _details(usage):
        counts["details"] = details
    return counts, {key: value for key, value in usage.items() if key not in _KNOWN}


def _details(usage: Mapping[str, Any]) -> dict[str, Any]:
    """Counts that are nested in the usage and have no field of their own."""
    found: dict[str, Any] = {}
    for name in _DETAILS:
        inside = usage.get(name)
        if isinstance(inside, dict):
            items = cast("dict[str, Any]", inside).items()
            rest = {k: v for k, v in items if (name, k) not in _PATHS and v is not None}
            if rest:
                found[name] = rest
    return found


def read_timings(event: Mapping[str, Any], usage: Mapping[str, Any] | None) -> Seconds:
    """The durations in `event` and `usage`, in seconds: forms of llama.cpp, Groq and Cerebras."""
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
