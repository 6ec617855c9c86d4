"""`vesselog vessels`: the vessels that are installed."""

from __future__ import annotations

import argparse

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
        variables = [each for names in vessel.variables.values() for each in names]
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
        else:
            row = (name, vessel.version, vessel.default_base_url, " ".join(variables), package)
            rows.append(row)
    if not arguments.json:
        table(("VESSEL", "VERSION", "DEFAULT ADDRESS", "VARIABLES", "PACKAGE"), rows)
    return ExitStatus.OK
