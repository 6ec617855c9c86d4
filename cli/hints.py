"""What to do about the mistakes that everyone makes first, with the names of this very case.

A server that does not run, a model that is not there. (The third, a model without its vessel, is
told by the client itself.) Told apart by the error's type, phase and status, never by its text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..core.client.client import Client
    from ..core.errors import VesselogError

__all__ = ["explained"]

# The vessels that an Ollama answers to.
_OLLAMA = frozenset({"ollama", "ollama-v1"})
# More names than this do not help to find the right one.
_MOST_NAMED = 12


def explained(error: VesselogError, client: Client, vessel: str, model: str | None = None) -> str:
    """The error's message, with what to do where that is known.

    Asks the server for its models where the model may be missing.
    """
    from ..core.errors import ConnectionFailedError, ProviderError, StreamTimeoutError

    if isinstance(error, (ConnectionFailedError, StreamTimeoutError)) and error.phase == "connect":
        start = "start it with `ollama serve`, or " if vessel in _OLLAMA else ""
        return f"{error.message.removesuffix('?')}? {start}give its address with --base-url"
    if isinstance(error, ProviderError) and error.status == 404 and model is not None:
        return _missing_model(error, client, vessel, model)
    return error.message


def _missing_model(error: VesselogError, client: Client, vessel: str, model: str) -> str:
    from ..core.errors import VesselogError

    try:
        names = [each.name for each in client.models(vessel)]
    except VesselogError:
        return error.message  # the first error is the one to tell
    if model in names or f"{model}:latest" in names:
        return error.message
    there = ", ".join(names[:_MOST_NAMED]) or "none"
    if len(names) > _MOST_NAMED:
        there += f" and {len(names) - _MOST_NAMED} more"
    if vessel not in _OLLAMA:
        return f"{vessel} has no model {model!r}; it has {there}"
    return f"ollama has not pulled {model!r}: run `ollama pull {model}`, or use one it has: {there}"
