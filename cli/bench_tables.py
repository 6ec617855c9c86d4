"""What a `vesselog bench` measured, as tables for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from .bench_figures import SHARES, Tally, at_least
from .output import DIM, note, table, write
from .sizes import bytes_in_words

__all__ = ["compared", "single"]

_HEADINGS = ("P50", "P95", "P99", "WORST")


def single(tally: Tally) -> None:
    """One client, every percentile."""
    rates = f"tokens/s of a stream, by the {'provider' if tally.by_provider else 'clock'}"
    table(
        ("", *_HEADINGS),
        [
            ("time to first chunk", *_times(tally.first)),
            ("time between chunks", *_times(tally.gaps)),
            ("whole answer", *_times(tally.whole)),
            (rates, *_rates(tally.rates)),
        ],
    )
    write("\n" + "\n".join([_streams(tally), _total(tally), _machine(tally)]) + "\n")
    _errors({"": tally})


def compared(tallies: Mapping[str, Tally]) -> None:
    """A row for each client."""
    rows = [
        (
            client,
            _counted(tally.statuses),
            f"{tally.outcomes['complete']}/{tally.streams}",
            *_times(tally.first)[:2],
            *_times(tally.gaps)[:2],
            _times(tally.whole)[0],
            _rates(tally.rates)[0],
            _rate(tally.tokens_per_second),
            f"{sum(each.cpu for each in tally.taken):.2f} s",
            str(_threads(tally)),
            _memory(tally),
        )
        for client, tally in tallies.items()
    ]
    headings = (
        "CLIENT",
        "HTTP",
        "COMPLETE",
        "FIRST P50",
        "P95",
        "GAP P50",
        "P95",
        "WHOLE P50",
        "TOKENS/S P50",
        "ALL TOGETHER",
        "CPU",
        "THREADS",
        "MEMORY (OF STREAMS)",
    )
    table(headings, rows)
    if not all(tally.by_provider for tally in tallies.values()):
        note("tokens/s of a stream are by the clock: the server does not tell its own", DIM)
    _errors(tallies)


def _times(values: Sequence[float]) -> list[str]:
    return [_time(at_least(share, values)) if values else "-" for share in SHARES]


def _rates(values: Sequence[float]) -> list[str]:
    return [
        _rate(at_least(share, values, more_is_better=True) if values else None) for share in SHARES
    ]


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _streams(tally: Tally) -> str:
    rounds = len(tally.taken)
    at_once = tally.streams // rounds
    return (
        f"{tally.streams} streams ({at_once} at once, {rounds} round{'' if rounds == 1 else 's'}): "
        f"{_counted(tally.outcomes)} · HTTP {_counted(tally.statuses)}"
    )


def _total(tally: Tally) -> str:
    words = [f"{tally.chunks} chunks"]
    if tally.tokens is not None:
        words.append(f"{tally.tokens} tokens")
    text = f"{', '.join(words)} in {sum(tally.spans):.2f} s"
    rate = tally.tokens_per_second
    return text if rate is None else f"{text}: {rate:.1f} tokens/s altogether"


def _machine(tally: Tally) -> str:
    threads = _threads(tally)
    how = "one event loop" if threads == 1 else f"{threads} threads"
    cpu = sum(each.cpu for each in tally.taken)
    return f"CPU {cpu:.2f} s in {how} · memory {_memory(tally)}"


def _threads(tally: Tally) -> int:
    return max((each.threads for each in tally.taken), default=0)


def _memory(tally: Tally) -> str:
    record = tally.record()
    if record["peak_bytes"] is None:
        return "unknown"
    return (
        f"{bytes_in_words(record['peak_bytes'])} ({bytes_in_words(record['streams_bytes'] or 0)})"
    )


def _errors(tallies: Mapping[str, Tally]) -> None:
    for client, tally in tallies.items():
        for kind, count in tally.errors.most_common():
            write(f"{client + ': ' if client else ''}{count} × {kind}\n")


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{count} × {name}" for name, count in counts.most_common()) or "-"
