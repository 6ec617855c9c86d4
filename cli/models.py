"""`vesselog models`: what a server offers."""

from __future__ import annotations

import argparse
import dataclasses

from .arguments import Commands, add_json, add_server, configured_vessel
from .output import complain, json_line, note, table
from .statuses import EPILOG, ExitStatus, status_of

__all__ = ["add"]


def add(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "models",
        help="list the models of a vessel's server",
        description="List the models of a vessel's server.",
        epilog=EPILOG,
    )
    parser.add_argument("vessel", metavar="VESSEL", help="as ollama or openai")
    add_server(parser)
    add_json(parser, "the models")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Ask and list."""
    from ..core.client.client import Client
    from ..core.errors import VesselogError
    from .hints import explained

    name = arguments.vessel
    with Client(recordings=None, vessels=configured_vessel(name, arguments)) as client:
        try:
            models = client.models(name)
        except VesselogError as error:
            complain(explained(error, client, name))
            return status_of(error)
    if arguments.json:
        for model in models:
            json_line({"model": f"{name}/{model.name}", **dataclasses.asdict(model)})
    elif models:
        rows = [
            (f"{name}/{model.name}", _size(model.size), (model.modified or "")[:10])
            for model in models
        ]
        table(("MODEL", "SIZE", "MODIFIED"), rows)
    else:
        note(f"{name} has no models{'; get one: ollama pull MODEL' if name == 'ollama' else ''}")
    return ExitStatus.OK


def _size(count: int | None) -> str:
    from .sizes import bytes_in_words

    return "" if count is None else bytes_in_words(count)
