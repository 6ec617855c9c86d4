"""Measures what recorded streaming costs. Run by scripts/bench.

All figures of a report come from one run on one machine; only the ratios can be compared with
another machine's. The exit status tells whether the benchmarks work, not how good the figures are.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from chart import chart
from child_process import ChildError, measure
from earlier_commit import EarlierCommitError, unpacked
from measurements import Earlier, measurements
from report import as_json, as_markdown
from rounds import Measurement, run
from targets import judge

_RESULTS = Path(__file__).resolve().parent / "results"


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small and short: do they work?")
    parser.add_argument("--rounds", type=int, help="how often each is measured (5; quick: 1)")
    parser.add_argument(
        "--only", metavar="TEXT", action="append", help="measurements whose name contains this"
    )
    parser.add_argument(
        "--before",
        metavar="COMMIT",
        help="an earlier commit of this repository to measure beside the present code",
    )
    parser.add_argument("--list", action="store_true", help="name the measurements, run none")
    parser.add_argument(
        "--hops",
        metavar="CLIENT",
        nargs="?",
        const="vesselog-fast",
        help="only list the Python calls of one chunk, in order (of vesselog-fast)",
    )
    parser.add_argument(
        "--output",
        metavar="DIR",
        type=Path,
        help="where the report goes beside stdout (a full run: benchmarks/results)",
    )
    arguments = parser.parse_args()
    if arguments.hops:
        return _print_hops(arguments.hops)
    with ExitStack() as stack:
        earlier = _earlier(None if arguments.list else arguments.before, stack)
        chosen = [
            each
            for each in measurements(quick=arguments.quick, earlier=earlier)
            if not arguments.only or any(text in each.name for text in arguments.only)
        ]
        if not chosen:
            parser.error(f"no name contains {' or '.join(arguments.only)}; see --list")
        if arguments.list:
            print("\n".join(each.name for each in chosen))
            return 0
        return _measure(arguments, chosen)


def _earlier(commit: str | None, stack: ExitStack) -> Earlier:
    if commit is None:
        return Earlier()
    try:
        return Earlier(stack.enter_context(unpacked(commit)), unavailable=None)
    except EarlierCommitError as error:
        return Earlier(unavailable=str(error))


def _measure(arguments: argparse.Namespace, chosen: Sequence[Measurement]) -> int:
    rounds = arguments.rounds or (1 if arguments.quick else 5)
    start = time.monotonic()
    results = run(chosen, rounds)
    verdicts = judge(results)
    facts = {
        "quick": arguments.quick,
        "rounds": rounds,
        "seconds": round(time.monotonic() - start),
        "before": arguments.before,
    }
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


def _print_hops(client: str) -> int:
    try:
        print(measure("python_calls.py", "hops", {"client": client})["text"])
    except ChildError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
