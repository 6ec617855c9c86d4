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
    "litellm",
    "ollama",
    "openai",
    "orjson",
    "pydantic",
)


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
            }
            for verdict in verdicts
        ],
        "measurements": results.figures,
        "skipped": results.skipped,
        "failed": results.failed,
    }


def as_markdown(results: Results, verdicts: Sequence[Verdict], run: dict[str, Any]) -> str:
    """The targets, then what each measurement gave."""
    size = "A quick run: it shows that the benchmarks work, its figures mean little. "
    lines = [
        "# Benchmarks",
        "",
        f"{size if run['quick'] else ''}Medians of {run['rounds']} interleaved rounds, least and "
        "greatest in brackets. Ratios are taken within a round. "
        f"{', '.join(f'{key} {value}' for key, value in _machine().items())}.",
        "",
        "| measure | target | measured | |",
        "|---|---|---|---|",
    ]
    lines += [_target_row(verdict) for verdict in verdicts]
    for title, names in (("Without HTTP", _figure_names(results)),):
        lines += ["", f"## {title}", "", *_figures_table(results, names)]
    for title, gone in (("Skipped", results.skipped), ("Failed", results.failed)):
        if gone:
            lines += ["", f"## {title}", ""]
            lines += [f"- {name}: {reason}" for name, reason in gone.items()]
    return "\n".join(lines) + "\n"


def _figure_names(results: Results) -> list[str]:
    return list(results.figures)


def _figures_table(results: Results, names: Sequence[str]) -> list[str]:
    rows = ["| measurement | figures |", "|---|---|"]
    for name in names:
        figures = [
            f"{figure} {_number(spread.median)} [{_number(spread.low)}, {_number(spread.high)}]"
            for figure, value in results.figures[name][0].items()
            if isinstance(value, int | float)
            and (spread := results.spread(name, figure)) is not None
        ]
        rows.append(f"| {name} | {' · '.join(figures)} |")
    return rows


def _target_row(verdict: Verdict) -> str:
    target = verdict.target
    space = "" if target.unit == "×" else " "
    limit = f"≤ {target.limit:g}{space}{target.unit}"
    verdicts = {True: "met", False: "not met", None: "not measured"}
    return f"| {target.measure} | {limit} | {_measured(verdict.spread, space + target.unit)} | {verdicts[verdict.met]} |"


def _measured(spread: Spread | None, unit: str) -> str:
    if spread is None:
        return "–"
    return f"{_number(spread.median)}{unit} [{_number(spread.low)}, {_number(spread.high)}]"


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
