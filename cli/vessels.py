"""`vesselog vessels`: lists the installed vessels."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from .arguments import Commands, add_json
from .exit_status import ExitStatus
from .output import print_json, print_table

__all__ = ["add"]


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "vessels",
        help="list the installed vessels",
        description="List the installed vessels. A vessel translates one provider's API.",
    )
    add_json(parser, "the vessels")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the list; returns the exit status."""
    from ..core.registry import find_vessel, installed_vessels

    rows: list[tuple[str, ...]] = []
    for name, entry in sorted(installed_vessels().items()):
        vessel = find_vessel(name)
        package = entry.dist.name if entry.dist else "vesselog"
        if arguments.json:
            print_json(
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
        rows.append((name, vessel.version, key, address, default, package))
    if not arguments.json:
        headings = ("VESSEL", "VERSION", "KEY FROM", "ADDRESS FROM", "DEFAULT ADDRESS", "PACKAGE")
        print_table(headings, rows, fold=True)
    return ExitStatus.OK


def _first(variables: Sequence[str] | None) -> str:
    """The variable that is read first; `--json` prints all of them."""
    return variables[0] if variables else "-"
