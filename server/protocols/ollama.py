"""The stream of Ollama's chat route, https://github.com/ollama/ollama/blob/main/docs/api.md.

A failed answer ends with a line that has only an `error`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ...core.chunk import StreamChunk
from ...core.clock import SYSTEM_CLOCK, Clock, timestamp
from ...core.completion import Completion
from ...core.jsontext import dumps
from ...vessels.ollama_encoder import OllamaEncoder
from .problem import Problem
from .protocol import Ending, Protocol

__all__ = ["OllamaLines"]


class OllamaLines(Protocol):
    """Lines of JSON with the first choice. A tool call comes whole, once it has ended."""

    headers: ClassVar[Mapping[str, str]] = {"content-type": OllamaEncoder.content_type}

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._encoder = OllamaEncoder(model="", now=lambda: timestamp(clock.wall()))

    def chunk(self, chunk: StreamChunk) -> bytes:
        """A line for what the chunk says."""
        return self._encoder.write(chunk)

    def end(self, ending: Ending) -> bytes:
        """The last line, with counts and durations."""
        answer = Completion(finish_reason=ending.finish_reason, usage=ending.usage)
        return self._encoder.end(answer)

    def fail(self, problem: Problem) -> bytes:
        """What went wrong."""
        return dumps(self.refuse(problem)) + b"\n"

    def refuse(self, problem: Problem) -> dict[str, Any]:
        """The error, in Ollama's form."""
        return {"error": problem.text}
