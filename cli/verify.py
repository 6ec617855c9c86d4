"""`vesselog verify`: whether recordings are what their writer wrote, and decode as they did."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import Commands, add_json
from .output import complain, json_line, write
from .statuses import EPILOG, ExitStatus

if TYPE_CHECKING:
    from ..core.truth.verify import VerifyReport

__all__ = ["add"]


def add(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "verify",
        help="check recordings for damage",
        description="Check recordings: every line's check and number, the bytes of each call, and "
        "whether the vessels installed now still make the same chunks of its frames. Exit status 1 "
        "if one of them is not sound, 6 if all are and one decodes differently today.",
        epilog=EPILOG,
    )
    parser.add_argument("files", metavar="FILE", type=Path, nargs="+", help="recordings")
    parser.add_argument("--no-decode", action="store_true", help="do not decode the frames again")
    add_json(parser, "the reports")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check each; one that cannot be read does not keep the others from being checked."""
    from ..core.errors import RecordingError
    from ..core.truth.verify import verify

    status = ExitStatus.OK
    for path in arguments.files:
        try:
            report = verify(path, decode=not arguments.no_decode)
        except RecordingError as error:
            complain(error.message)
            status = ExitStatus.FAILURE
            continue
        if not report.ok:
            status = ExitStatus.FAILURE
        elif report.drifting and status is ExitStatus.OK:
            status = ExitStatus.DRIFT
        if arguments.json:
            json_line(report.to_dict())
        else:
            _tell(report)
    return status


def _tell(report: VerifyReport) -> None:
    counts = ", ".join(
        f"{count} {name if count != 1 else name.removesuffix('s')}"
        for name, count in (
            ("lines", report.lines),
            ("calls", report.calls),
            ("frames", report.frames),
            ("chunks", report.chunks),
        )
    )
    verdict = "sound" if report.ok else f"NOT SOUND ({report.errors} found)"
    if report.drifting:
        verdict += f", DRIFT in {report.drifting} of {report.decoded} decoded again"
    write(f"{report.path}: {verdict}; {counts}\n")
    for finding in report.findings:
        place = f"line {finding.line}: " if finding.line is not None else ""
        write(f"  {finding.severity}: {place}{finding.message}\n")
