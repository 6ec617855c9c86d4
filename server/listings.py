"""A replay server's own answers about models and version, for requests that were not recorded.

The models are those that the recordings asked for, in the shapes of
https://github.com/ollama/ollama/blob/main/docs/api.md#list-local-models and
https://platform.openai.com/docs/api-reference/models/list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..core.replay.compare_requests import BEFORE_PATH
from ..core.replay.recorded_requests import RecordedRequest
from ..core.version import VERSION

__all__ = ["RUNNING", "listing"]

RUNNING = b"Ollama is running"
"""The answer at `/`, by which Ollama's programs see whether there is a server."""

_OLLAMA = ("/api/chat", "/api/generate")
_OPENAI = ("/chat/completions", "/completions", "/responses", "/messages")


def listing(
    method: str, path: str, requests: Callable[[], Iterable[RecordedRequest]]
) -> dict[str, Any] | None:
    """The answer to a request for models or version; None for any other request.

    requests: gives all recorded ones. Raises RecordingError.
    """
    if method != "GET":
        return None
    if path.endswith("/api/tags"):
        asked = _asked(requests(), _OLLAMA)
        return {"models": [{"name": model, "model": model} for model in asked]}
    if path.endswith("/api/version"):
        return {"version": f"{VERSION}+vesselog.replay"}
    if path.endswith("/models"):
        asked = _asked(requests(), _OPENAI)
        return {
            "object": "list",
            "data": [{"id": model, "object": "model", "owned_by": "vesselog"} for model in asked],
        }
    return None


def _asked(requests: Iterable[RecordedRequest], routes: Sequence[str]) -> dict[str, None]:
    """The models asked for at these routes, each once, in order."""
    asked = (each for each in requests if BEFORE_PATH.sub("", each.route, 1) in routes)
    return dict.fromkeys(each.model for each in asked if each.model)
