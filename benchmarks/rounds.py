"""Measurements, run in rounds.

Each round runs every measurement once, so that what disturbs the machine for a while disturbs all
of them alike.
"""

from __future__ import annotations

import importlib.util
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from children import ChildError, Figures, measure

__all__ = ["Measurement", "Results", "Spread", "run"]


@dataclass(frozen=True)
class Measurement:
    """One function of one script, with its settings.

    needs: modules without which it is skipped. python: the interpreter of another environment, for
    what cannot be installed beside the rest. once: in the first round only, it takes long.
    """

    name: str
    script: str
    function: str
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    needs: tuple[str, ...] = ()
    python: str | None = None
    once: bool = False

    @property
    def missing(self) -> str | None:
        """Why it cannot be run here."""
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
    """What was measured: the figures of each round by the measurement's name; what was not, why."""

    figures: dict[str, list[Figures]] = field(default_factory=dict[str, list[Figures]])
    skipped: dict[str, str] = field(default_factory=dict[str, str])
    failed: dict[str, str] = field(default_factory=dict[str, str])

    def spread(self, name: str, figure: str) -> Spread | None:
        """One figure of a measurement over the rounds."""
        rounds = self.figures.get(name)
        return Spread.of([each[figure] for each in rounds]) if rounds else None

    def ratio(self, name: str, against: str, figure: str) -> Spread | None:
        """Two measurements' figures, divided round by round."""
        ours, theirs = self.figures.get(name), self.figures.get(against)
        if not ours or not theirs:
            return None
        pairs = zip(ours, theirs, strict=False)
        return Spread.of([one[figure] / other[figure] for one, other in pairs])


def run(measurements: Sequence[Measurement], rounds: int) -> Results:
    """Run them all; tells on stderr how far it is. One that fails is not tried again."""
    results = Results()
    ready: list[Measurement] = []
    for each in measurements:
        if each.missing:
            results.skipped[each.name] = each.missing
            _tell(f"SKIPPED {each.name}: {each.missing}")
        else:
            ready.append(each)
    for turn in range(1, rounds + 1):
        for each in ready:
            over = each.name in results.skipped or each.name in results.failed
            if over or (each.once and turn > 1):
                continue
            _tell(f"round {turn}/{rounds}: {each.name}")
            try:
                figures = measure(each.script, each.function, each.settings, each.python)
            except ChildError as error:
                results.failed[each.name] = str(error)
                _tell(f"FAILED {each.name}: {error}")
                continue
            if "skipped" in figures:
                results.skipped[each.name] = figures["skipped"]
                _tell(f"SKIPPED {each.name}: {figures['skipped']}")
            else:
                results.figures.setdefault(each.name, []).append(figures)
    return results


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
