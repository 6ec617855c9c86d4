"""What an encoder is: it writes one answer, whoever gave it, in its dialect. It has no I/O.

An encoder is told what only its caller knows: the model that was asked for, the time, and an id for
an answer whose provider gave none.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from ..core.chunk import StreamChunk
from ..core.completion import Completion
from ..core.jsontext import dumps

__all__ = ["AnswerEncoder", "event"]


class AnswerEncoder(ABC):
    """Writes one answer: as a stream `write` for each chunk, then `end`; or `whole` alone.

    content_type: of a stream; a whole answer is JSON. heartbeat: what may be sent while nothing
    comes; clients ignore it. It is empty where the dialect has no such thing.
    """

    content_type: ClassVar[str] = "text/event-stream"
    heartbeat: ClassVar[bytes] = b""

    @abstractmethod
    def write(self, chunk: StreamChunk) -> bytes:
        """The frames for a chunk; b"" for one that says nothing in this dialect."""

    @abstractmethod
    def end(self, completion: Completion) -> bytes:
        """The frames that end the stream. completion: the answer, whose chunks were written."""

    @abstractmethod
    def whole(self, completion: Completion) -> dict[str, Any]:
        """The JSON value that answers a request for no stream."""


def event(payload: Any, name: str = "") -> bytes:
    """A server-sent event. payload: a JSON value."""
    field = f"event: {name}\n".encode() if name else b""
    return b"%bdata: %b\n\n" % (field, dumps(payload))
