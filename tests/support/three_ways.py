"""What a client builds of a server's answers: directly, through the gateway, from its recordings,
which `vesselog serve --replay` serves.

A client is a function: it gets the URL to ask for each model and gives what it built, by name.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from commands import serving
from gateways import gateway_to
from patience import PATIENCE
from vesselog import Recording
from vesselog.vessels import Vessel

__all__ = ["Answers", "built_from", "built_three_ways", "different", "steady", "through_gateway"]

Answers = Callable[[Mapping[str, str]], Mapping[str, Any]]

# The headers of an answer: the gateway and a replay server have some of their own.
_OF_A_TRANSPORT = ("headers", "sdkHttpResponse", "sdk_http_response")
# What differs from one answer of a server to the next: ids, times, and what its cache held.
_VOLATILE = {
    *("id", "call_id", "item_id", "response_id", "tool_call_id", "responseId"),
    *("created", "created_at", "completed_at", "expires_at", "createTime", "create_time"),
    *("total_duration", "load_duration", "prompt_eval_duration", "eval_duration"),
    *("timings", "cached_tokens", "cache_read_input_tokens", *_OF_A_TRANSPORT),
}


def steady(value: Any, volatile: Collection[str] = _VOLATILE) -> Any:
    """Without ids, times, durations and counts of cached tokens."""
    if isinstance(value, Mapping):
        kept = {
            name: steady(each, volatile) for name, each in value.items() if name not in volatile
        }
        if kept.get("input_tokens") and (cached := value.get("cache_read_input_tokens")):
            kept["input_tokens"] += cached  # Anthropic's count leaves out what was in the cache
        return kept
    return [steady(each, volatile) for each in value] if isinstance(value, list) else value


@contextmanager
def through_gateway(folder: Path, vessels: Mapping[str, Vessel]) -> Iterator[dict[str, str]]:
    """The URL of each upstream at a gateway that records to `folder`."""
    with gateway_to(folder, dict(vessels)) as http:
        root = str(http.base_url).rstrip("/")
        yield {name: f"{root}/{name}" for name in vessels}


def built_three_ways(
    answers: Answers,
    directly: Mapping[str, str],
    vessels: Mapping[str, Vessel],
    folder: Path,
    *,
    without_volatile: Callable[[Any], Any] = steady,
) -> Mapping[str, Any]:
    """Hold that the three are equal; gives what was built directly.

    From the recordings ids and times are equal, too. directly: the server's URL for each model;
    vessels: the gateway's upstream for each.
    """
    right = answers(directly)
    with through_gateway(folder, vessels) as urls:
        through = answers(urls)
    assert list(through) == list(right)
    if found := different(without_volatile(through), without_volatile(right)):
        raise AssertionError("\n".join(found))
    calls = [call for path in folder.iterdir() for call in Recording(path).calls()]
    assert all(call.outcome in {"complete", "error"} for call in calls)
    replayed = built_from(folder, answers, directly)
    if found := different(steady(replayed, _OF_A_TRANSPORT), steady(through, _OF_A_TRANSPORT)):
        raise AssertionError("from the recordings:\n" + "\n".join(found))
    return right


def built_from(
    folder: Path, answers: Answers, models: Iterable[str], *options: str
) -> Mapping[str, Any]:
    """What is built of the recordings in a folder, which the command serves with these options."""
    with serving("--replay", str(folder), "--speed", "max", *options) as (process, url):
        replayed = answers(dict.fromkeys(models, url))
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
    assert err == b"stopped\n", "and no warning"
    return replayed


def different(got: Any, right: Any, at: str = "") -> list[str]:
    """Where two JSON values differ, and how."""
    if isinstance(got, Mapping) and isinstance(right, Mapping):
        names = [*right, *(name for name in got if name not in right)]
        return [
            each
            for name in names
            for each in different(got.get(name, ...), right.get(name, ...), f"{at}.{name}")
        ]
    if isinstance(got, list) and isinstance(right, list) and len(got) == len(right):
        pairs = zip(got, right, strict=True)
        return [x for i, (a, b) in enumerate(pairs) for x in different(a, b, f"{at}[{i}]")]
    return [] if got == right else [f"{at}: {got!r} is not {right!r}"]
