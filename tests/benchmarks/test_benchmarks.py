"""The benchmarks' own sums. That each of them works is shown by `scripts/bench --quick`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from house import ROOT

MODULES = ("catalogue", "chart", "children", "report", "rounds", "targets")
FIGURES = {
    **dict.fromkeys(("added_ms", "clients_ratio", "growth_mib", "p99_ms", "ratio"), 1.0),
    "us": 2.0,
}


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Its modules, which are scripts beside each other and no package."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    yield SimpleNamespace(**{name: __import__(name) for name in MODULES})
    for name in MODULES:
        del sys.modules[name]


def results(benchmarks: Any, *rounds: float, **of_one: float) -> Any:
    """Each measurement of a full run has the same figures in each round, times a factor."""
    found = benchmarks.rounds.Results()
    for each in benchmarks.catalogue.measurements(quick=False):
        found.figures[each.name] = [
            {name: value * factor for name, value in {**FIGURES, **of_one}.items()}
            for factor in rounds
        ]
    return found


def test_every_target_is_measured_by_a_full_run(benchmarks: Any) -> None:
    verdicts = benchmarks.targets.judge(results(benchmarks, 1.0))
    assert [verdict.target.measure for verdict in verdicts if verdict.met is None] == []


def test_a_quick_run_measures_the_same_things(benchmarks: Any) -> None:
    quick, full = (
        {each.name.rstrip("0123456789 ") for each in benchmarks.catalogue.measurements(quick=quick)}
        for quick in (True, False)
    )
    assert {name for name in full - quick if not name.startswith("growth ")} == set()


def test_ratios_are_taken_within_a_round(benchmarks: Any) -> None:
    found = benchmarks.rounds.Results(
        figures={
            "a": [{"us": 1.0}, {"us": 20.0}, {"us": 3.0}],
            "b": [{"us": 2.0}, {"us": 10.0}, {"us": 3.0}],
        }
    )
    assert vars(found.ratio("a", "b", "us")) == {"median": 1.0, "low": 0.5, "high": 2.0}
    assert found.ratio("a", "c", "us") is None


def test_a_target_is_judged_by_its_median(benchmarks: Any) -> None:
    (target,) = (each for each in benchmarks.targets.TARGETS if each.measure.startswith("replay"))
    for factors, met in (((1, 4, 90), True), ((1, 4.1, 90), False)):
        found = results(benchmarks, *factors)
        (verdict,) = (each for each in benchmarks.targets.judge(found) if each.target is target)
        assert verdict.met is met


def test_the_report_tells_what_is_missing_and_what_failed(benchmarks: Any) -> None:
    found = benchmarks.rounds.Results(
        skipped={"burst litellm": "not installed: litellm"}, failed={"import": "it\nbroke"}
    )
    verdicts = benchmarks.targets.judge(found)
    text = benchmarks.report.as_markdown(found, verdicts, {"quick": True, "rounds": 1})
    assert text.count("| not measured |") == len(verdicts)
    assert "- burst litellm: not installed: litellm" in text
    assert "- import: it broke" in text
    assert "its figures mean little" in text


def test_the_chart_is_drawn_of_what_was_measured(benchmarks: Any) -> None:
    found = results(benchmarks, 1.0)
    root = ET.fromstring(benchmarks.chart.chart(found))
    words = "".join(root.itertext())
    assert "vesselog, fast" in words
    assert "1.0 × recorded" in words
    del found.figures["paced floor"]
    assert benchmarks.chart.chart(found) is None
