"""Figures of the calls that pass through a server, as Prometheus reads them.

https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format. A read of a call
costs one look at the clock and three additions; labels are looked up once per call.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from time import perf_counter

__all__ = ["CallMeter", "Metrics"]

# Seconds: first chunks take from milliseconds (a cache) to minutes (a model that is loaded first).
_FIRST = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_GAPS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

_Labels = tuple[tuple[str, str], ...]


class _Histogram:
    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, counts: Iterable[int], total: float) -> None:
        self.counts = [one + other for one, other in zip(self.counts, counts, strict=True)]
        self.total += total

    def lines(self, name: str, labels: _Labels) -> Iterator[str]:
        count = 0
        for bound, more in zip((*map(_number, self.bounds), "+Inf"), self.counts, strict=True):
            count += more
            yield f"{name}_bucket{_written((*labels, ('le', bound)))} {count}"
        yield f"{name}_sum{_written(labels)} {_number(self.total)}"
        yield f"{name}_count{_written(labels)} {count}"


class _Series:
    """Figures of the calls of one upstream in one dialect. By outcome: when a call has ended."""

    __slots__ = ("bytes", "chunks", "labels", "outcomes", "running")

    def __init__(self, labels: _Labels) -> None:
        self.labels = labels
        self.running = self.chunks = self.bytes = 0
        self.outcomes: dict[str, tuple[_Histogram, _Histogram, list[int]]] = {}

    def of(self, outcome: str) -> tuple[_Histogram, _Histogram, list[int]]:
        if outcome not in self.outcomes:
            self.outcomes[outcome] = _Histogram(_FIRST), _Histogram(_GAPS), [0]
        return self.outcomes[outcome]


class CallMeter:
    """Measures one call. Its time begins now."""

    __slots__ = ("_begun", "_clock", "_first", "_gap_sum", "_gaps", "_last", "_over", "_series")

    def __init__(self, series: _Series, clock: Callable[[], float]) -> None:
        self._series = series
        self._clock = clock
        self._begun = clock()
        self._first: float | None = None
        self._last = 0.0
        self._gaps = [0] * (len(_GAPS) + 1)
        self._gap_sum = 0.0
        self._over = False
        series.running += 1

    def read(self, chunks: int, size: int) -> None:
        """So many chunks, in so many bytes, arrived together."""
        now = self._clock()
        series = self._series
        series.chunks += chunks
        series.bytes += size
        if not chunks:
            return
        if self._first is None:
            self._first = now - self._begun
        else:
            gap = now - self._last
            self._gaps[bisect_left(_GAPS, gap)] += 1
            self._gap_sum += gap
        self._last = now

    def more(self, chunks: int, size: int) -> None:
        """So many more chunks were in the read that was counted last."""
        self._series.chunks += chunks
        self._series.bytes += size

    def end(self, outcome: str) -> None:
        """The call has ended; a second time this does nothing."""
        if self._over:
            return
        self._over = True
        self._series.running -= 1
        first, gaps, calls = self._series.of(outcome)
        calls[0] += 1
        gaps.add(self._gaps, self._gap_sum)
        if self._first is not None:
            first.counts[bisect_left(_FIRST, self._first)] += 1
            first.total += self._first


class Metrics:
    """The figures since this object was made. For one event loop: nothing is locked."""

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._series: dict[tuple[str, str], _Series] = {}

    def begin(self, upstream: str, dialect: str | None) -> CallMeter:
        """A call to this upstream begins; dialect: its route's, None for an unknown one."""
        key = upstream, dialect or "unknown"
        if key not in self._series:
            self._series[key] = _Series((("upstream", key[0]), ("dialect", key[1])))
        return CallMeter(self._series[key], self._clock)

    def text(self) -> str:
        """All figures in the text format."""
        series = tuple(self._series.values())
        lines = [
            *_described("vesselog_requests_total", "counter", "Calls that have ended."),
            *(
                f"vesselog_requests_total{_written((*each.labels, ('outcome', name)))} {calls[0]}"
                for each in series
                for name, (_, _, calls) in each.outcomes.items()
            ),
        ]
        for name, kind, text in (
            ("running", "gauge", "Calls that run now."),
            ("chunks", "counter", "Chunks received from upstreams."),
            ("bytes", "counter", "Bytes of answers received from upstreams."),
        ):
            full = f"vesselog_{name}" + ("" if kind == "gauge" else "_total")
            lines += _described(full, kind, text)
            lines += (f"{full}{_written(each.labels)} {getattr(each, name)}" for each in series)
        for index, (name, text) in enumerate(
            (
                ("first_chunk_seconds", "From the request to the first chunk."),
                ("chunk_gap_seconds", "Between two reads that brought chunks."),
            )
        ):
            full = f"vesselog_{name}"
            lines += _described(full, "histogram", text)
            for each in series:
                for outcome, figures in each.outcomes.items():
                    histogram = figures[index]
                    assert isinstance(histogram, _Histogram)  # noqa: S101 - the first two are
                    lines += histogram.lines(full, (*each.labels, ("outcome", outcome)))
        return "\n".join([*lines, ""])


def _described(name: str, kind: str, text: str) -> tuple[str, str]:
    return f"# HELP {name} {text}", f"# TYPE {name} {kind}"


def _written(labels: _Labels) -> str:
    escaped = (
        (name, value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n"))
        for name, value in labels
    )
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped) + "}"


def _number(value: float) -> str:
    return f"{value:.9g}"
