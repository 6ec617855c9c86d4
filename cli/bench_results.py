"""The results of `vesselog bench`, computed from the times in its recordings.

A share of 0.95 means that 95 of 100 values were at least this good: the 95th percentile of a time,
and the 5th percentile of a rate.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["SHARES", "ClientResults", "ResourceUse", "percentile"]

SHARES = (0.5, 0.95, 0.99, 1.0)


@dataclass(frozen=True)
class ResourceUse:
    """What one round of one client used: CPU and wall time in seconds, peak memory in bytes.

    memory_before: the peak before the first stream. None if the system does not report memory.
    """

    cpu: float
    wall: float
    threads: int
    memory_before: int | None
    memory: int | None


@dataclass
class ClientResults:
    """All rounds of one client. Times are in seconds, rates in tokens per second.

    first: times to the first chunk. gaps: times between the chunks of a stream. whole: times to the
    end of the answer. rates: for each stream, the provider's own number where it gives one
    (`by_provider` is then true), else the measured one. spans: for each round, the time from its
    first request to its last end. chunks, tokens: the sums; tokens is None if no usage arrived.
    used: for each round.
    """

    first: list[float] = field(default_factory=list[float])
    gaps: list[float] = field(default_factory=list[float])
    whole: list[float] = field(default_factory=list[float])
    rates: list[float] = field(default_factory=list[float])
    spans: list[float] = field(default_factory=list[float])
    statuses: Counter[str] = field(default_factory=Counter[str])
    outcomes: Counter[str] = field(default_factory=Counter[str])
    errors: Counter[str] = field(default_factory=Counter[str])
    used: list[ResourceUse] = field(default_factory=list[ResourceUse])
    paths: list[Path] = field(default_factory=list[Path])
    by_provider: bool = True
    streams: int = 0
    chunks: int = 0
    tokens: int | None = None

    def add(self, path: Path, used: ResourceUse) -> None:
        """Add the round that this recording holds. Raises RecordingError."""
        from ..core.truth.recording import Recording

        self.used.append(used)
        self.paths.append(path)
        started: dict[Any, int] = {}
        last: dict[Any, int] = {}
        end = 0
        for line in Recording(path).lines():
            call, t = line.get("call"), int(line.get("t", 0))
            match line["type"]:
                case "request":
                    started[call] = t
                case "response":
                    self.statuses[str(line.get("status"))] += 1
                case "frame":
                    self._frame(len(line.get("chunks", ())), t, started[call], last.get(call))
                    if line.get("chunks"):
                        last[call] = t
                case "end":
                    end = max(end, t)
                    self._end(line, t - started[call])
                case _:
                    pass
        self.streams += len(started)
        if started:
            self.spans.append((end - min(started.values())) / 1e6)

    @property
    def tokens_per_second(self) -> float | None:
        """The tokens of all streams, divided by the time of all rounds."""
        return None if self.tokens is None or not sum(self.spans) else self.tokens / sum(self.spans)

    def record(self) -> dict[str, Any]:
        """All results as JSON values."""
        return {
            "streams": self.streams,
            "statuses": dict(self.statuses),
            "outcomes": dict(self.outcomes),
            "errors": dict(self.errors),
            "time_to_first_chunk": _shares(self.first),
            "inter_chunk": _shares(self.gaps),
            "whole": _shares(self.whole),
            "output_tokens_per_second": _shares(self.rates, more_is_better=True),
            "rates_by_provider": self.by_provider,
            "chunks": self.chunks,
            "output_tokens": self.tokens,
            "seconds": sum(self.spans),
            "total_tokens_per_second": self.tokens_per_second,
            "cpu_seconds": sum(each.cpu for each in self.used),
            "threads": max((each.threads for each in self.used), default=0),
            "peak_bytes": max((each.memory or 0 for each in self.used), default=0) or None,
            "streams_bytes": max(map(_growth, self.used), default=0) or None,
            "recordings": [str(path) for path in self.paths],
        }

    def _frame(self, chunks: int, t: int, started: int, last: int | None) -> None:
        if not chunks:
            return
        if last is None:
            self.first.append((t - started) / 1e6)
        else:
            self.gaps.append((t - last) / 1e6)
        self.gaps.extend([0.0] * (chunks - 1))
        self.chunks += chunks

    def _end(self, line: dict[str, Any], duration: int) -> None:
        self.outcomes[str(line.get("outcome"))] += 1
        error: dict[str, Any] | None = line.get("error")
        if error is not None:
            detail = error.get("status") or error.get("code") or error.get("phase")
            self.errors[f"{error.get('type')}{f' ({detail})' if detail else ''}"] += 1
            return
        self.whole.append(duration / 1e6)
        tokens = line.get("usage", {}).get("output_tokens")
        if tokens is not None:
            self.tokens = (self.tokens or 0) + tokens
        metrics: dict[str, Any] = line.get("metrics", {})
        rate = metrics.get("output_tokens_per_second")
        if rate is None:
            rate = metrics.get("clock_output_tokens_per_second")
            self.by_provider = False
        if rate is not None:
            self.rates.append(rate)


def percentile(share: float, values: Sequence[float], *, more_is_better: bool = False) -> float:
    """The value that this share of the values reaches."""
    ordered = sorted(values, reverse=more_is_better)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _shares(values: Sequence[float], *, more_is_better: bool = False) -> dict[str, float] | None:
    if not values:
        return None
    return {
        name: percentile(share, values, more_is_better=more_is_better)
        for name, share in zip(_names(SHARES), SHARES, strict=True)
    }


def _names(shares: Iterable[float]) -> list[str]:
    return ["worst" if share == 1 else f"p{share * 100:g}" for share in shares]


def _growth(used: ResourceUse) -> int:
    """Bytes by which the peak memory grew while the client streamed."""
    return (used.memory or 0) - (used.memory_before or 0)
