"""Reads answers of Ollama's own API: the lines of a stream, or one whole object.

https://github.com/ollama/ollama/blob/main/docs/api.md. An answer is whole at `done: true`.
Durations are in nanoseconds on the wire. A model that is loaded or unloaded answers with one object
whose `done_reason` says so. ollama_message.py has the message as it grows, and its tool calls.

Fields that only the API knows are in `extra`, whatever their size; those of the message are in its
native form too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

from ..core.chunk import ChunkFields, FinishReason
from ..core.frame import Frame
from ..core.native import NativeMessages
from ..core.vessel import Decoder, Progress
from .concatenated_json import json_values
from .fast_path import FastPath
from .mended_values import is_word, mended_object, mended_text
from .ollama_message import OllamaMessage
from .provider_errors import error_in, error_in_band
from .repeated_fields import RepeatFilter
from .wire_values import whole_number

__all__ = ["OllamaDecoder"]

_COUNTS = {"input_tokens": "prompt_eval_count", "output_tokens": "eval_count"}
_DURATIONS = {
    "total": "total_duration",
    "load": "load_duration",
    "prompt_eval": "prompt_eval_duration",
    "eval": "eval_duration",
}
_MEASURES = frozenset({*_COUNTS.values(), *_DURATIONS.values()})
_FINISH: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    # Not answers: the model was loaded, or unloaded, as the request asked.
    "load": "other",
    "unload": "other",
}
_KNOWN = frozenset(
    {
        *_MEASURES,
        *("created_at", "done", "done_reason", "error", "logprobs", "message", "model", "response"),
        *("thinking", "tool_calls"),
    }
)
# What a line of an answer has at least one of.
_ANSWER = _KNOWN - {"created_at", "error", "model"}
_EMPTY: tuple[Any, ...] = ("", [], {})
_KNOWN_IN_MESSAGE = frozenset({"content", "done_reason", "role", "thinking", "tool_calls"})


class OllamaDecoder(Decoder):
    """The decoder of one answer. vessel: its name, for errors."""

    def __init__(self, vessel: str) -> None:
        self._vessel = vessel
        self._repeats = RepeatFilter()
        self._message = OllamaMessage()
        self._is_steady = True  # no field of the latest line must be kept
        self._fast_path = FastPath("created_at")

    def decode(self, frame: Frame) -> Iterable[ChunkFields]:
        """The chunk of a line, or of a whole answer."""
        data = frame.data
        if data is None:
            return ()
        fields = self._fast_path.read(data)
        if fields is not None:
            self._keep(fields)
            return (fields,)
        try:
            value = frame.json()
        except ValueError:
            return self._not_json(data, frame)
        try:
            place = value.get("message", value)
        except AttributeError:
            return self._line(value, frame)
        chunks = self._line(value, frame)
        if self._is_steady:
            self._fast_path.learn(value, place, chunks, frame)
        return chunks

    def flush(self, frame: Frame) -> Iterable[ChunkFields]:
        """The ids of calls that have none, where the answer was cut."""
        ids = self._message.close(frame, complete=self.progress is not Progress.OPEN)
        return [{"tool_calls": ids}] if ids else ()

    def native(self) -> NativeMessages:
        """The message of the chat route; a generated text is one too."""
        message = self._message.native()
        return {} if message is None else {0: message}

    def _keep(self, fields: ChunkFields) -> None:
        if "text" in fields:
            self._message.content.append(fields["text"])
        if "reasoning" in fields:
            self._message.thinking.append(fields["reasoning"])

    def _not_json(self, data: str, frame: Frame) -> Iterable[ChunkFields]:
        if is_word(data):
            frame.repair("unknown-event")
            return ()
        return self._glued(data, frame)

    def _glued(self, data: str, frame: Frame) -> Iterator[ChunkFields]:
        values = json_values(data, frame)
        if len(values) > 1:
            frame.repair("glued-lines")
        for value in values:
            yield from self._line(value, frame)

    def _line(self, value: Any, frame: Frame) -> list[ChunkFields]:
        line = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        if error_in(line) is not None:
            raise error_in_band(self._vessel, line)
        if "choices" in line:
            raise ValueError("this is the OpenAI dialect, not Ollama's own")
        if line.keys().isdisjoint(_ANSWER):
            frame.repair("unknown-event")
            return []
        message = mended_object(line.get("message"), frame)
        repeats = self._repeats
        fields: ChunkFields = {}
        role = message.get("role")
        if role and isinstance(role, str) and repeats.is_new("role", role):
            fields["role"] = role
        text = mended_text(message.get("content"), frame) + mended_text(line.get("response"), frame)
        if text:
            fields["text"] = text
        reasoning = mended_text(message.get("thinking"), frame)
        reasoning += mended_text(line.get("thinking"), frame)
        if reasoning:
            fields["reasoning"] = reasoning
        self._keep(fields)
        sent = message.get("tool_calls") or line.get("tool_calls")
        if sent and (calls := self._message.read_calls(sent, frame)):
            fields["tool_calls"] = calls
        if line.get("logprobs"):
            # A list on this wire; the universal form is that of the OpenAI dialect.
            fields["logprobs"] = {"content": line["logprobs"]}
        model = line.get("model")
        if model and isinstance(model, str) and repeats.is_new("model", model):
            fields["model"] = model
        own = self._repeats.unknown_fields(message, _KNOWN_IN_MESSAGE, "message")
        known = message.keys() & _KNOWN_IN_MESSAGE
        self._is_steady = not self._message.keep(
            {
                key: message[key]
                for key in message
                if key not in known and message[key] not in _EMPTY
            }
        )
        if extra := {**self._repeats.unknown_fields(line, _KNOWN), **own}:
            fields["extra"] = extra
        self._end(line, fields, frame)
        return [fields] if fields else []

    def _elsewhere(self, message: Any, frame: Frame) -> Any:
        reason = mended_object(message, frame).get("done_reason")
        if reason:
            frame.repair("finish-reason-elsewhere")
        return reason

    def _end(self, line: dict[str, Any], fields: ChunkFields, frame: Frame) -> None:
        if not _MEASURES.isdisjoint(line):
            _measure(line, fields)
        if line.get("done") is True:
            reason = line.get("done_reason") or self._elsewhere(line.get("message"), frame)
            # Old servers give none; whether the answer was cut by its length is then unknown.
            if reason and isinstance(reason, str):
                if reason not in _FINISH and not self._message.said:
                    frame.repair("unknown-finish-reason")
                fields["finish_reason"] = _FINISH.get(reason, "other")
                fields["raw_finish_reason"] = reason
            elif self._message.calls_tools:
                fields["finish_reason"] = "tool_calls"
            if ids := self._message.close(frame, complete=True):
                fields["tool_calls"] = [*fields.get("tool_calls", ()), *ids]
            self.progress = Progress.TERMINATED


def _measure(line: dict[str, Any], fields: ChunkFields) -> None:
    """Add the token counts and durations of a line."""
    counts = {
        name: count
        for name, key in _COUNTS.items()
        if (count := whole_number(line.get(key))) is not None
    }
    if counts:
        fields["usage"] = cast("dict[str, int | None]", counts)
    durations = {
        name: duration / 1e9
        for name, key in _DURATIONS.items()
        if isinstance(duration := line.get(key), int | float)
    }
    if durations:
        fields["timings"] = cast("dict[str, float | None]", durations)
