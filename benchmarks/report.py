"""The report: as Markdown for people, as JSON for programs."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib import metadata
from typing import Any

from rounds import Results, Spread
from targets import Verdict

__all__ = ["as_json", "as_markdown"]

_PACKAGES = (
    "vesselog",
    "aiohttp",
    "httptools",
    "httpx",
    "httpx-aiohttp",
    "httpx-sse",
    "ollama",
    "openai",
    "orjson",
    "pydantic",
    "pydantic-ai-slim",
)
_LOADS = {
    "burst": "Burst: one stream after another, as fast as the client reads",
    "paced": "Paced: many streams at once, each at its own pace",
    "crowd": "Crowd: the paced load on one core, with more and more streams",
}
_NAMES = {
    "us": "CPU µs a chunk",
    "wall_us": "wall µs a chunk",
    "busy": "cores busy",
    "p50_ms": "added p50 ms",
    "p99_ms": "added p99 ms",
    "first_ms": "first chunk ms",
    "peak_mib": "peak MiB",
}


def as_json(results: Results, verdicts: Sequence[Verdict], run: dict[str, Any]) -> dict[str, Any]:
    """Everything that was measured, every round of it."""
    return {
        "run": run,
        "machine": _machine(),
        "targets": [
            {
                "measure": verdict.target.measure,
                "limit": verdict.target.limit,
                "unit": verdict.target.unit,
                "measured": None if verdict.spread is None else vars(verdict.spread),
                "met": verdict.met,
                "note": verdict.note,
            }
            for verdict in verdicts
        ],
        "measurements": results.figures,
        "skipped": results.skipped,
        "failed": results.failed,
    }


def as_markdown(results: Results, verdicts: Sequence[Verdict], run: dict[str, Any]) -> str:
    """The targets, then the figures of each measurement, then what could not be measured."""
    rounds = "one round" if run["rounds"] == 1 else f"{run['rounds']} interleaved rounds"
    lines = [
        "# Benchmarks",
        "",
        "A quick run: it shows that the benchmarks work; its figures mean little."
        if run["quick"]
        else f"Medians of {rounds}, the least and the greatest in brackets.",
        "Ratios are taken within a round.",
        f"{' · '.join(f'{key} {value}' for key, value in _machine().items())}.",
    ]
    if run["before"]:
        lines.append(f'"The commit before" and "before" mean {run["before"]}.')
    lines += ["", "## Targets", "", "| measure | target | measured | |", "|---|---|---|---|"]
    lines += [_target_row(each) for each in verdicts if each.target.limit is not None]
    lines += ["", "## Told, without a target", "", "| measure | measured | |", "|---|---|---|"]
    lines += [_told_row(each) for each in verdicts if each.target.limit is None]
    for load, title in _LOADS.items():
        lines += _load_table(results, load, title)
    rest = [name for name in results.figures if name.split()[0] not in _LOADS]
    lines += _rest_table(results, rest)
    skipped = [
        f"- {', '.join(names)}: {' '.join(reason.split())}"
        for reason, names in results.skipped_by_reason().items()
    ]
    failed = [f"- {name}: {' '.join(reason.split())}" for name, reason in results.failed.items()]
    for title, items in (("Skipped", skipped), ("Failed", failed)):
        if items:
            lines += ["", f"## {title}", "", *items]
    return "\n".join(lines) + "\n"


def _target_row(verdict: Verdict) -> str:
    target = verdict.target
    limit = f"≤ {target.limit:g} {target.unit}"
    said = {True: "met", False: "not met", None: "not measured"}[verdict.met]
    note = f": {_short(verdict.note)}" if verdict.note else ""
    return f"| {target.measure} | {limit} | {_measured(verdict)} | {said}{note} |"


def _told_row(verdict: Verdict) -> str:
    note = _short(verdict.note)
    if verdict.spread is None:
        note = f"not measured: {note}"
    return f"| {verdict.target.measure} | {_measured(verdict)} | {note} |"


def _measured(verdict: Verdict) -> str:
    if verdict.spread is None:
        return "–"
    spread, unit = verdict.spread, verdict.target.unit
    return f"{_number(spread.median)} {unit} [{_number(spread.low)}, {_number(spread.high)}]"


def _short(text: str) -> str:
    """Its last line, on which a traceback has the error."""
    return text.strip().rpartition("\n")[2]


def _load_table(results: Results, load: str, title: str) -> list[str]:
    """A row for each client: its ratios to the barest and to the httpx loop, then its figures."""
    names = [name for name in results.figures if name.startswith(f"{load} ")]
    if not names:
        return []
    figures = [figure for figure in _NAMES if figure in results.figures[names[0]][0]]
    heads = ["client", "× barest", "× httpx loop", *(_NAMES[figure] for figure in figures)]
    rows = ["", f"## {title}", "", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name in names:
        client = name.removeprefix(f"{load} ")
        # A crowd is compared with the barest client's crowd of the same size.
        size = f" {client.rpartition(' ')[2]}" if load == "crowd" else ""
        cells = [
            _cell(results.ratio(name, f"{load} barest{size}", "us")),
            _cell(results.ratio(name, f"{load} httpx{size}", "us")),
            *(_cell(results.spread(name, figure)) for figure in figures),
        ]
        rows.append(f"| {client} | {' | '.join(cells)} |")
    return rows


def _rest_table(results: Results, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    rows = ["", "## Other measurements", "", "| measurement | figures |", "|---|---|"]
    for name in names:
        figures = [
            f"{figure.replace('_', ' ')} {_cell(results.spread(name, figure))}"
            for figure in results.figures[name][0]
        ]
        rows.append(f"| {name} | {' · '.join(figures)} |")
    return rows


def _cell(spread: Spread | None) -> str:
    if spread is None:
        return "–"
    if spread.low == spread.high:
        return _number(spread.median)
    return f"{_number(spread.median)} [{_number(spread.low)}, {_number(spread.high)}]"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _machine() -> dict[str, str]:
    versions: dict[str, str] = {}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "Python": platform.python_version(),
        platform.system(): platform.machine(),
        "cores": str(os.cpu_count()),
        **versions,
    }
