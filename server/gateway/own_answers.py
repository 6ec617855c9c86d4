"""What the gateway answers itself where the upstream speaks another dialect: models and counts.

Ollama's server has OpenAI's list of models itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, cast
from urllib.parse import unquote

from ...core.client.async_client import AsyncClient
from ...core.version import VERSION
from ...core.vessel import ModelInfo
from ...vessels.gemini_names import in_camel_case
from ..protocols.problem import Problem
from .problems import invalid
from .request import Asked
from .token_estimate import estimated_tokens

__all__ = ["own_answer"]

_List = Callable[[list[ModelInfo], str], dict[str, Any]]
_ONE_MODEL = re.compile(r"(/v1beta/models|/v1/models|/models)/(.+)")
# Paths of Google's servers alone: any other would answer with an error of its own form.
_GOOGLES = re.compile(r"/v\d+(?:alpha|beta)\w*/|(?:/v\d+)?/models/.+:\w+")


async def own_answer(client: AsyncClient, asked: Asked) -> dict[str, Any] | Problem | None:
    """The JSON of such an answer, or why there is none; None for every other request.

    Raises VesselogError.
    """
    upstream, dialect = asked.choice.upstream, asked.route.dialect
    path = asked.path.rstrip("/")
    if dialect is None or asked.route.asks_model or upstream.speaks(asked.route):
        return None
    if asked.method == "POST" and path.endswith("/messages/count_tokens"):
        return {"input_tokens": estimated_tokens(asked.body or {})}
    if asked.method == "POST" and path.endswith(":countTokens"):
        return {"totalTokens": _geminis_tokens(asked.body or {})}
    if asked.method == "GET" and path == "/api/version":
        return {"version": f"{VERSION}+vesselog"}
    if asked.method == "GET" and not (dialect == "openai" and "ollama" in upstream.dialects):
        if (listed := _LISTS.get(path, {}).get(dialect)) is not None:
            return listed(await client.models(upstream.name), upstream.name)
        if one := _ONE_MODEL.fullmatch(path):
            return await _model(client, asked, one[1], unquote(one[2]))
    if dialect == "gemini" and _GOOGLES.match(path):
        what = f"{asked.method} {asked.path}"
        why = f"only Google's servers have it, and {upstream.name} is one of {upstream.vessel.name}"
        return invalid(f"{what} cannot be answered: {why}", 501, "not_supported")
    return None


async def _model(
    client: AsyncClient, asked: Asked, path: str, name: str
) -> dict[str, Any] | Problem | None:
    """One of the listed models."""
    upstream = asked.choice.upstream.name
    listed = _LISTS[path].get(asked.route.dialect or "")
    if listed is None:
        return None
    names = {name, f"{name}:latest"}  # Ollama's default tag
    found = [each for each in await client.models(upstream) if each.name in names]
    if not found:
        return invalid(f"{upstream} has no model {name!r:.200}", 404, "model_not_found")
    made = listed(found[:1], upstream)
    return cast("dict[str, Any]", (made.get("data") or made["models"])[0])


def _geminis_tokens(body: dict[str, Any]) -> int:
    """https://ai.google.dev/api/tokens: the contents, or a whole request."""
    given = cast("dict[str, Any]", in_camel_case(body))
    whole = given.get("generateContentRequest", given.get("generate_content_request"))
    return estimated_tokens(cast("dict[str, Any]", whole) if isinstance(whole, dict) else given)


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


_SHARED: dict[str, _List] = {"openai": _openai, "anthropic": _anthropic, "gemini": _gemini}
_LISTS: dict[str, dict[str, _List]] = {
    "/models": _SHARED,
    "/v1/models": _SHARED,
    "/v1beta/models": {"gemini": _gemini},
    "/api/tags": {"ollama": _ollama},
}
