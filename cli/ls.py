"""`vesselog ls`: the recordings in a folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .arguments import Commands, add_json
from .output import complain, json_line, note, table
from .statuses import ExitStatus

__all__ = ["add"]

_DEFAULT = Path("recordings")
_MOST_MODELS = 3


def add(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "ls",
        help="list the recordings in a folder",
        description="List the recordings in a folder, the oldest first.",
    )
    parser.add_argument(
        "folder", metavar="DIR", type=Path, nargs="?", default=_DEFAULT, help="default: recordings"
    )
    add_json(parser, "the recordings")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """List them."""
    from ..core.errors import RecordingError

    folder = arguments.folder
    if folder == _DEFAULT and not folder.exists():
        note("nothing is recorded here yet: there is no folder recordings")
        return ExitStatus.OK
    if not folder.is_dir():
        raise RecordingError(f"{folder} is not a folder")
    found: list[dict[str, Any]] = []
    status = ExitStatus.OK
    for path in sorted(folder.glob("*.jsonl")):
        try:
            found.append(_about(path))
        except RecordingError as error:
            complain(error.message)
            status = ExitStatus.FAILURE
    found.sort(key=lambda each: each["opened"] or "")
    if arguments.json:
        for each in found:
            json_line(each)
    elif found:
        table(("OPENED (UTC)", "CALLS", "ENDED", "SIZE", "MODELS", "FILE"), map(_row, found))
    elif status is ExitStatus.OK:
        note(f"{folder} has no recordings (*.jsonl)")
    return status


def _about(path: Path) -> dict[str, Any]:
    """A recording in short, read once from end to end. Raises RecordingError."""
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


def _row(about: dict[str, Any]) -> tuple[str, ...]:
    from .sizes import bytes_in_words

    outcomes: list[str] = about["outcomes"]
    models: list[str] = about["models"]
    more = f" +{len(models) - _MOST_MODELS}" if len(models) > _MOST_MODELS else ""
    opened = (about["opened"] or "?")[:19].replace("T", " ")
    return (
        opened,
        str(about["calls"]),
        ", ".join(_counted(outcomes)) or "-",
        bytes_in_words(about["bytes"]),
        ", ".join(models[:_MOST_MODELS]) + more,
        about["path"],
    )


def _counted(outcomes: list[str]) -> list[str]:
    """Each outcome once, with how often it is there if that is more than once."""
    counts = {outcome: outcomes.count(outcome) for outcome in dict.fromkeys(outcomes)}
    return [outcome if count == 1 else f"{count} {outcome}" for outcome, count in counts.items()]
