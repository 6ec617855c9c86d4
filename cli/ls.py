"""`vesselog ls`: lists the recordings in a folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .arguments import Commands, add_json
from .exit_status import ExitStatus
from .output import print_error, print_json, print_note, print_table

__all__ = ["add"]

_DEFAULT = Path("recordings")
_MOST_MODELS = 3


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "ls",
        help="list the recordings in a folder",
        description="List the recordings in a folder, oldest first.",
    )
    parser.add_argument(
        "folder", metavar="DIR", type=Path, nargs="?", default=_DEFAULT, help="default: recordings"
    )
    add_json(parser, "the recordings")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the list; returns the exit status."""
    from ..core.errors import RecordingError

    folder = arguments.folder
    if folder == _DEFAULT and not folder.exists():
        print_note("nothing is recorded yet: the folder recordings does not exist")
        return ExitStatus.OK
    if not folder.is_dir():
        raise RecordingError(f"{folder} is not a folder")
    found: list[dict[str, Any]] = []
    status = ExitStatus.OK
    for path in sorted(folder.glob("*.jsonl")):
        try:
            found.append(_summary(path))
        except RecordingError as error:
            print_error(error.message)
            status = ExitStatus.FAILURE
    found.sort(key=lambda each: each["opened"] or "")
    if arguments.json:
        for each in found:
            print_json(each)
    elif found:
        print_table(("OPENED (UTC)", "CALLS", "ENDED", "SIZE", "MODELS", "FILE"), map(_row, found))
    elif status is ExitStatus.OK:
        print_note(f"{folder} has no recordings (*.jsonl)")
    return status


def _summary(path: Path) -> dict[str, Any]:
    """Summarise a recording; reads the whole file once. Raises RecordingError."""
    from ..core.truth.recording import Recording

    recording = Recording(path)
    opened: str | None = None
    models: dict[str, None] = {}
    outcomes: dict[Any, str] = {}
    for line in recording.lines():
        match line["type"]:
            case "open" if opened is None:
                opened = str(line.get("at"))
            case "request":
                models[f"{line.get('vessel')}/{line.get('model')}"] = None
                outcomes[line.get("call")] = "interrupted"
            case "end":
                outcomes[line.get("call")] = str(line.get("outcome"))
            case _:
                pass
    return {
        "path": str(path),
        "session": recording.session,
        "opened": opened,
        "calls": len(outcomes),
        "outcomes": list(outcomes.values()),
        "models": list(models),
        "bytes": path.stat().st_size,
    }


def _row(summary: dict[str, Any]) -> tuple[str, ...]:
    from .format_bytes import format_bytes

    outcomes: list[str] = summary["outcomes"]
    models: list[str] = summary["models"]
    more = f" +{len(models) - _MOST_MODELS}" if len(models) > _MOST_MODELS else ""
    opened = (summary["opened"] or "?")[:19].replace("T", " ")
    return (
        opened,
        str(summary["calls"]),
        ", ".join(_counted(outcomes)) or "-",
        format_bytes(summary["bytes"]),
        ", ".join(models[:_MOST_MODELS]) + more,
        summary["path"],
    )


def _counted(outcomes: list[str]) -> list[str]:
    """Each outcome once, with its count if it occurs more than once."""
    counts = {outcome: outcomes.count(outcome) for outcome in dict.fromkeys(outcomes)}
    return [outcome if count == 1 else f"{count} {outcome}" for outcome, count in counts.items()]
