"""Reads answers of Ollama's own API: the lines of a stream, or one whole object.

https://github.com/ollama/ollama/blob/main/docs/api.md. An answer is whole at `done: true`.
Durations are in nanoseconds on the wire. Tool calls come whole, their arguments as objects. A
model that is loaded or unloaded answers with one object whose `done_reason` says so.

repeated_fields.py says which fields are left out where they repeat.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

from ..core.chunk import ChunkFields, FinishReason, ToolCallDeltaFields
from ..core.frame import Frame
from ..core.jsontext import loads_exact
from ..core.vessel import Decoder, Progress
from .concatenated_json import json_values
from .fast_path import FastPath
from .provider_errors import error_in_band
from .repeated_fields import RepeatFilter
from .tool_calls import ToolCalls
from .wire_values import text_of

__all__ = ["OllamaDecoder"]

_COUNTS = {"input_tokens": "prompt_eval_count", "output_tokens": "eval_count"}
_DURATIONS = {
    "total": "total_duration",
    "load": "load_duration",
    "prompt_eval": "prompt_eval_duration",
    "eval": "eval_duration",
}
_MEASURES = frozenset({*_COUNTS.values(), *_DURATIONS.values()})
_FINISH: dict[str, FinishReason] = {"stop": "stop", "length": "length"}
_KNOWN = frozenset(
    {
        *_MEASURES,
        *("created_at", "done", "done_reason", "error", "logprobs", "message", "model", "response"),
        *("thinking", "tool_calls"),
    }
)
_KNOWN_IN_MESSAGE = frozenset({"content", "role", "thinking", "tool_calls"})


class OllamaDecoder(Decoder):
    """The decoder of one answer. vessel: its name, for errors."""

    def __init__(self, vessel: str) -> None:
        self._vessel = vessel
        self._repeats = RepeatFilter()
        self._tool_calls = ToolCalls()
        self._fast_path = FastPath("created_at")

    def decode(self, frame: Frame) -> Iterable[ChunkFields]:
        """The chunk of a line, or of a whole answer."""
        data = frame.data
        if data is None:
            return ()
        fields = self._fast_path.read(data)
        if fields is not None:
            return (fields,)
        try:
            value = frame.json()
        except ValueError:
            return self._glued(data, frame)
        try:
            place = value.get("message", value)
            called = place.get("tool_calls")
        except AttributeError:
            return self._line(value, frame)
        if called:
            # Arguments are values here, and a tool may be called with an integer of any size.
            value = loads_exact(data)
        chunks = self._line(value, frame)
        self._fast_path.learn(value, place, chunks, frame)
        return chunks

    def _glued(self, data: str, frame: Frame) -> Iterator[ChunkFields]:
        values = json_values(data, frame)
        frame.repair("glued-lines")
        for value in values:
            yield from self._line(value, frame)

    def _line(self, value: Any, frame: Frame) -> list[ChunkFields]:
        if not isinstance(value, dict):
            raise ValueError(f"a line is {type(value).__name__}, not an object")  # noqa: TRY004
        line = cast("dict[str, Any]", value)
        if line.get("error"):
            raise error_in_band(self._vessel, line)
        if "choices" in line:
            raise ValueError("this is the OpenAI dialect, not Ollama's own")
        sent: Any = line.get("message") or {}
        if not isinstance(sent, dict):
            raise ValueError(f"message is {type(sent).__name__}")  # noqa: TRY004 - it is the wire's
        message = cast("dict[str, Any]", sent)
        repeats = self._repeats
        fields: ChunkFields = {}
        role = message.get("role")
        if role and isinstance(role, str) and repeats.is_new("role", role):
            fields["role"] = role
        if text := text_of(message.get("content")) + text_of(line.get("response")):
            fields["text"] = text
        if reasoning := text_of(message.get("thinking")) + text_of(line.get("thinking")):
            fields["reasoning"] = reasoning
        if calls := self._calls(message.get("tool_calls") or line.get("tool_calls"), frame):
            fields["tool_calls"] = calls
        if line.get("logprobs"):
            # A list on this wire; the universal form is that of the OpenAI dialect.
            fields["logprobs"] = {"content": line["logprobs"]}
        self._end(line, fields)
        model = line.get("model")
        if model and isinstance(model, str) and repeats.is_new("model", model):
            fields["model"] = model
        extra = repeats.unknown_fields(line, _KNOWN)
        extra.update(repeats.unknown_fields(message, _KNOWN_IN_MESSAGE, "message"))
        if extra:
            fields["extra"] = extra
        return [fields] if fields else []

    def _calls(self, calls: Any, frame: Frame) -> list[ToolCallDeltaFields]:
        if not calls:
            return []
        if not isinstance(calls, list):
            raise ValueError(f"tool_calls is {type(calls).__name__}")  # noqa: TRY004 - the wire's
        pieces = cast("list[Any]", calls)
        frame.count(len(pieces))
        made = [self._tool_calls.add(piece, frame, whole=True) for piece in pieces]
        return [delta for delta in made if delta is not None]

    def _end(self, line: dict[str, Any], fields: ChunkFields) -> None:
        if not _MEASURES.isdisjoint(line):
            _measure(line, fields)
        if line.get("done") is True:
            reason = line.get("done_reason")
            # Old servers give none; whether the answer was cut by its length is then unknown.
            if reason and isinstance(reason, str):
                fields["finish_reason"] = _FINISH.get(reason, "other")
                fields["raw_finish_reason"] = reason
            self.progress = Progress.TERMINATED


def _measure(line: dict[str, Any], fields: ChunkFields) -> None:
    """Add the token counts and durations of a line."""
    counts = {name: count for name, key in _COUNTS.items() if type(count := line.get(key)) is int}
    if counts:
        fields["usage"] = cast("dict[str, int | None]", counts)
    durations = {
        name: duration / 1e9
        for name, key in _DURATIONS.items()
        if isinstance(duration := line.get(key), int | float)
    }
    if durations:
        fields["timings"] = cast("dict[str, float | None]", durations)
