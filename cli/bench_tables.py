"""Prints the results of `vesselog bench` as tables for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from .bench_results import SHARES, ClientResults, percentile
from .format_bytes import format_bytes
from .output import DIM, print_line, print_note, print_table

__all__ = ["print_comparison", "print_one_client"]

_HEADINGS = ("P50", "P95", "P99", "WORST")


def print_one_client(results: ClientResults) -> None:
    """Print every percentile of one client."""
    rates = f"tokens/s of a stream ({'provider' if results.by_provider else 'measured'})"
    print_table(
        ("", *_HEADINGS),
        [
            ("time to first chunk", *_time_columns(results.first)),
            ("time between chunks", *_time_columns(results.gaps)),
            ("whole answer", *_time_columns(results.whole)),
            (rates, *_rate_columns(results.rates)),
        ],
    )
    for line in ("", _streams(results), _total(results), _machine(results)):
        print_line(line)
    _errors({"": results})


def print_comparison(by_client: Mapping[str, ClientResults]) -> None:
    """Print a row for each client."""
    rows = [
        (
            client,
            _counted(results.statuses),
            f"{results.outcomes['complete']}/{results.streams}",
            *_time_columns(results.first)[:2],
            *_time_columns(results.gaps)[:2],
            _time_columns(results.whole)[0],
            _rate_columns(results.rates)[0],
            _rate(results.tokens_per_second),
            f"{sum(each.cpu for each in results.used):.2f} s",
            _memory(results),
        )
        for client, results in by_client.items()
    ]
    headings = (
        "CLIENT",
        "HTTP",
        "COMPLETE",
        "FIRST P50",
        "FIRST P95",
        "GAP P50",
        "GAP P95",
        "WHOLE P50",
        "TOKENS/S P50",
        "ALL STREAMS",
        "CPU",
        "MEMORY (GREW)",
    )
    print_table(headings, rows, fold=True)
    if not all(results.by_provider for results in by_client.values()):
        print_note("tokens/s of a stream are measured: the server does not report its own", DIM)
    _errors(by_client)


def _time_columns(values: Sequence[float]) -> list[str]:
    return [_time(percentile(share, values)) if values else "-" for share in SHARES]


def _rate_columns(values: Sequence[float]) -> list[str]:
    return [
        _rate(percentile(share, values, more_is_better=True) if values else None)
        for share in SHARES
    ]


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _streams(results: ClientResults) -> str:
    rounds = len(results.used)
    at_once = results.streams // rounds
    in_rounds = f"{rounds} round{'' if rounds == 1 else 's'}"
    return (
        f"{results.streams} streams ({at_once} at once, {in_rounds}): "
        f"{_counted(results.outcomes)} · HTTP {_counted(results.statuses)}"
    )


def _total(results: ClientResults) -> str:
    counts = [f"{results.chunks} chunks"]
    if results.tokens is not None:
        counts.append(f"{results.tokens} tokens")
    text = f"{', '.join(counts)} in {sum(results.spans):.2f} s"
    rate = results.tokens_per_second
    return text if rate is None else f"{text}: {rate:.1f} tokens/s in total"


def _machine(results: ClientResults) -> str:
    threads = _threads(results)
    how = "one event loop" if threads == 1 else f"{threads} threads"
    cpu = sum(each.cpu for each in results.used)
    return f"CPU {cpu:.2f} s in {how} · memory {_memory(results, ' for the streams')}"


def _threads(results: ClientResults) -> int:
    return max((each.threads for each in results.used), default=0)


def _memory(results: ClientResults, what: str = "") -> str:
    """The peak of the process, and how much it grew during the streams, which `what` says."""
    record = results.record()
    if record["peak_bytes"] is None:
        return "unknown"
    streams = format_bytes(record["streams_bytes"] or 0)
    return f"{format_bytes(record['peak_bytes'])} ({streams}{what})"


def _errors(by_client: Mapping[str, ClientResults]) -> None:
    for client, results in by_client.items():
        for kind, count in results.errors.most_common():
            print_line(f"{client + ': ' if client else ''}{count} × {kind}")


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{count} × {name}" for name, count in counts.most_common()) or "-"
