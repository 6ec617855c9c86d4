"""Measures what recorded streaming costs. Run by scripts/bench.

All figures of a report come from one run on one machine; ratios are what can be compared with
another. The exit status tells whether the benchmarks work, never how good the figures are.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from catalogue import measurements
from chart import chart
from report import as_json, as_markdown
from rounds import run
from targets import judge

_RESULTS = Path(__file__).resolve().parent / "results"


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small and short: do they work?")
    parser.add_argument("--rounds", type=int, help="how often each is measured (5; quick: 1)")
    parser.add_argument(
        "--only", metavar="TEXT", action="append", help="measurements whose name has this in it"
    )
    parser.add_argument("--list", action="store_true", help="name the measurements, run none")
    parser.add_argument(
        "--output",
        metavar="DIR",
        type=Path,
        help="where the report goes beside stdout (a full run: benchmarks/results)",
    )
    arguments = parser.parse_args()
    chosen = [
        each
        for each in measurements(quick=arguments.quick)
        if not arguments.only or any(text in each.name for text in arguments.only)
    ]
    if arguments.list:
        print("\n".join(each.name for each in chosen))
        return 0
    if not chosen:
        parser.error(f"nothing is named like {' or '.join(arguments.only)}; see --list")
    rounds = arguments.rounds or (1 if arguments.quick else 5)
    start = time.monotonic()
    results = run(chosen, rounds)
    verdicts = judge(results)
    facts = {"quick": arguments.quick, "rounds": rounds, "seconds": round(time.monotonic() - start)}
    text = as_markdown(results, verdicts, facts)
    print(text)
    whole = not (arguments.quick or arguments.only)
    folder: Path | None = arguments.output or (_RESULTS if whole else None)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.md").write_text(text)
        figures = as_json(results, verdicts, facts)
        (folder / "report.json").write_text(json.dumps(figures, indent=1) + "\n")
        if drawing := chart(results):
            (folder / "chart.svg").write_text(drawing)
        print(f"written to {folder}", file=sys.stderr)
    return 1 if results.failed else 0


if __name__ == "__main__":
    sys.exit(main())
