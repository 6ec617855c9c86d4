"""`vesselog vessels`: the vessels that are installed."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from .arguments import Commands, add_json
from .output import json_line, table
from .statuses import ExitStatus

__all__ = ["add"]


def add(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "vessels",
        help="list the installed vessels",
        description="List the installed vessels: the dialects that models can be spoken to in.",
    )
    add_json(parser, "the vessels")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """List them."""
    from ..core.registry import find_vessel, installed_vessels

    rows: list[tuple[str, ...]] = []
    for name, entry in sorted(installed_vessels().items()):
        vessel = find_vessel(name)
        package = entry.dist.name if entry.dist else "vesselog"
        if arguments.json:
            json_line(
                {
                    "name": name,
                    "version": vessel.version,
                    "base_url": vessel.default_base_url,
                    "framing": vessel.framing.value,
                    "variables": {key: list(names) for key, names in vessel.variables.items()},
                    "package": package,
                }
            )
            continue
        address, key = (_first(vessel.variables.get(each)) for each in ("base_url", "api_key"))
        default = vessel.default_base_url or "-"
        rows.append((name, vessel.version, default, address, key, package))
    if not arguments.json:
        headings = ("VESSEL", "VERSION", "DEFAULT ADDRESS", "ADDRESS FROM", "KEY FROM", "PACKAGE")
        table(headings, rows)
    return ExitStatus.OK


def _first(variables: Sequence[str] | None) -> str:
    """The variable that is looked at first; `--json` has them all."""
    return variables[0] if variables else "-"
