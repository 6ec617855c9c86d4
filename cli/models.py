"""`vesselog models`: lists the models of a server."""

from __future__ import annotations

import argparse
import dataclasses

from .arguments import Commands, add_json, add_server, add_timeout, configured_vessel
from .exit_status import EPILOG, ExitStatus, status_of
from .output import print_error, print_json, print_note, print_table

__all__ = ["add"]


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "models",
        help="list the models of a vessel's server",
        description="List the models of a vessel's server.",
        epilog=EPILOG,
    )
    parser.add_argument("vessel", metavar="VESSEL", help="for example ollama or openai")
    add_server(parser)
    add_timeout(parser)
    add_json(parser, "the models")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Ask the server and print the list; returns the exit status."""
    from ..core.client.client import Client
    from ..core.errors import VesselogError
    from ..core.settings import Timeouts
    from .error_advice import bad_variable, command_line_message

    name = arguments.vessel
    with Client(
        recordings=None,
        vessels=configured_vessel(name, arguments),
        timeouts=Timeouts(**dict(arguments.timeout)),
    ) as client:
        try:
            models = client.models(name)
        except VesselogError as error:
            message = command_line_message(error, client, name)
            print_error(message + bad_variable(error, arguments))
            return status_of(error)
    if arguments.json:
        for model in models:
            print_json({"model": f"{name}/{model.name}", **dataclasses.asdict(model)})
    elif models:
        rows = [
            (f"{name}/{model.name}", _size(model.size), (model.modified or "")[:10])
            for model in models
        ]
        print_table(("MODEL", "SIZE", "MODIFIED"), rows)
    else:
        advice = "; get one with `ollama pull MODEL`" if name == "ollama" else ""
        print_note(f"{name} has no models{advice}")
    return ExitStatus.OK


def _size(count: int | None) -> str:
    from .format_bytes import format_bytes

    return "" if count is None else format_bytes(count)
