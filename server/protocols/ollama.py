"""The stream of Ollama's chat route, https://github.com/ollama/ollama/blob/main/docs/api.md.

A failed answer ends with a line that has only an `error`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, cast

from ...core.assembler import merge
from ...core.chunk import StreamChunk, Timings
from ...core.clock import SYSTEM_CLOCK, Clock, timestamp
from ...core.jsontext import dumps
from .parts import Part, Parts
from .problem import Problem
from .protocol import Ending, Protocol

__all__ = ["OllamaLines"]

_DURATIONS = {
    "total_duration": "total",
    "load_duration": "load",
    "prompt_eval_duration": "prompt_eval",
    "eval_duration": "eval",
}


class OllamaLines(Protocol):
    """Lines of JSON with the first choice. A tool call comes whole, once it has ended."""

    headers: ClassVar[Mapping[str, str]] = {"content-type": "application/x-ndjson"}

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._parts = Parts()
        self._model = ""
        self._timings: Timings | None = None

    def chunk(self, chunk: StreamChunk) -> bytes:
        """A line for each kind of content in the chunk."""
        self._model = self._model or chunk.model or ""
        if chunk.timings is not None:
            self._timings = merge(self._timings, chunk.timings)
        return self._lines(self._parts.read(chunk))

    def end(self, ending: Ending) -> bytes:
        """The last line, with counts and durations."""
        reason = ending.finish_reason
        done: dict[str, Any] = {
            "done": True,
            "done_reason": "length" if reason == "length" else "stop",
        }
        for name, duration in _DURATIONS.items():
            if (seconds := getattr(self._timings, duration, None)) is not None:
                done[name] = round(seconds * 1e9)
        for name, count in ("prompt_eval_count", "input_tokens"), ("eval_count", "output_tokens"):
            if (tokens := getattr(ending.usage, count, None)) is not None:
                done[name] = tokens
        return self._lines(self._parts.end()) + self._line({"content": ""}, done)

    def fail(self, problem: Problem) -> bytes:
        """What went wrong."""
        return dumps(self.refuse(problem)) + b"\n"

    def refuse(self, problem: Problem) -> dict[str, Any]:
        """The error, in Ollama's form."""
        return {"error": problem.text}

    def _lines(self, parts: list[Part]) -> bytes:
        lines: list[bytes] = []
        for part in parts:
            if part.kind == "tool":
                if part.event == "end":
                    lines.append(self._line({"content": "", "tool_calls": [_call(part)]}))
            elif part.event == "delta":
                thinking = part.kind == "reasoning"
                said = (
                    {"content": "", "thinking": part.text} if thinking else {"content": part.text}
                )
                lines.append(self._line(said))
        return b"".join(lines)

    def _line(self, message: dict[str, Any], done: Mapping[str, Any] | None = None) -> bytes:
        value = {
            "model": self._model,
            "created_at": timestamp(self._clock.wall()),
            "message": {"role": "assistant", **message},
            **(done or {"done": False}),
        }
        return dumps(value) + b"\n"


def _call(part: Part) -> dict[str, Any]:
    try:
        arguments = part.arguments()
    except ValueError:
        arguments = part.text
    if not isinstance(arguments, dict):  # the dialect has only objects here
        arguments = {"arguments": arguments}
    function = {"name": part.name, "arguments": cast("dict[str, Any]", arguments)}
    return {"id": part.id, "function": function}
