"""A replay server's own answers about models and version, for requests that were not recorded.

The models are those that the recordings asked for, in the shapes of
https://github.com/ollama/ollama/blob/main/docs/api.md#list-local-models and
https://platform.openai.com/docs/api-reference/models/list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..core.version import VERSION

__all__ = ["listing"]

_OLLAMA = ("/api/chat", "/api/generate")
_OPENAI = ("/chat/completions", "/completions")


def listing(
    method: str, path: str, models: Callable[[], Mapping[str, Sequence[str]]]
) -> dict[str, Any] | None:
    """The answer to a request for models or version; None for any other request.

    models: gives the recorded models by the path that they were asked at. Raises RecordingError.
    """
    if method != "GET":
        return None
    if path.endswith("/api/tags"):
        asked = _asked(models(), path.removesuffix("/api/tags"), _OLLAMA)
        return {"models": [{"name": model, "model": model} for model in asked]}
    if path.endswith("/api/version"):
        return {"version": f"{VERSION}+vesselog.replay"}
    if path.endswith("/models"):
        asked = _asked(models(), path.removesuffix("/models"), _OPENAI)
        return {
            "object": "list",
            "data": [{"id": model, "object": "model", "owned_by": "vesselog"} for model in asked],
        }
    return None


def _asked(
    models: Mapping[str, Sequence[str]], root: str, routes: Sequence[str]
) -> dict[str, None]:
    """The models asked for at these routes below `root`, each once, in order."""
    return dict.fromkeys(model for route in routes for model in models.get(root + route, ()))
