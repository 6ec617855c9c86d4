"""Error messages for command-line users: what the library says, with advice that fits a shell.

Adds what to do when a server is not running or does not have the model, and names the command's
option where the library names a Python setting. (A model without its vessel is explained by the
client itself.) Errors are told apart by type, phase and status, never by their text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..core.client.client import Client
    from ..core.errors import VesselogError

__all__ = ["command_line_message"]

# The vessels that talk to an Ollama server.
_OLLAMA = frozenset({"ollama", "ollama-v1"})
# A longer list of models does not help to find the right one.
_MOST_MODELS = 12


def command_line_message(
    error: VesselogError, client: Client, vessel: str, model: str | None = None
) -> str:
    """The error's message, with advice for the command line where there is some.

    If the model may be missing, this asks the server for its models.
    """
    from ..core.errors import ConnectionFailedError, ProviderError, StreamTimeoutError

    message = error.message
    if isinstance(error, StreamTimeoutError) and error.setting is not None:
        setting = error.setting
        message = message.replace(f"Timeouts({setting}=…)", f"--timeout {setting}=SECONDS")
    if isinstance(error, (ConnectionFailedError, StreamTimeoutError)) and error.phase == "connect":
        end = "" if message.endswith("?") else ";"
        start = "start it with `ollama serve`, or " if vessel in _OLLAMA else ""
        return f"{message}{end} {start}give its address with --base-url"
    if isinstance(error, ProviderError) and error.status == 404 and model is not None:
        return _missing_model(error, client, vessel, model)
    return message


def _missing_model(error: VesselogError, client: Client, vessel: str, model: str) -> str:
    from ..core.errors import VesselogError

    try:
        names = [each.name for each in client.models(vessel)]
    except VesselogError:
        return error.message  # the first error matters more than this one
    if model in names or f"{model}:latest" in names:
        return error.message
    available = ", ".join(names[:_MOST_MODELS]) or "none"
    if len(names) > _MOST_MODELS:
        available += f" and {len(names) - _MOST_MODELS} more"
    if vessel not in _OLLAMA:
        return f"{vessel} has no model {model!r}; it has: {available}"
    return (
        f"ollama has not pulled {model!r}: run `ollama pull {model}`, or use a model that it has: "
        f"{available}"
    )
