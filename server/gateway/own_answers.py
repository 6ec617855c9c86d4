"""What the gateway answers itself where the upstream speaks another dialect: models and counts.

Ollama's server has OpenAI's list of models itself.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from ...core.client.async_client import AsyncClient
from ...core.version import VERSION
from ...core.vessel import ModelInfo
from .request import Asked
from .token_estimate import estimated_tokens

__all__ = ["own_answer"]


async def own_answer(client: AsyncClient, asked: Asked) -> dict[str, Any] | None:
    """The JSON of such an answer; None for every other request. Raises VesselogError."""
    upstream, dialect = asked.choice.upstream, asked.route.dialect
    path = asked.path.rstrip("/")
    if dialect is None or upstream.speaks(asked.route):
        return None
    if asked.method == "POST" and path.endswith("/messages/count_tokens"):
        return {"input_tokens": estimated_tokens(asked.body or {})}
    if asked.method != "GET":
        return None
    if path == "/api/version":
        return {"version": f"{VERSION}+vesselog"}
    listed = _LISTS.get(path, {}).get(dialect)
    if listed is None or (dialect == "openai" and "ollama" in upstream.dialects):
        return None
    return listed(await client.models(upstream.name), upstream.name)


def _openai(models: list[ModelInfo], upstream: str) -> dict[str, Any]:
    """https://platform.openai.com/docs/api-reference/models/list."""
    data = [
        {
            "id": each.name,
            "object": "model",
            "created": int(datetime.fromisoformat(_time(each)).timestamp()),
            "owned_by": each.owner or upstream,
        }
        for each in models
    ]
    return {"object": "list", "data": data}


def _anthropic(models: list[ModelInfo], _: str) -> dict[str, Any]:
    """https://docs.claude.com/en/api/models-list."""
    data = [
        {
            "type": "model",
            "id": each.name,
            "display_name": each.name,
            "created_at": _time(each),
        }
        for each in models
    ]
    ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {}
    return {"data": data, "has_more": False, **ends}


def _ollama(models: list[ModelInfo], _: str) -> dict[str, Any]:
    """https://github.com/ollama/ollama/blob/main/docs/api.md#list-local-models."""
    return {
        "models": [
            {
                "name": each.name,
                "model": each.name,
                "modified_at": _time(each),
                "size": each.size or 0,
                "digest": "",
                "details": {},
            }
            for each in models
        ]
    }


def _gemini(models: list[ModelInfo], _: str) -> dict[str, Any]:
    """https://ai.google.dev/api/models#method:-models.list."""
    return {"models": [{"name": f"models/{each.name}"} for each in models]}


def _time(model: ModelInfo) -> str:
    """When it was modified, the beginning of all time if that is not known."""
    return model.modified or "1970-01-01T00:00:00Z"


_SHARED = {"openai": _openai, "anthropic": _anthropic, "gemini": _gemini}
_LISTS: dict[str, dict[str, Callable[[list[ModelInfo], str], dict[str, Any]]]] = {
    "/models": _SHARED,
    "/v1/models": _SHARED,
    "/v1beta/models": {"gemini": _gemini},
    "/api/tags": {"ollama": _ollama},
}
