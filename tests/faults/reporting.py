"""What the fault tests tell at the end: figures, and what could not be injected on this machine.

The report of each test carries both, as properties of it: so they reach the process that prints
the summary also from a worker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

import pytest

__all__ = ["FIGURE", "MISSING", "Figure", "Mount", "told"]

Figure = Callable[[str], None]
Mount = Callable[..., Path]

# The names of the two properties.
FIGURE, MISSING = "figure", "missing"


def told(terminalreporter: pytest.TerminalReporter, name: str) -> Iterator[tuple[str, str]]:
    """The tests that have this property, and its values, in the order of the files and lines."""
    reports = chain.from_iterable(terminalreporter.stats.values())
    ends = [each for each in reports if getattr(each, "when", None) == "teardown"]
    for report in sorted(ends, key=lambda each: each.location[:2]):
        for key, value in report.user_properties:
            if key == name:
                yield report.location[2], value
