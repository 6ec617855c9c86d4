"""The text alone, as the AI SDK's text streams and simple clients read it.

There is no terminal event: the body of a whole answer ends, that of any other is cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ...core.chunk import StreamChunk
from .problem import Problem
from .protocol import Ending, Protocol

__all__ = ["PlainText"]


class PlainText(Protocol):
    """The text of the first choice, in UTF-8."""

    headers: ClassVar[Mapping[str, str]] = {"content-type": "text/plain; charset=utf-8"}

    def chunk(self, chunk: StreamChunk) -> bytes:
        """The chunk's text."""
        return b"" if chunk.choice else (chunk.text + chunk.refusal).encode()

    def end(self, ending: Ending) -> bytes:  # noqa: ARG002 - it has no event
        """The end of the body says it."""
        return b""

    def fail(self, problem: Problem) -> None:  # noqa: ARG002 - as above
        """The body is cut."""
        return
