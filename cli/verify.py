"""`vesselog verify`: checks recordings for damage, and whether they still decode the same way."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import Commands, add_json, add_lookup
from .error_advice import SALVAGE
from .exit_status import EPILOG, ExitStatus
from .find_recording import find_recording
from .output import print_error, print_json, print_line, print_note

if TYPE_CHECKING:
    from ..maintenance.verify import VerifyReport

__all__ = ["add"]

# The verdicts, in the words of the summary.
_OK, _DAMAGED, _DRIFTING, _UNREADABLE = "ok", "damaged", "decoding differently", "unreadable"


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "verify",
        help="check recordings for damage",
        description="Check recordings: the checksum and number of every line, the bytes of every "
        "call, and whether the installed vessels still decode its frames to the same chunks. Of "
        "the recordings in a folder only those that are not sound are printed, then a summary. The "
        "exit status is 1 if a recording is damaged, 6 if none is but one decodes differently now.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        help="a recording (its file, its session name, or last), or a folder of them",
    )
    parser.add_argument(
        "--no-decode",
        action="store_true",
        help="check only for damage; do not decode the frames again",
    )
    add_lookup(parser)
    add_json(parser, "the reports")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check every file, also after one that cannot be read; returns the exit status."""
    from ..core.errors import RecordingError
    from ..maintenance.verify import verify

    verdicts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    advice: set[str] = set()
    for name, in_folder in _named(arguments.files):
        try:
            path = find_recording(name, arguments.recordings)
            report = verify(path, decode=not arguments.no_decode)
        except RecordingError as error:
            verdicts[_UNREADABLE] += 1
            print_error(error.message)
            if arguments.json:
                print_json({"path": name, "ok": False, "error": error.to_record()})
            continue
        verdict = _OK if report.ok else _DAMAGED
        if report.ok and report.drifting:
            verdict = _DRIFTING
        verdicts[verdict] += 1
        advice |= _advice(report, verdict)
        sizes.update(_sizes(report))
        if arguments.json:
            print_json(report.to_dict())
        elif verdict != _OK or not in_folder:
            _print_report(report)
    if not arguments.json and verdicts.total() > 1:
        order = (_OK, _DAMAGED, _DRIFTING, _UNREADABLE)
        counts = ", ".join(f"{verdicts[each]} {each}" for each in order if verdicts[each])
        print_line(f"{verdicts.total()} recordings: {counts}; {_counted(sizes)}")
    if not arguments.json:
        for each in sorted(advice):
            print_note(each)
    if verdicts[_DAMAGED] or verdicts[_UNREADABLE]:
        return ExitStatus.FAILURE
    return ExitStatus.DRIFT if verdicts[_DRIFTING] else ExitStatus.OK


def _advice(report: VerifyReport, verdict: str) -> set[str]:
    """What can be done about this file; nothing if it is no recording."""
    if verdict == _DRIFTING:
        return {"drift: `vesselog rederive FILE -o NEW.jsonl` decodes the recording again"}
    if verdict == _OK or not report.lines:
        return set()
    if {each.kind for each in report.findings if each.severity == "error"} == {"torn"}:
        return {"torn tail: `vesselog recover FILE` moves it to FILE.torn"}
    return {f"damaged: {SALVAGE}"}


def _named(names: list[str]) -> Iterator[tuple[str, bool]]:
    """What is to be checked, and whether it was named by its folder only."""
    from ..core.replay.recorded_requests import recordings_in

    for name in names:
        folder = Path(name)
        if not folder.is_dir():
            yield name, False
            continue
        found = recordings_in(folder)
        if not found:
            print_note(f"{folder} has no recordings (*.jsonl)")
        for path in found:
            yield str(path), len(found) > 1  # of a single one the report says more than a summary


def _sizes(report: VerifyReport) -> dict[str, int]:
    return {name: getattr(report, name) for name in ("lines", "calls", "frames", "chunks")}


def _counted(sizes: Mapping[str, int]) -> str:
    return ", ".join(
        f"{count} {name.removesuffix('s') if count == 1 else name}" for name, count in sizes.items()
    )


def _print_report(report: VerifyReport) -> None:
    errors = f"{report.errors} error{'' if report.errors == 1 else 's'}"
    verdict = "ok" if report.ok else f"DAMAGED ({errors})"
    if report.drifting:
        verdict += f", DRIFT ({report.drifting} of {report.decoded} calls decode differently now)"
    print_line(f"{report.path}: {verdict}; {_counted(_sizes(report))}")
    for finding in report.findings:
        place = f"line {finding.line}: " if finding.line is not None else ""
        print_line(f"  {finding.severity}: {place}{finding.message}")
