"""This library's own events: `chunk`, then one terminal event, `end` or `error`.

A chunk is the JSON of a `StreamChunk` without the fields that have their default:
`StreamChunk.model_validate_json` reads it back, all but `raw`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ...core.chunk import StreamChunk
from .problem import Problem
from .protocol import Ending, EventProtocol

__all__ = ["VesselogEvents"]


class VesselogEvents(EventProtocol):
    """Everything that a chunk holds."""

    chunk_event: ClassVar[bytes] = b"chunk"

    def payloads(self, chunk: StreamChunk) -> Sequence[Any]:
        """The chunk's fields."""
        given = chunk.model_dump(exclude_defaults=True)
        return ({"call": chunk.call, "seq": chunk.seq, "t": chunk.t, **given},)

    def end(self, ending: Ending) -> bytes:
        """How the answer ended, and where it is recorded."""
        usage = None if ending.usage is None else ending.usage.model_dump(exclude_none=True)
        said = {
            "outcome": ending.outcome,
            "finish_reason": ending.finish_reason,
            "usage": usage,
            "session": self.session,
            "call": self.call,
        }
        return self.last(said, b"end")

    stop = end

    def fail(self, problem: Problem) -> bytes:
        """What went wrong."""
        return self.last(
            {**problem.to_dict(), "session": self.session, "call": self.call}, b"error"
        )
