"""Reads answers of Anthropic's Messages API: typed events, or one whole message.

https://docs.claude.com/en/docs/build-with-claude/streaming. An answer is whole when a
`message_delta` gives its stop reason; `message_stop` is the terminator. Content comes in blocks:
text is text, thinking is reasoning, `tool_use` is a tool call whose arguments come as pieces of
JSON. New kinds of events and blocks may come at any time; they are kept in `extra` if small.

`extra["thinking_blocks"]` are the thinking blocks with their signatures, ready to be sent back.
These and `extra["citations"]` come once, when the answer ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

from ..core.chunk import ChunkFields, FinishReason, ToolCallDeltaFields
from ..core.frame import Frame
from ..core.jsontext import loads_exact
from ..core.mending import mend_value
from ..core.vessel import Decoder, Progress
from .anthropic_usage import AnthropicUsage
from .call_arguments import arguments_text
from .concatenated_json import DONE
from .provider_errors import error_in_band
from .repeated_fields import RepeatFilter
from .wire_values import list_in, object_in, text_of

__all__ = ["AnthropicDecoder"]

_FINISH: dict[str, FinishReason] = {
    **dict.fromkeys(("end_turn", "stop_sequence"), "stop"),
    **dict.fromkeys(("max_tokens", "model_context_window_exceeded"), "length"),
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_KNOWN_IN_MESSAGE = frozenset({"content", "id", "model", "role", "stop_reason", "type", "usage"})


class _Block:
    """A content block as it grows. slot: of its tool call. pieces: of its thinking or input."""

    def __init__(self, content: dict[str, Any], slot: str | None = None) -> None:
        self.content = content
        self.slot = slot
        self.pieces: list[str] = []


class AnthropicDecoder(Decoder):
    """The decoder of one answer. vessel: its name, for errors."""

    def __init__(self, vessel: str) -> None:
        self._vessel = vessel
        self._repeats = RepeatFilter()
        self._blocks: dict[int, _Block] = {}
        self._calls = 0
        # What `extra` gets when the answer ends.
        self._lists: dict[str, list[Any]] = {"thinking_blocks": [], "citations": []}
        self._listed = 0
        self._usage = AnthropicUsage(self._repeats)
        self._begun = False

    def decode(self, frame: Frame) -> Iterable[ChunkFields]:
        """The chunk of an event; of a whole message one for each block, and one for the rest."""
        data = frame.data
        if data is None:
            return ()
        if data.strip() == DONE:
            frame.repair("done-marker")
            return ()
        try:
            # A whole message has arguments as values: an integer may be of any size.
            value = loads_exact(data) if '"tool_use"' in data else frame.json()
        except ValueError:
            if frame.event == "error":
                raise error_in_band(self._vessel, data) from None
            raise
        if not isinstance(value, dict):
            raise ValueError(f"an event is {type(value).__name__}, not an object")  # noqa: TRY004
        event = cast("dict[str, Any]", value)
        if event.get("type") == "error" or event.get("error"):
            raise error_in_band(self._vessel, event.get("error") or event)
        return filter(None, self._read(event, frame))

    def _read(self, event: dict[str, Any], frame: Frame) -> Iterator[ChunkFields]:
        kind = event.get("type")
        match kind:
            case "content_block_delta":
                yield self._delta(event, frame)
            case "content_block_start":
                yield self._stop(_index(event))  # another one that never ended
                yield self._start(_index(event), object_in(event, "content_block"), frame)
            case "content_block_stop":
                yield self._stop(_index(event))
            case "message_start":
                yield from self._message(object_in(event, "message"), frame)
            case "message_delta":
                yield self._end(object_in(event, "delta"), object_in(event, "usage"))
            case "message_stop":
                if self._begun:
                    self.progress = Progress.TERMINATED
                yield self._kept(event, frozenset({"type"}))
            case "message":
                yield from self._message(event, frame)
                if event.get("stop_reason") is None:
                    frame.repair("missing-finish-reason")
                yield self._end(event, {})
                self.progress = Progress.TERMINATED
            case "ping":
                pass
            case str():
                yield self._kept({kind: event})
            case _:
                raise ValueError("an event without a type")

    def _message(self, message: dict[str, Any], frame: Frame) -> Iterator[ChunkFields]:
        self._begun = True
        fields = self._kept(message, _KNOWN_IN_MESSAGE)
        if role := text_of(message.get("role")):
            fields["role"] = role
        if identifier := text_of(message.get("id")):
            fields["response_id"] = identifier
        if model := text_of(message.get("model")):
            fields["model"] = model
        self._usage.add(object_in(message, "usage"), fields)
        yield fields
        for index, content in enumerate(list_in(message, "content")):
            yield self._start(index, content, frame)
            yield self._stop(index)

    def _start(self, index: int, content: dict[str, Any], frame: Frame) -> ChunkFields:
        block = self._blocks[index] = _Block(dict(content))
        match content.get("type"):
            case "text":
                self._lists["citations"] += content.get("citations") or ()
                return {"text": text} if (text := text_of(content.get("text"))) else {}
            case "thinking":
                thinking = text_of(content.get("thinking"))
                return {"reasoning": thinking} if thinking else {}
            case "tool_use":
                block.slot = str(self._calls)
                block.content["input"] = mend_value(content.get("input"), frame)
                self._calls += 1
                call: ToolCallDeltaFields = {"slot": block.slot, "index": index}
                call["id"] = text_of(content.get("id"))
                call["name"] = text_of(content.get("name"))
                return {"tool_calls": [call]}
            case _:
                return {}

    def _delta(self, event: dict[str, Any], frame: Frame) -> ChunkFields:
        delta = object_in(event, "delta")
        kind = text_of(delta.get("type"))
        block = self._blocks.get(_index(event))
        if block is None:
            frame.repair("missing-block-start")
            block = self._blocks[_index(event)] = _Block({"type": kind.removesuffix("_delta")})
        match kind:
            case "text_delta":
                return {"text": text} if (text := text_of(delta.get("text"))) else {}
            case "thinking_delta":
                if thinking := text_of(delta.get("thinking")):
                    block.pieces.append(thinking)
                    return {"reasoning": thinking}
            case "input_json_delta":
                if piece := text_of(delta.get("partial_json")):
                    block.pieces.append(piece)
                    if block.slot is not None:
                        return {"tool_calls": [{"slot": block.slot, "arguments": piece}]}
            case "signature_delta":
                block.content["signature"] = text_of(delta.get("signature"))
            case "citations_delta":
                self._lists["citations"].append(delta.get("citation"))
            case _:
                return self._kept({kind or "delta": delta})
        return {}

    def flush(self, frame: Frame) -> Iterable[ChunkFields]:  # noqa: ARG002
        """The blocks of a complete answer that were never ended, and lists not given yet."""
        if self.progress is Progress.OPEN:
            return ()
        left = [self._stop(index) for index in tuple(self._blocks)]
        return filter(None, [*left, self._grown()])

    def _stop(self, index: int) -> ChunkFields:
        """The chunk of a block that has ended."""
        block = self._blocks.pop(index, None)
        if block is None:
            return {}
        content, joined = block.content, "".join(block.pieces)
        match content.get("type"):
            case "tool_use":
                # Servers that do not stream the input give it at the start.
                if joined or not content.get("input") or block.slot is None:
                    return {}
                arguments = arguments_text(content["input"])
                return {"tool_calls": [{"slot": block.slot, "arguments": arguments}]}
            case "thinking" | "redacted_thinking" as kind:
                if kind == "thinking":
                    content["thinking"] = text_of(content.get("thinking")) + joined
                self._lists["thinking_blocks"].append(content)
            case "text" if not joined:
                pass
            case _:
                if joined:
                    content["input"] = joined
                return self._kept({f"block_{index}": content})
        return {}

    def _grown(self) -> ChunkFields:
        """A chunk of the lists that have grown since they were given."""
        size = sum(map(len, self._lists.values()))
        if size == self._listed:
            return {}
        self._listed = size
        return {"extra": {name: list(items) for name, items in self._lists.items() if items}}

    def _end(self, delta: dict[str, Any], usage: dict[str, Any]) -> ChunkFields:
        fields = self._kept(delta, _KNOWN_IN_MESSAGE)
        if reason := text_of(delta.get("stop_reason")):
            fields["finish_reason"] = _FINISH.get(reason, "other")
            fields["raw_finish_reason"] = reason
            if self.progress is Progress.OPEN:
                self.progress = Progress.FINISHED
                if "extra" in (lists := self._grown()):
                    fields["extra"] = {**fields.get("extra", {}), **lists["extra"]}
        self._usage.add(usage, fields)
        return fields

    def _kept(self, given: dict[str, Any], known: frozenset[str] = frozenset()) -> ChunkFields:
        """A chunk of fields that the universal chunk does not have."""
        extra = self._repeats.unknown_fields(given, known)
        return {"extra": extra} if extra else {}


def _index(event: dict[str, Any]) -> int:
    index = event.get("index")
    if type(index) is not int:
        raise ValueError(f"a block's index is {type(index).__name__}")
    return index
