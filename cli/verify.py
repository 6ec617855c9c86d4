"""`vesselog verify`: checks recordings for damage, and whether they still decode the same way."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import Commands, add_json
from .exit_status import EPILOG, ExitStatus
from .output import print_error, print_json, print_line

if TYPE_CHECKING:
    from ..maintenance.verify import VerifyReport

__all__ = ["add"]


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "verify",
        help="check recordings for damage",
        description="Check recordings: the checksum and number of every line, the bytes of every "
        "call, and whether the installed vessels still decode its frames to the same chunks. The "
        "exit status is 1 if a recording is damaged, 6 if none is but one decodes differently now.",
        epilog=EPILOG,
    )
    parser.add_argument("files", metavar="FILE", type=Path, nargs="+", help="recordings")
    parser.add_argument(
        "--no-decode",
        action="store_true",
        help="check only for damage; do not decode the frames again",
    )
    add_json(parser, "the reports")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check every file, also after one that cannot be read; returns the exit status."""
    from ..core.errors import RecordingError
    from ..maintenance.verify import verify

    status = ExitStatus.OK
    for path in arguments.files:
        try:
            report = verify(path, decode=not arguments.no_decode)
        except RecordingError as error:
            print_error(error.message)
            status = ExitStatus.FAILURE
            continue
        if not report.ok:
            status = ExitStatus.FAILURE
        elif report.drifting and status is ExitStatus.OK:
            status = ExitStatus.DRIFT
        if arguments.json:
            print_json(report.to_dict())
        else:
            _print_report(report)
    return status


def _print_report(report: VerifyReport) -> None:
    counts = ", ".join(
        f"{count} {name if count != 1 else name.removesuffix('s')}"
        for name, count in (
            ("lines", report.lines),
            ("calls", report.calls),
            ("frames", report.frames),
            ("chunks", report.chunks),
        )
    )
    errors = f"{report.errors} error{'' if report.errors == 1 else 's'}"
    verdict = "ok" if report.ok else f"DAMAGED ({errors})"
    if report.drifting:
        verdict += f", DRIFT ({report.drifting} of {report.decoded} calls decode differently now)"
    print_line(f"{report.path}: {verdict}; {counts}")
    for finding in report.findings:
        place = f"line {finding.line}: " if finding.line is not None else ""
        print_line(f"  {finding.severity}: {place}{finding.message}")
