"""The stream of the OpenAI API, https://platform.openai.com/docs/api-reference/chat-streaming.

A failed answer has an error object and no `[DONE]`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...core.chunk import StreamChunk
from ...core.clock import SYSTEM_CLOCK, Clock
from ...vessels.openai_shape import chunk_to_openai
from .problem import Problem
from .protocol import Ending, EventProtocol

__all__ = ["OpenAIEvents"]


class OpenAIEvents(EventProtocol):
    """`chat.completion.chunk` objects, all with the same id, time and model."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._created = clock.wall() // 1_000_000
        self._id = self._model = ""

    def payloads(self, chunk: StreamChunk) -> Sequence[Any]:
        """The chunk as an object of the API."""
        value = chunk_to_openai(chunk, created=self._created)
        # The id of some servers changes in the stream: the first one stays.
        self._id = self._id or value["id"] or self._own_id()
        self._created = value["created"]
        self._model = self._model or value["model"]
        return ({**value, "id": self._id, "model": self._model},)

    def _own_id(self) -> str:
        place = self._created if self.session is None else f"{self.session}-{self.call}"
        return f"chatcmpl-{place}"

    def end(self, ending: Ending) -> bytes:  # noqa: ARG002 - the chunks said it
        """The answer is whole."""
        return self.last(b"[DONE]")

    def fail(self, problem: Problem) -> bytes:
        """The error, as the API sends it in a stream."""
        return self.last(self.refuse(problem))

    def refuse(self, problem: Problem) -> dict[str, Any]:
        """The error, in the API's form."""
        return {"error": {**problem.to_dict(), "type": problem.code, "param": None}}
