"""Arguments that several commands share."""

from __future__ import annotations

import argparse
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .find_recording import NamedRecording

if TYPE_CHECKING:
    from ..core.vessel import Vessel

__all__ = [
    "RECORDING",
    "RECORDINGS",
    "Commands",
    "add_after",
    "add_call",
    "add_json",
    "add_lookup",
    "add_option",
    "add_out",
    "add_recording",
    "add_recordings",
    "add_server",
    "add_set",
    "add_timeout",
    "configured_vessel",
    "count",
    "effort",
    "key_value",
    "speed",
    "whole_number",
]

if TYPE_CHECKING:
    # The type that `add_subparsers` returns has no public name.
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
else:
    Commands = Any


RECORDINGS = Path("recordings")
RECORDING = (
    "a recording: its path, its session's name (or the beginning of it), or last for the newest"
)

_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*_[A-Z0-9_]*", re.ASCII)

# The deadlines of the client that a command can change: fields of its Timeouts.
_TIMEOUTS = ("connect", "write", "first_chunk", "idle", "total")


def add_json(parser: argparse.ArgumentParser, what: str) -> None:
    """Add `--json`. what: the things that are printed as JSON lines."""
    parser.add_argument("--json", action="store_true", help=f"print {what} as JSON lines")


def add_recording(parser: argparse.ArgumentParser) -> None:
    """Add `FILE`, one recording, and `--recordings`."""
    parser.add_argument("file", metavar="FILE", type=NamedRecording, help=RECORDING)
    add_lookup(parser)


def add_lookup(parser: argparse.ArgumentParser) -> None:
    """Add `--recordings`, the folder in which recordings are found by session name."""
    add_recordings(parser, "the folder where session names are looked up")


def add_out(parser: argparse.ArgumentParser) -> None:
    """Add `--output`, the recording to be created."""
    parser.add_argument(
        "-o",
        "--output",
        dest="out",
        metavar="OUT",
        type=Path,
        required=True,
        help="the new recording (…/SESSION.jsonl); the file must not exist yet",
    )


def add_call(parser: argparse.ArgumentParser, default: str) -> None:
    """Add `--call`. default: what happens without it."""
    parser.add_argument(
        "--call", type=whole_number, metavar="N", help=f"only this call ({default})"
    )


def add_after(parser: argparse.ArgumentParser) -> None:
    """Add `--after`."""
    parser.add_argument(
        "--after",
        type=whole_number,
        default=-1,
        metavar="SEQ",
        help="start after this chunk of the call (without --call: of the last call)",
    )


def add_server(parser: argparse.ArgumentParser) -> None:
    """Add `--base-url` and `--api-key-env`: the server and the key it is sent."""
    parser.add_argument(
        "--base-url",
        metavar="URL",
        help="the server's address: the host, the address that ends in /v1, or the full endpoint "
        "(default: from the vessel's environment variable, see `vesselog vessels`)",
    )
    parser.add_argument(
        "--api-key-env",
        metavar="VAR",
        help="the environment variable that holds the API key for --base-url",
    )


def add_timeout(parser: argparse.ArgumentParser) -> None:
    """Add `--timeout`, one of the client's deadlines."""
    parser.add_argument(
        "--timeout",
        metavar="NAME=SECONDS",
        action="append",
        type=_timeout,
        default=[],
        help=f"change a deadline; NAME is one of {', '.join(_TIMEOUTS)}, SECONDS a number or none "
        "(no limit); may be repeated",
    )


def add_recordings(
    parser: argparse.ArgumentParser, what: str = "the folder for the recording"
) -> None:
    """Add `--recordings`. what: what the folder is for."""
    parser.add_argument(
        "--recordings",
        metavar="DIR",
        type=Path,
        default=RECORDINGS,
        help=f"{what} (default: recordings)",
    )


def add_option(parser: argparse.ArgumentParser) -> None:
    """Add `--option`, which may be repeated."""
    parser.add_argument(
        "--option",
        "-o",
        metavar="KEY=VALUE",
        action="append",
        type=key_value,
        default=[],
        help="an option of the provider, for example temperature=0; may be repeated",
    )


def add_set(parser: argparse.ArgumentParser) -> None:
    """Add `--set`, which may be repeated."""
    parser.add_argument(
        "--set",
        metavar="FIELD=VALUE",
        action="append",
        type=_key_value_or_file,
        default=[],
        help="set any field of the request: max_tokens=100, seed=1, stop=END, "
        "response_format=@schema.json …; VALUE is JSON, @FILE (a file with JSON), or else text; "
        "may be repeated",
    )


def configured_vessel(name: str, arguments: argparse.Namespace) -> dict[str, Vessel]:
    """Make the vessel with `--base-url` and `--api-key-env`; returns it by its name.

    Empty if neither option is given or no such vessel is installed: the client then looks the name
    up itself and reports an unknown one. Raises ConfigurationError if the variable is not set.
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
            # A key given in place of the variable's name must not be shown.
            named = f" {variable}" if _VARIABLE.fullmatch(variable) else ""
            raise ConfigurationError(
                f"--api-key-env{named}: this environment variable is not set"
                + ("" if named else "; give the name of a variable, never the key itself")
            )
    return {name: find_vessel(name)(base_url=base_url, api_key=key)}


def key_value(text: str, form: str = "KEY=VALUE") -> tuple[str, Any]:
    """Parse `KEY=VALUE`. The value is JSON; anything else is taken as text.

    form: what the help calls it.
    """
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form {form}")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def _key_value_or_file(text: str) -> tuple[str, Any]:
    """Parse `FIELD=VALUE` or `FIELD=@FILE`, a file with JSON."""
    key, value = key_value(text, "FIELD=VALUE")
    if not isinstance(value, str) or not value.startswith("@"):
        return key, value
    try:
        return key, json.loads(Path(value[1:]).read_bytes())
    except OSError as error:
        raise argparse.ArgumentTypeError(
            f"{text}: cannot read the file {value[1:]}: {error.strerror}"
        ) from None
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text}: the file is not JSON") from None


def _timeout(text: str) -> tuple[str, float | None]:
    name, _, seconds = text.partition("=")
    if name in _TIMEOUTS and seconds == "none":
        return name, None
    try:
        value = float(seconds)
    except ValueError:
        value = -1.0
    if name not in _TIMEOUTS or not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not of the form NAME=SECONDS: NAME is one of {', '.join(_TIMEOUTS)}, "
            "SECONDS a number (0 or more) or none"
        )
    return name, value


def count(text: str) -> int:
    """Parse a number of things, from 1 on."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a count: give a whole number from 1 on")
    return value


def whole_number(text: str) -> int:
    """Parse a whole number, such as that of a call."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def effort(text: str) -> str | int:
    """Parse a reasoning effort: a number of tokens, or a word such as `low`."""
    if text.isdecimal():
        return int(text)
    if not text[:1].isalpha():
        raise argparse.ArgumentTypeError(
            f"{text!r} is not an effort: give a word such as low, or a number of tokens"
        )
    return text


def speed(text: str) -> float:
    """Parse a replay speed: a factor of the original pace; `max` is 0, which means no waiting."""
    if text == "max":
        return 0.0
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a speed: give a number (0 or more) or max"
        )
    return value
