"""The assistant's message of one choice in the OpenAI dialect, as it grows.

It is what the next request gives back. A whole answer has it as it came. Of a stream it is what the
whole answer would have had: the pieces of each text joined (reasoning under the name that the
provider gave it), tool calls with the keys that only the provider knows, parts of the content in
their order, and all other keys joined (joined_pieces.py). What was told as null or empty is left
out, but for the content.

Not in it: what belongs to the transport (indexes of calls in a stream, padding, a finish reason),
and of a sound with an id the data:
https://platform.openai.com/docs/guides/audio#multi-turn-conversations wants the id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from ..core.jsontext import dumps
from .joined_pieces import JoinedList, JoinedObject
from .tool_calls import ToolCalls

__all__ = ["OpenAIMessage"]

_TEXTS = frozenset(
    {"content", "reasoning", "reasoning_content", "reasoning_text", "refusal", "thinking"}
)
_ELSEWHERE = frozenset({"finish_reason", "function_call", "padding", "role", "tool_calls"})
_TEXT_PART = frozenset({"type", "text"})


class OpenAIMessage:
    """What is known of the message. calls: its tool calls.

    is_steady: whether the latest piece had nothing but texts that those before it had not.
    has_function_call: whether the call came as `function_call`, the form before `tool_calls`.
    """

    def __init__(self, calls: ToolCalls) -> None:
        self._calls = calls
        self._role = "assistant"
        self._texts: dict[str, list[str]] = {}  # in pieces
        # Parts of the content that are no text, each list with how many pieces of text precede it.
        self._parts: list[tuple[int, JoinedList]] = []
        self._in_parts = False
        self._others = JoinedObject()
        self._whole: Mapping[str, Any] | None = None
        self.is_steady = True
        self.has_function_call = False

    def writer(self, key: str) -> Callable[[str], object]:
        """What takes further pieces of the text under `key`."""
        text = self._texts.get(key)
        if text is None:
            text = self._texts[key] = []
        return text.append

    def add(self, delta: Mapping[str, Any]) -> None:
        """Take a piece."""
        new = False
        for key, value in delta.items():
            if value is None or key in _ELSEWHERE:
                continue
            if key in _TEXTS and isinstance(value, str):
                write = self.writer(key)
                if value:
                    write(value)
            elif key != "content":
                # A truth value in place of a text (`refusal: false`) says nothing.
                if key not in _TEXTS or not isinstance(value, bool):
                    new = self._others.put(key, value) or new
            elif isinstance(value, list):
                new = True
                self._add_parts(cast("list[Any]", value))
            else:
                self.writer(key)(dumps(value).decode())
        if "role" in delta and isinstance(role := delta["role"], str) and role:
            self._role = role
        self.is_steady = not new

    def take_whole(self, message: Mapping[str, Any]) -> None:
        """Take the message of an answer that is not streamed."""
        self._whole = message

    def _add_parts(self, parts: list[Any]) -> None:
        self._in_parts = True
        write = self.writer("content")
        others: list[Any] = []
        for part in parts:
            if isinstance(part, str):
                text: Any = part
            elif isinstance(part, dict) and cast("dict[str, Any]", part).keys() <= _TEXT_PART:
                text = cast("dict[str, Any]", part).get("text")
            else:
                text = None
            if not isinstance(text, str):
                others.append(part)
                continue
            self._put_parts(others)
            others = []
            write(text)
        self._put_parts(others)

    def _put_parts(self, parts: list[Any]) -> None:
        if not parts:
            return
        at = len(self._texts["content"])
        if not self._parts or self._parts[-1][0] != at:
            self._parts.append((at, JoinedList()))
        self._parts[-1][1].add(parts)

    def build(self) -> dict[str, Any] | None:
        """The message so far; None if nothing of it came."""
        calls = self._calls.native()
        if self._whole is not None:
            return _as_it_came(self._whole, calls)
        others = {key: value for key, value in self._others.build().items() if value or value == 0}
        audio = others.get("audio")
        if isinstance(audio, dict) and cast("dict[str, Any]", audio).get("id"):
            cast("dict[str, Any]", audio).pop("data", None)
        texts = {key: "".join(text) for key, text in self._texts.items() if key != "content"}
        said = {key: text for key, text in texts.items() if text}
        if not (self._texts or others or calls):
            return None
        message = {"role": self._role, "content": self._content(), **said}
        message |= {key: value for key, value in others.items() if key not in message}
        if calls and self.has_function_call:
            message["function_call"] = calls[0]["function"]
        elif calls:
            message["tool_calls"] = calls
        return message

    def _content(self) -> Any:
        if "content" not in self._texts:
            return None
        pieces = self._texts["content"]
        if not self._in_parts:
            return "".join(pieces)
        content: list[Any] = []
        begin = 0
        for end, parts in [*self._parts, (len(pieces), JoinedList())]:
            if text := "".join(pieces[begin:end]):
                content.append({"type": "text", "text": text})
            content += parts.build()
            begin = end
        return content


def _as_it_came(message: Mapping[str, Any], calls: list[dict[str, Any]]) -> dict[str, Any]:
    made = {key: message[key] for key in message if key not in {"finish_reason", "padding"}}
    content = made.get("content")
    if content is not None and not isinstance(content, str | list):
        made["content"] = dumps(content).decode()
    if made.get("tool_calls"):
        made["tool_calls"] = calls
    elif made.get("function_call") and calls:
        made["function_call"] = calls[0]["function"]
    elif made.get("function_call"):
        del made["function_call"]
    return made
