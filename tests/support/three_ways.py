"""What a client builds of a server's answers: directly, through the gateway, from its recordings.

A client is a function: it gets the URL to ask for each model and gives what it built, by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateways import gateway_to
from vesselog import Recording
from vesselog.server import on_loopback, replay_app
from vesselog.vessels import Vessel

__all__ = ["Answers", "built_three_ways", "steady", "through_gateway"]

Answers = Callable[[Mapping[str, str]], Mapping[str, Any]]

# What differs from one answer of a server to the next: ids, times, and what its cache held.
_VOLATILE = {
    *("id", "call_id", "item_id", "response_id", "tool_call_id", "responseId", "response_id"),
    *("created", "created_at", "completed_at", "expires_at", "createTime", "create_time"),
    *("timings", "cached_tokens", "cache_read_input_tokens", "date", "headers", "sdkHttpResponse"),
}


def steady(value: Any) -> Any:
    """Without ids, times, durations and counts of cached tokens."""
    if isinstance(value, Mapping):
        return {
            name: steady(each)
            for name, each in value.items()
            if name not in _VOLATILE and "duration" not in name
        }
    return [steady(each) for each in value] if isinstance(value, list | tuple) else value


@contextmanager
def through_gateway(folder: Path, vessels: Mapping[str, Vessel]) -> Iterator[dict[str, str]]:
    """The URL of each upstream at a gateway that records to `folder`."""
    with gateway_to(folder, dict(vessels)) as http:
        root = str(http.base_url).rstrip("/")
        yield {name: f"{root}/{name}" for name in vessels}


def built_three_ways(
    answers: Answers, directly: Mapping[str, str], vessels: Mapping[str, Vessel], folder: Path
) -> Mapping[str, Any]:
    """Hold that the three are equal; gives what was built directly.

    From the recordings ids and times are equal, too. directly: the server's URL for each model;
    vessels: the gateway's upstream for each.
    """
    right = answers(directly)
    with through_gateway(folder, vessels) as urls:
        through = answers(urls)
    assert list(through) == list(right)
    for name, built in right.items():
        assert steady(through[name]) == steady(built), name
    calls = [call for path in folder.iterdir() for call in Recording(path).calls()]
    assert all(call.outcome in {"complete", "error"} for call in calls)
    with on_loopback(replay_app([folder], 0)) as url:
        replayed = answers(dict.fromkeys(directly, url))
    for name, built in through.items():
        assert replayed[name] == built, name
    return right
