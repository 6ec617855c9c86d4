"""What must be reached, each with the figures that tell whether it is.

A target is a ratio of two measurements of the same round, or a figure that needs no comparison
(milliseconds of latency, MiB of growth). No run fails on one: they are printed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rounds import Results, Spread

__all__ = ["TARGETS", "Target", "Verdict", "judge"]


_LATENCY_MS = 20


@dataclass(frozen=True)
class Target:
    """unit: "×", "ms" or "MiB". limit: the most that is good. measured: None if it was not run.

    note: what else there is to say of it.
    """

    measure: str
    limit: float
    measured: Callable[[Results], Spread | None]
    unit: str = "×"
    note: Callable[[Results], str] = lambda _: ""


@dataclass(frozen=True)
class Verdict:
    """A target with what was measured."""

    target: Target
    spread: Spread | None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the median is within the limit; None if it was not measured."""
        return None if self.spread is None else self.spread.median <= self.target.limit


def judge(results: Results) -> list[Verdict]:
    """Every target, in the order of the table."""
    return [Verdict(target, target.measured(results), target.note(results)) for target in TARGETS]


def _figure(name: str, figure: str) -> Callable[[Results], Spread | None]:
    return lambda results: results.spread(name, figure)


def _ratio(name: str, against: str, figure: str = "us") -> Callable[[Results], Spread | None]:
    return lambda results: results.ratio(name, against, figure)


def _flat(prefix: str) -> Callable[[Results], Spread | None]:
    """The dearest of these against the cheapest, round by round."""

    def measured(results: Results) -> Spread | None:
        columns = [
            [each["us"] for each in rounds]
            for name, rounds in results.figures.items()
            if name.startswith(prefix)
        ]
        if len(columns) < 2:
            return None
        return Spread.of([max(costs) / min(costs) for costs in zip(*columns, strict=False)])

    return measured


def _most_streams(results: Results) -> str:
    """The largest crowd whose added latency is within the limit."""
    prefix = "crowd vesselog-fast "
    good = [
        int(name.removeprefix(prefix))
        for name in results.figures
        if name.startswith(prefix)
        and (spread := results.spread(name, "p99_ms")) is not None
        and spread.median <= _LATENCY_MS
    ]
    return f"under {_LATENCY_MS} ms at {max(good)} streams" if good else ""


TARGETS = (
    Target(
        "bytes in, recorded, chunk out, without HTTP, against orjson.loads + os.write",
        7,
        _figure("pipeline openai", "ratio"),
    ),
    Target(
        "paced, recorded, against the unrecorded httpx + httpx-sse loop",
        1.1,
        _ratio("paced vesselog", "paced httpx"),
    ),
    Target(
        "paced, recorded with `fast`, against the floor client",
        1.6,
        _ratio("paced vesselog-fast", "paced floor"),
    ),
    Target(
        "paced, recorded, against the openai SDK unrecorded",
        0.55,
        _ratio("paced vesselog", "paced openai"),
    ),
    Target("the same with `fast`", 0.3, _ratio("paced vesselog-fast", "paced openai")),
    Target(
        "paced, recorded, against litellm unrecorded",
        0.15,
        _ratio("paced vesselog", "paced litellm"),
    ),
    Target("the same with `fast`", 0.08, _ratio("paced vesselog-fast", "paced litellm")),
    Target(
        "burst, recorded, against the unrecorded httpx + httpx-sse loop",
        1.1,
        _ratio("burst vesselog", "burst httpx"),
    ),
    Target("the same with `fast`", 0.5, _ratio("burst vesselog-fast", "burst httpx")),
    Target(
        "added latency p99 of a paced chunk at 400 recorded streams with `fast` on one core",
        _LATENCY_MS,
        _figure("crowd vesselog-fast 400", "p99_ms"),
        "ms",
        _most_streams,
    ),
    Target(
        "durability `interval` against `process`, CPU per chunk, paced",
        1.15,
        _ratio("paced vesselog-interval", "paced vesselog"),
    ),
    Target(
        "replay at full speed against orjson.loads of the same lines",
        4,
        _figure("replay", "ratio"),
    ),
    Target(
        "memory growth over one stream of many chunks, its text apart",
        8,
        _figure("growth one stream", "growth_mib"),
        "MiB",
    ),
    Target(
        "memory growth over many streams in one client",
        8,
        _figure("growth many streams", "growth_mib"),
        "MiB",
    ),
    Target(
        "first chunk of a session: what recording adds",
        0.5,
        _figure("first chunk", "added_ms"),
        "ms",
    ),
    Target(
        "`import vesselog` against httpx, pydantic, orjson and one model class",
        1.35,
        _figure("import", "ratio"),
    ),
    Target(
        "the same with its clients: `from vesselog import AsyncClient, Client`",
        1.35,
        _figure("import", "clients_ratio"),
    ),
    Target(
        "cost per chunk at 10, 100, 1,000 streams, the dearest against the cheapest",
        1.3,
        _flat("streams "),
    ),
    Target(
        "cost per chunk after 1, 100, 10,000 chunks of the same answer, likewise",
        1.3,
        _flat("earlier "),
    ),
)
