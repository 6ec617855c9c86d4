"""Error messages for command-line users: what the library says, with advice that fits a shell.

Adds what to do when a server is not running or does not have the model, or when a recording is
damaged, and names the command's option where the library names a Python setting. (A model without
its vessel is explained by the client itself.) Errors are told apart by type, phase and status,
never by their text: of that only the spelling of settings is replaced.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from ..core.client.client import Client
    from ..core.errors import VesselogError

__all__ = [
    "SALVAGE",
    "bad_variable",
    "command_line_message",
    "has_header",
    "in_shell_words",
    "salvage_advice",
]

SALVAGE = "`vesselog salvage FILE -o NEW.jsonl` copies what can be read"

# The vessels that talk to an Ollama server.
_OLLAMA = frozenset({"ollama", "ollama-v1"})
# A longer list of models does not help to find the right one.
_MOST_MODELS = 12
# How the library spells a setting, and how a command line does.
_SPELLINGS = (
    (r"Timeouts\((connect|write|first_chunk|idle|total)=…\)", r"--timeout \1=SECONDS"),
    (r"; if that is intended, raise Limits\(\w+=…\)", ""),  # no option changes a limit
    (r"\bthink=True\b", "--think"),
    (r"\bthink=False\b", "--no-think"),
    (r"\bthink='?(\w+)'?", r"--effort \1"),
    (r"\bgive base_url\b", "give --base-url"),
    (r"give it with the request, or .*\(max_tokens=…\)", "give --set max_tokens=N"),
    (r"\binto extra_body\b", "into --set extra_body=JSON"),
    (r"does not take prompt: give messages", "takes chat messages only: leave out --generate"),
    (r"; give messages$", "; leave out --generate or --completion"),
)


def command_line_message(
    error: VesselogError, client: Client, vessel: str, model: str | None = None
) -> str:
    """The error's message, with advice for the command line where there is some.

    If the model may be missing, this asks the server for its models.
    """
    from ..core.errors import ConnectionFailedError, ProviderError, StreamTimeoutError

    message = in_shell_words(error)
    if isinstance(error, (ConnectionFailedError, StreamTimeoutError)) and error.phase == "connect":
        asked = message.endswith("?")  # whether it is running
        start = "start it with `ollama serve`, or " if asked and vessel in _OLLAMA else ""
        return f"{message}{'' if asked else ';'} {start}give its address with --base-url"
    if isinstance(error, ProviderError) and error.status == 401:
        return f"{message}; --api-key-env VAR names the variable that has the key"
    if isinstance(error, ProviderError) and error.status == 404 and model is not None:
        return _missing_model(error, client, vessel, model)
    return message


def salvage_advice(error: VesselogError, arguments: argparse.Namespace) -> str:
    """For the end of the message: what to do if a recording that the command uses is damaged.

    Nothing for a file that is empty or no recording at all.
    """
    from ..core.errors import RecordingCorruptError, RecordingError
    from .find_recording import find_recording

    if not isinstance(error, RecordingCorruptError):
        return ""
    paths = [each for each in vars(arguments).values() if isinstance(each, Path)]
    try:
        if session := getattr(arguments, "session", None):
            paths.append(find_recording(session, arguments.recordings))
    except RecordingError:
        return ""
    if not all(each.stat().st_size and has_header(each) for each in paths if each.is_file()):
        return ""
    return f"; {SALVAGE}"


def bad_variable(error: VesselogError, arguments: argparse.Namespace) -> str:
    """For the end of the message: the environment variable that an unusable address comes from."""
    from ..core.errors import ConfigurationError
    from ..core.registry import find_vessel, installed_vessels

    told = vars(arguments)
    if not isinstance(error, ConfigurationError) or error.setting != "base_url":
        return ""
    vessel = str(told.get("model") or told.get("vessel")).partition("/")[0]
    if told.get("base_url") is not None or vessel not in installed_vessels():
        return ""
    names = find_vessel(vessel).variables.get("base_url", ())
    used = next((name for name in names if os.environ.get(name)), None)
    return f"; it comes from the variable {used}" if used else ""


def has_header(path: Path) -> bool:
    """Whether the file is a recording, damaged or not, and not empty."""
    from ..core.errors import RecordingError
    from ..core.truth.recording import Recording

    try:
        Recording(path)
    except RecordingError:
        return False
    return path.stat().st_size > 0


def in_shell_words(error: VesselogError) -> str:
    """The error's message with the names of options in place of Python settings.

    What a server said stays as it is.
    """
    from ..core.errors import ProviderError

    message = error.message
    if not isinstance(error, ProviderError):
        for spelling, option in _SPELLINGS:
            message = re.sub(spelling, option, message)
    return message


def _missing_model(error: VesselogError, client: Client, vessel: str, model: str) -> str:
    from ..core.errors import VesselogError
    from ..core.nearest import did_you_mean

    try:
        names = [each.name for each in client.models(vessel)]
    except VesselogError:
        return error.message  # the first error matters more than this one
    if model in names or f"{model}:latest" in names:
        return error.message
    available = ", ".join(names[:_MOST_MODELS]) or "none"
    if len(names) > _MOST_MODELS:
        available += f" and {len(names) - _MOST_MODELS} more"
    meant = did_you_mean(model, names)
    if vessel not in _OLLAMA:
        return f"{vessel} has no model {model!r}; it has: {available}{meant}"
    return (
        f"ollama has not pulled {model!r}: run `ollama pull {model}`, or use a model that it has: "
        f"{available}{meant}"
    )
