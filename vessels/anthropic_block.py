"""One content block of an answer of Anthropic's Messages API, as it grows.

https://docs.claude.com/en/docs/build-with-claude/streaming. A block begins as an object, and its
deltas extend it. One rule does for all kinds of deltas, known or not:

- `{"type": "text_delta", "text": …}` extends the block's `text`: texts are joined, lists extended,
  objects merged, and of other values the later one stays.
- `{"type": "citations_delta", "citation": …}` is one more of the block's `citations`.
- `partial_json` is a piece of the JSON text of `input`.
"""

from __future__ import annotations

from typing import Any, cast

from ..core.frame import Frame
from .call_arguments import INVALID_JSON, valid_object

__all__ = ["Block", "input_object", "typed_block"]

_INPUT_TEXT = "partial_json"
# Kinds of which also a part can go back to the API, if the answer was cut.
_PARTLY_SENT = frozenset({"text", "tool_use"})


class Block:
    """A content block. index: its place in the message. kind: its type. slot: of its tool call.

    started: whether it had a start event. ended: whether it has had its stop event. in_string:
    whether its input's text is a JSON string, which may hold the input that is meant.
    """

    __slots__ = ("_texts", "content", "ended", "in_string", "index", "kind", "slot", "started")

    def __init__(self, index: int, content: dict[str, Any], *, started: bool = True) -> None:
        self.index = index
        self.content = content
        kind = content.get("type")
        self.kind = kind if isinstance(kind, str) else ""
        self.slot: str | None = None
        self.started = started
        self.ended = self.in_string = False
        self._texts: dict[str, list[str]] = {}  # in pieces, by the keys

    @property
    def grown(self) -> bool:
        """Whether a delta gave it a text."""
        return bool(self._texts)

    @property
    def said(self) -> bool:
        """Whether its start had a text."""
        return bool(self.content.get("text") or self.content.get("thinking"))

    @property
    def input_text(self) -> str:
        """The JSON text of the input, as far as deltas gave it."""
        return "".join(self._texts.get(_INPUT_TEXT, ()))

    def write(self, key: str, piece: str) -> None:
        """Extend a text of the block."""
        pieces = self._texts.get(key)
        if pieces is None:
            pieces = self._texts[key] = []
            begun = self.content.get(key)
            # A gateway gives a signature at the start, and again in its delta.
            if isinstance(begun, str) and not (key == "signature" and piece.startswith(begun)):
                pieces.append(begun)
        if piece:
            if not pieces and key == _INPUT_TEXT:
                self.in_string = piece.lstrip()[:1] == '"'
            pieces.append(piece)

    def extend(self, kind: Any, key: str, value: Any) -> None:
        """Extend the block by what a delta of this kind has under `key`."""
        if kind == f"{key}s_delta":
            key, value = f"{key}s", [value]
        if isinstance(value, str):
            self.write(key, value)
            return
        old = self.content.get(key)
        if isinstance(old, list) and isinstance(value, list):
            cast("list[Any]", old).extend(cast("list[Any]", value))
        elif isinstance(old, dict) and isinstance(value, dict):
            cast("dict[str, Any]", old).update(cast("dict[str, Any]", value))
        elif value is not None or key not in self.content:
            self.content[key] = value

    def build(self) -> dict[str, Any]:
        """The block as a whole answer has it; an input that is no JSON object is wrapped."""
        texts = {key: "".join(text) for key, text in self._texts.items() if key != _INPUT_TEXT}
        built = {**self.content, **texts}
        text = "" if self.kind in {"text", "thinking"} else self.input_text
        if text or self.kind.endswith("tool_use"):
            built["input"] = input_object(text or built.get("input"))
        return built

    def goes_back(self, *, cut: bool) -> bool:
        """Whether it belongs into the next request. cut: the answer did not come to its own end.

        The API refuses thinking without the signature that follows it, a part of a server's tool
        call or result, and input without the call that it is for.
        """
        if not self.started and self.kind not in {"text", "thinking"}:
            return False
        if not cut:
            return True
        if self.kind == "thinking":
            return self.ended and bool(self.build().get("signature"))
        return self.ended or self.kind in _PARTLY_SENT


def input_object(value: Any) -> dict[str, Any]:
    """The input of a tool as an object; what is none goes under INVALID_JSON, as its text."""
    if value is None or isinstance(value, str | dict):
        return valid_object(value)
    return {INVALID_JSON: value}


def typed_block(block: Any, frame: Frame) -> dict[str, Any] | None:
    """A block with its type, which its other keys may tell; None if only its deltas can."""
    if isinstance(block, str):
        block = {"text": block}
    content = cast("dict[str, Any]", block) if isinstance(block, dict) else {}
    if content.get("type") and isinstance(content["type"], str):
        return content
    frame.repair("unexpected-type")
    kind = next((key for key in ("text", "thinking") if key in content), None)
    if kind is None and {"id", "name", "input"} <= content.keys():
        return {**content, "type": "tool_use"}
    return {**content, "type": kind} if kind is not None else None
