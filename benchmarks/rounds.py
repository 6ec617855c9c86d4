"""Runs measurements in rounds.

Each round runs every measurement once, so that whatever disturbs the machine for a while disturbs
all of them alike.
"""

from __future__ import annotations

import importlib.util
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from child_process import ChildError, Figures, measure

__all__ = ["Measurement", "Results", "Spread", "run"]


@dataclass(frozen=True)
class Measurement:
    """One function of one script, with its settings.

    needs: modules without which it is skipped. python: the interpreter of another environment, for
    what cannot be installed beside the rest. import_from: a folder whose packages come before the
    installed ones. unavailable: the reason why it cannot be run, where that is known beforehand.
    optional: its failure is a skip with a reason, since somebody else's code may have caused it.
    once: in the first round only, since it takes long.
    """

    name: str
    script: str
    function: str
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    needs: tuple[str, ...] = ()
    python: str | None = None
    import_from: Path | None = None
    unavailable: str | None = None
    optional: bool = False
    once: bool = False

    @property
    def reason_to_skip(self) -> str | None:
        """Why it cannot be run here."""
        if self.unavailable is not None:
            return self.unavailable
        if self.python is not None:
            return None
        gone = [each for each in self.needs if importlib.util.find_spec(each) is None]
        return f"not installed: {', '.join(gone)}" if gone else None


@dataclass(frozen=True)
class Spread:
    """The median of some rounds, and the least and greatest of them."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of these."""
        return cls(statistics.median(values), min(values), max(values))


@dataclass
class Results:
    """The figures of each round by the measurement's name; the reasons for what has none."""

    figures: dict[str, list[Figures]] = field(default_factory=dict[str, list[Figures]])
    skipped: dict[str, str] = field(default_factory=dict[str, str])
    failed: dict[str, str] = field(default_factory=dict[str, str])

    def spread(self, name: str, figure: str) -> Spread | None:
        """One figure of a measurement over the rounds."""
        rounds = self.figures.get(name)
        return Spread.of([each[figure] for each in rounds]) if rounds else None

    def ratio(self, name: str, against: str, figure: str) -> Spread | None:
        """One measurement's figure divided by another's, round by round."""
        dividends, divisors = self.figures.get(name), self.figures.get(against)
        if not dividends or not divisors:
            return None
        pairs = zip(dividends, divisors, strict=False)
        return Spread.of([one[figure] / other[figure] for one, other in pairs])

    def skipped_by_reason(self) -> dict[str, list[str]]:
        """The names of what was skipped, by the reason."""
        found: dict[str, list[str]] = {}
        for name, reason in self.skipped.items():
            found.setdefault(reason, []).append(name)
        return found

    def reason_for_none(self, name: str) -> str | None:
        """Why this measurement has no figures; None if it has some, or was not part of the run."""
        if name in self.figures:
            return None
        return self.skipped.get(name) or self.failed.get(name)


def run(measurements: Sequence[Measurement], rounds: int) -> Results:
    """Run them all, with progress on stderr. One that fails is not tried again."""
    results = Results()
    results.skipped = {
        each.name: reason for each in measurements if (reason := each.reason_to_skip) is not None
    }
    for reason, names in results.skipped_by_reason().items():
        _tell(f"SKIPPED {', '.join(names)}: {reason}")
    for number in range(1, rounds + 1):
        for each in measurements:
            over = each.name in results.skipped or each.name in results.failed
            if over or (each.once and number > 1):
                continue
            _tell(f"round {number}/{rounds}: {each.name}")
            _run_once(results, each)
    return results


def _run_once(results: Results, each: Measurement) -> None:
    try:
        figures = measure(
            each.script,
            each.function,
            each.settings,
            python=each.python,
            import_from=each.import_from,
        )
    except ChildError as error:
        if each.optional:
            _skip(results, each, str(error))
        else:
            results.failed[each.name] = str(error)
            _tell(f"FAILED {each.name}: {error}")
        return
    if "skipped" in figures:
        _skip(results, each, figures["skipped"])
    else:
        results.figures.setdefault(each.name, []).append(figures)


def _skip(results: Results, each: Measurement, reason: str) -> None:
    results.skipped[each.name] = reason
    _tell(f"SKIPPED {each.name}: {reason}")


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
