"""Reads the list of models that servers of the OpenAI dialect give."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from ..core.vessel import ModelInfo

__all__ = ["models_in"]


def models_in(body: Any) -> list[ModelInfo]:
    """The models in `body`: the list under `data`, or the body itself, as some servers send it.

    Raises ValueError if there is no list.
    """
    listed = cast("dict[str, Any]", body).get("data") if isinstance(body, dict) else body
    if not isinstance(listed, list):
        raise ValueError("the answer lists no models")  # noqa: TRY004 - it is the wire's
    models = [cast("dict[str, Any]", each) for each in cast("list[Any]", listed)]
    return [
        ModelInfo(each["id"], modified=_time(each.get("created")), owner=each.get("owned_by"))
        for each in models
    ]


def _time(created: Any) -> str | None:
    if not isinstance(created, int | float) or not 0 < created < 1e11:
        return None
    return datetime.fromtimestamp(created, UTC).isoformat().replace("+00:00", "Z")
