"""What several commands take, said once."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..core.vessel import Vessel

__all__ = [
    "Commands",
    "add_call",
    "add_json",
    "add_out",
    "add_recording",
    "add_server",
    "configured_vessel",
    "key_value",
    "speed",
]

if TYPE_CHECKING:
    # What `add_subparsers` gives has no public name.
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
else:
    Commands = Any


def add_json(parser: argparse.ArgumentParser, what: str) -> None:
    """`--json`."""
    parser.add_argument("--json", action="store_true", help=f"{what} as JSON lines on stdout")


def add_recording(parser: argparse.ArgumentParser) -> None:
    """`FILE`, one recording."""
    parser.add_argument("file", metavar="FILE", type=Path, help="a recording (…/SESSION.jsonl)")


def add_out(parser: argparse.ArgumentParser) -> None:
    """`--output`, a recording that is to be made."""
    parser.add_argument(
        "-o",
        "--output",
        dest="out",
        metavar="OUT",
        type=Path,
        required=True,
        help="the new recording (…/SESSION.jsonl), which must not exist",
    )


def add_call(parser: argparse.ArgumentParser, default: str) -> None:
    """`--call`."""
    parser.add_argument("--call", type=int, metavar="N", help=f"the call's number ({default})")


def add_server(parser: argparse.ArgumentParser) -> None:
    """`--base-url` and `--api-key-env`: which server, and which key it gets."""
    parser.add_argument(
        "--base-url",
        metavar="URL",
        help="the server's address: host, with or without /v1, or the full endpoint "
        "(default: the vessel's environment variable, see `vesselog vessels`)",
    )
    parser.add_argument(
        "--api-key-env",
        metavar="VAR",
        help="the environment variable that holds the key for --base-url",
    )


def configured_vessel(name: str, arguments: argparse.Namespace) -> dict[str, Vessel]:
    """The vessel as `--base-url` and `--api-key-env` describe it, by its name.

    Empty where neither is given or there is no such vessel: the client then finds it, or says what
    is wrong. Raises ConfigurationError for a variable that is not set.
    """
    from ..core.errors import ConfigurationError
    from ..core.registry import find_vessel, installed_vessels

    base_url, variable = arguments.base_url, arguments.api_key_env
    if (base_url is None and variable is None) or name not in installed_vessels():
        return {}
    key = None
    if variable is not None:
        key = os.environ.get(variable)
        if not key:
            raise ConfigurationError(f"--api-key-env {variable}: this variable is not set")
    return {name: find_vessel(name)(base_url=base_url, api_key=key)}


def key_value(text: str) -> tuple[str, Any]:
    """`KEY=VALUE`; the value is JSON, or else the text as it stands."""
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def speed(text: str) -> float:
    """A factor of the original pace; 0 for `max`."""
    if text == "max":
        return 0.0
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no speed: give a number from 0, or max")
    return value
