"""Reads one piece of a tool call of the OpenAI dialect, however it is dressed."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from ..core.frame import Frame
from ..core.jsontext import loads_exact
from .call_arguments import arguments_text, renamed_arguments
from .mended_values import mended_index
from .tool_call_state import has_unknown

__all__ = ["ToolCallPiece", "parsed_text", "read_piece"]

_PLACES = {"function", "custom"}
# What is in them, and beside the id in calls of Workers AI.
_FLAT = ("name", "arguments", "parameters", "args", "input")


class ToolCallPiece(NamedTuple):
    """A piece of a call as it was sent, and what is in it.

    is_value: whether the arguments were sent as a value, not as its text.
    """

    number: int | None
    id: str | None
    name: str | None
    arguments: str
    is_value: bool
    is_custom: bool
    function: dict[str, Any]
    sent: dict[str, Any]


def read_piece(sent: Any, frame: Frame, *, whole: bool) -> ToolCallPiece | None:
    """A piece of a call; None if it is of another type or says nothing."""
    if not isinstance(sent, dict):
        frame.repair("unexpected-type")
        sent = parsed_text(sent) if isinstance(sent, str) else None
        if not isinstance(sent, dict):
            return None
    piece = cast("dict[str, Any]", sent)
    if piece.keys().isdisjoint(_PLACES) and not piece.keys().isdisjoint(_FLAT):
        frame.repair("tool-call-without-function")
        function = {key: piece[key] for key in _FLAT if key in piece}
        rest = {key: value for key, value in piece.items() if key not in _FLAT}
        kind = "custom" if piece.get("type") == "custom" else "function"
        piece = {**rest, "type": kind, kind: function}
    is_custom = isinstance(piece.get("custom"), dict)
    found = piece.get("custom" if is_custom else "function")
    if found is not None and not isinstance(found, dict):
        frame.repair("unexpected-type")
        found = _function_in(found, piece) if whole else None
        if found is not None:
            piece = {key: value for key, value in piece.items() if key != "arguments"}
            piece["function"] = found
    function = cast("dict[str, Any]", found or {})
    if function and not is_custom and function.get("arguments") is None:
        known, function = function, renamed_arguments(function, "arguments", frame)
        if function is not known:
            piece = {**piece, "function": function}
    told = function.get("input" if is_custom else "arguments")
    is_value = told is not None and not isinstance(told, str)
    arguments = arguments_text(told, frame)
    identifier, name = _word(piece.get("id")), _word(function.get("name"))
    if not (identifier or name or arguments or has_unknown(piece)):
        return None
    index = mended_index(piece.get("index", function.get("index")), frame)
    if index is not None and index < 0:
        index = None
    return ToolCallPiece(index, identifier, name, arguments, is_value, is_custom, function, piece)


def _function_in(told: Any, piece: dict[str, Any]) -> dict[str, Any] | None:
    """The function that a text tells: its JSON, or its name with the arguments beside it."""
    if not isinstance(told, str) or not told:
        return None
    value = parsed_text(told)
    if isinstance(value, dict) and "name" in value:
        return cast("dict[str, Any]", value)
    return {"name": told, "arguments": piece.get("arguments") or ""}


def parsed_text(text: str) -> Any:
    """The JSON value in `text`; None if it is not JSON."""
    try:
        return loads_exact(text)
    except ValueError:
        return None


def _word(value: Any) -> str | None:
    return str(value) if isinstance(value, str | int) and value != "" else None
