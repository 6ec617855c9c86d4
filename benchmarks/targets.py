"""What is to be reached, and what is told beside it, each with its figures.

Most are ratios of two measurements of the same round; the others need no comparison (milliseconds
of latency, MiB of growth, calls). No run fails because a target is missed: they are printed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rounds import Results, Spread

__all__ = ["TARGETS", "Target", "Verdict", "judge"]

_LATENCY_MS = 20


@dataclass(frozen=True)
class Target:
    """One row of the table.

    limit: the most that is good; None if the figure is only told. unit: "×", "ms", "MiB", "calls"
    or "% of a core". names: the measurements that it is taken from. note: what to say beside the
    figure.
    """

    measure: str
    limit: float | None
    names: tuple[str, ...]
    measured: Callable[[Results], Spread | None]
    unit: str = "×"
    note: Callable[[Results], str] = lambda _: ""


@dataclass(frozen=True)
class Verdict:
    """A target with what was measured."""

    target: Target
    spread: Spread | None
    note: str

    @property
    def met(self) -> bool | None:
        """Whether the median is within the limit; None without a limit or a measurement."""
        if self.spread is None or self.target.limit is None:
            return None
        return self.spread.median <= self.target.limit


def judge(results: Results) -> list[Verdict]:
    """Every target, in the order of the table."""
    return [_judge(target, results) for target in TARGETS]


def _judge(target: Target, results: Results) -> Verdict:
    spread = target.measured(results)
    if spread is not None:
        return Verdict(target, spread, target.note(results))
    reasons = (results.reason_for_none(name) for name in target.names)
    return Verdict(target, None, next(filter(None, reasons), "not part of this run"))


def _ratio(measure: str, limit: float | None, name: str, against: str) -> Target:
    """CPU per chunk of two measurements, divided."""
    return Target(
        measure, limit, (name, against), lambda results: results.ratio(name, against, "us")
    )


def _figure(measure: str, limit: float | None, name: str, figure: str, unit: str = "×") -> Target:
    return Target(measure, limit, (name,), lambda results: results.spread(name, figure), unit)


def _dearest_to_cheapest(measure: str, prefix: str) -> Target:
    """The dearest of these measurements against the cheapest, round by round."""

    def measured(results: Results) -> Spread | None:
        columns = [
            [each["us"] for each in rounds]
            for name, rounds in results.figures.items()
            if name.startswith(prefix)
        ]
        if len(columns) < 2:
            return None
        return Spread.of([max(costs) / min(costs) for costs in zip(*columns, strict=False)])

    return Target(measure, None, (), measured)


def _most_streams(results: Results) -> str:
    """The largest crowd whose added latency is low."""
    prefix = "crowd vesselog-fast "
    good = [
        int(name.removeprefix(prefix))
        for name in results.figures
        if name.startswith(prefix)
        and (spread := results.spread(name, "p99_ms")) is not None
        and spread.median <= _LATENCY_MS
    ]
    return f"under {_LATENCY_MS} ms at {max(good)} streams" if good else ""


def _latency_before(results: Results) -> str:
    spread = results.spread("paced vesselog-sync-fast before", "p50_ms")
    return f"the commit before: {spread.median:.3g} ms" if spread else ""


def _other_calls(results: Results) -> str:
    calls, after = (
        results.spread("calls vesselog-fast", name) for name in ("c_calls", "calls_after")
    )
    if calls is None or after is None:
        return ""
    return (
        f"and {calls.median:.3g} calls of C functions; "
        f"then {after.median:.3g} Python calls until the next read"
    )


_HTTPX_LOOP = "the unrecorded httpx + httpx-sse loop"

TARGETS = (
    _ratio(
        f"100 paced streams, recorded, httpx's transport, against {_HTTPX_LOOP}",
        1.1,
        "paced vesselog",
        "paced httpx",
    ),
    _ratio(
        "100 paced streams, recorded, `fast`, against the barest client",
        1.5,
        "paced vesselog-fast",
        "paced barest",
    ),
    _ratio(
        "the same against the openai SDK, which records nothing",
        0.3,
        "paced vesselog-fast",
        "paced openai",
    ),
    _ratio(
        "the same against litellm, which records nothing",
        0.12,
        "paced vesselog-fast",
        "paced litellm",
    ),
    _ratio(
        "the same against an aiohttp + json loop, which records nothing",
        1.0,
        "paced vesselog-fast",
        "paced aiohttp",
    ),
    _ratio(
        "the same against that loop where it writes each line to a file",
        None,
        "paced vesselog-fast",
        "paced aiohttp-file",
    ),
    *(
        _ratio(f"that loop, which records nothing, against {name}", None, "paced aiohttp", peer)
        for name, peer in (
            ("the barest client", "paced barest"),
            ("the openai SDK", "paced openai"),
            ("litellm", "paced litellm"),
        )
    ),
    _ratio(
        f"burst, recorded, httpx's transport, against {_HTTPX_LOOP}",
        1.7,
        "burst vesselog",
        "burst httpx",
    ),
    _ratio("the same with `fast`", 0.55, "burst vesselog-fast", "burst httpx"),
    _ratio(
        "sync client, 100 threads, `fast`, CPU per chunk against the commit before",
        1.0,
        "paced vesselog-sync-fast",
        "paced vesselog-sync-fast before",
    ),
    _ratio(
        "sync client, 100 threads, httpx's transport, CPU per chunk against the commit before",
        None,
        "paced vesselog-sync",
        "paced vesselog-sync before",
    ),
    Target(
        "sync client, 100 threads, `fast`, added latency p50",
        None,
        ("paced vesselog-sync-fast",),
        lambda results: results.spread("paced vesselog-sync-fast", "p50_ms"),
        "ms",
        _latency_before,
    ),
    Target(
        "Python calls for one chunk from the transport's bytes to the caller, `fast`",
        70,
        ("calls vesselog-fast",),
        lambda results: results.spread("calls vesselog-fast", "calls"),
        "calls",
        _other_calls,
    ),
    _figure(
        "200 followers of a stream in the writer's process, CPU beside handing out its chunks",
        10,
        "following in the writer's process",
        "beside_percent",
        "% of a core",
    ),
    _figure("their wake-up, p50", 5, "following in the writer's process", "p50_ms", "ms"),
    _figure(
        "200 followers of a stream in one other process, CPU beside handing out its chunks",
        10,
        "following in one process",
        "beside_percent",
        "% of a core",
    ),
    _figure("their wake-up, p50", 5, "following in one process", "p50_ms", "ms"),
    _figure(
        "200 followers of a stream in eight other processes, CPU beside handing out its chunks",
        10,
        "following in several processes",
        "beside_percent",
        "% of a core",
    ),
    _figure("their wake-up, p50", 5, "following in several processes", "p50_ms", "ms"),
    _figure(
        "bytes in, recorded, chunk out, without HTTP, against `orjson.loads` + `os.write`",
        None,
        "pipeline openai",
        "ratio",
    ),
    _figure(
        "one session of 10,000 calls: CPU of the last 1,000 against the first 1,000",
        1.2,
        "conversation",
        "ratio",
    ),
    _ratio(
        "durability `interval` against `process`, CPU per chunk, 100 paced streams",
        None,
        "paced vesselog-interval",
        "paced vesselog",
    ),
    Target(
        "added latency p99 of a paced chunk at 400 recorded streams on one core, `fast`",
        None,
        ("crowd vesselog-fast 400",),
        lambda results: results.spread("crowd vesselog-fast 400", "p99_ms"),
        "ms",
        _most_streams,
    ),
    _figure(
        "replay at full speed against `orjson.loads` of the same lines", None, "replay", "ratio"
    ),
    _figure(
        "memory growth over one stream of 1,000,000 chunks, less its text",
        None,
        "growth one stream",
        "growth_mib",
        "MiB",
    ),
    _figure(
        "memory growth over 10,000 streams in one client",
        None,
        "growth many streams",
        "growth_mib",
        "MiB",
    ),
    _figure(
        "first chunk of a session: the time that recording adds",
        None,
        "first chunk",
        "added_ms",
        "ms",
    ),
    _figure(
        "`import vesselog` against httpx, pydantic, orjson and one model class",
        None,
        "import",
        "ratio",
    ),
    _figure("the same, with both clients imported", None, "import", "clients_ratio"),
    _dearest_to_cheapest(
        "cost per chunk at 10, 100, 1,000 streams, the dearest against the cheapest", "streams "
    ),
    _dearest_to_cheapest(
        "cost per chunk after 1, 100, 10,000 chunks of the same answer, likewise", "earlier "
    ),
)
