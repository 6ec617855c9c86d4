"""Follows the exact bytes of a call while it is written, as Follow does with its chunks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast

from ...core.chunk import StreamChunk
from ...core.errors import RecordingCorruptError
from ...core.follow.follow import Follow
from ...core.follow.tail import Batch
from ...core.truth.recorded_frame import payload_of
from ...core.truth.scan import ScannedLine

__all__ = ["FollowFrames"]

# Any byte is one character of it, so that the text of a chunk can hold a frame.
_BYTES = "latin-1"


class FollowFrames(Follow):
    """The frames of one call, to be iterated once, until the call's end."""

    async def frames(self) -> AsyncIterator[bytes]:
        """Each frame's bytes. Raises as Follow does."""
        async for chunk in self:
            yield chunk.raw.encode(_BYTES)

    def _take(self, batch: Batch, chunks: list[StreamChunk]) -> RecordingCorruptError | None:
        return super()._take(cast("Batch", _Frames(batch.lines)), chunks)


class _Frames:
    """The lines of a batch, each frame among them as one chunk that has its bytes."""

    def __init__(self, lines: list[ScannedLine]) -> None:
        self.lines = lines

    def chunks(self, place: int, call: int, started: int) -> list[StreamChunk]:  # noqa: ARG002 - as a batch
        raw = payload_of(self.lines[place].fields).decode(_BYTES)
        return [StreamChunk(call=call, raw=raw)]
