"""Figures for Prometheus, and the routes for those who run a server."""

from __future__ import annotations

import re
from typing import Any

import pytest

from vesselog.server.metrics import Metrics
from vesselog.server.operations import Operations


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def values(metrics: Metrics) -> dict[str, float]:
    """Every sample by its name and labels, after each line was found well formed."""
    found: dict[str, float] = {}
    described: set[str] = set()
    for line in metrics.text().splitlines():
        if comment := re.fullmatch(r"# (HELP|TYPE) (\w+) .+", line):
            described.add(comment[2])
            continue
        sample = re.fullmatch(r'((\w+)\{(?:\w+="(?:[^"\\]|\\.)*",?)*\}) (\S+)', line)
        assert sample is not None, line
        assert re.sub(r"_(bucket|sum|count)\Z", "", sample[2]) in described
        assert sample[1] not in found
        found[sample[1]] = float(sample[3])
    return found


def test_a_call_is_counted_by_upstream_dialect_and_outcome() -> None:
    clock = Clock()
    metrics = Metrics(clock)
    call = metrics.begin("lab", "openai")
    clock.now = 0.3
    call.read(0, 10)  # a comment
    call.read(2, 100)
    clock.now = 0.32
    call.read(1, 50)
    of = 'upstream="lab",dialect="openai"'
    running = values(metrics)
    assert running[f"vesselog_running{{{of}}}"] == 1
    assert running[f"vesselog_chunks_total{{{of}}}"] == 3
    assert running[f"vesselog_bytes_total{{{of}}}"] == 160
    call.end("complete")
    call.end("cancelled")
    ended = values(metrics)
    assert ended[f"vesselog_running{{{of}}}"] == 0
    done = f'{of},outcome="complete"'
    assert ended[f"vesselog_requests_total{{{done}}}"] == 1
    assert not any("cancelled" in name for name in ended)
    first, gap = "vesselog_first_chunk_seconds", "vesselog_chunk_gap_seconds"
    assert ended[f'{first}_bucket{{{done},le="0.25"}}'] == 0
    assert ended[f'{first}_bucket{{{done},le="0.5"}}'] == 1
    assert ended[f"{first}_sum{{{done}}}"] == pytest.approx(0.3)
    assert ended[f'{gap}_bucket{{{done},le="0.01"}}'] == 0
    assert ended[f'{gap}_bucket{{{done},le="0.025"}}'] == 1
    assert ended[f'{gap}_bucket{{{done},le="+Inf"}}'] == ended[f"{gap}_count{{{done}}}"] == 1


def test_outcomes_and_upstreams_have_figures_of_their_own() -> None:
    metrics = Metrics(Clock())
    for upstream, outcome in (("a", "complete"), ("a", "error"), ("b", "error"), ("b", "error")):
        metrics.begin(upstream, None).end(outcome)
    found = values(metrics)
    name = 'vesselog_requests_total{{upstream="{}",dialect="unknown",outcome="{}"}}'
    asked = (("a", "complete"), ("a", "error"), ("b", "error"))
    assert [found[name.format(*each)] for each in asked] == [1, 1, 2]
    count = 'vesselog_first_chunk_seconds_count{upstream="b",dialect="unknown",outcome="error"}'
    assert found[count] == 0, "no chunk came"


def test_what_is_longer_than_every_bucket_is_counted() -> None:
    clock = Clock()
    metrics = Metrics(clock)
    call = metrics.begin("a", "ollama")
    clock.now = 1e6
    call.read(1, 1)
    call.end("complete")
    labels = 'upstream="a",dialect="ollama",outcome="complete"'
    found = values(metrics)
    assert found[f'vesselog_first_chunk_seconds_bucket{{{labels},le="300"}}'] == 0
    assert found[f'vesselog_first_chunk_seconds_bucket{{{labels},le="+Inf"}}'] == 1


async def asked(path: str, method: str = "GET") -> tuple[int, bytes]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 299, "headers": []})
        await send({"type": "http.response.body", "body": b"application"})

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "path": path, "method": method}
    metrics = Metrics()
    metrics.begin("a", "openai").end("complete")
    await Operations(app, metrics.text)(scope, None, send)  # type: ignore[arg-type]
    return sent[0]["status"], sent[1]["body"]


async def test_health_and_figures_have_a_route_each() -> None:
    assert await asked("/healthz") == (200, b"ok\n")
    status, text = await asked("/metrics")
    assert status == 200
    assert b'vesselog_requests_total{upstream="a",dialect="openai",outcome="complete"} 1' in text
    assert (await asked("/metrics", "POST"))[0] == 405
    assert await asked("/v1/models") == (299, b"application")
