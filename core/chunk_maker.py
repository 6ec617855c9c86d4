"""Makes an answer's chunks from the fields that its decoder gives, numbered in order.

On the way halves of characters are joined, think tags are split where that was asked for, and an
answer that calls tools gets that finish reason.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .chunk import ChunkFields, StreamChunk
from .frame import Frame
from .make_chunk import make_chunk
from .mending import Mender, need_mending
from .request import SplitThink
from .think_tags import ThinkSplitter

__all__ = ["ChunkMaker"]


class ChunkMaker:
    """The chunks of one answer, that of the call with this number.

    t: when the present frame arrived, in seconds since the request left. seq: the number of the
    next chunk.
    """

    def __init__(self, split_think: SplitThink, call: int) -> None:
        self._mender = Mender()
        self._thinking = ThinkSplitter(implied=split_think == "implied") if split_think else None
        self._calling: set[int] = set()  # the choices that call tools
        self._call = call
        self.t = 0.0
        self.seq = 0

    def make(
        self,
        decoded: list[ChunkFields],
        frame: Frame,
        chunks: list[StreamChunk],
        fields: list[dict[str, Any]],
        *,
        last: bool = False,
    ) -> None:
        """Add the chunks of a frame: for the caller, and as fields for the file.

        last: the answer has ended, so that nothing is held back any longer.
        """
        made: Iterable[ChunkFields] = decoded
        thinking = self._thinking
        if last or thinking is not None or self._mender.held or need_mending(decoded):
            made = self._mender.mend(decoded, frame, last=last)
            made = list(made if thinking is None else thinking.split(made, frame, last=last))
        t, raw, call = self.t, frame.text, self._call
        for each in made:
            if "finish_reason" in each or "tool_calls" in each:
                self._finish_with_calls(each)
            numbered = {"seq": self.seq, **each}
            chunks.append(make_chunk(numbered, t, raw, call))
            fields.append(numbered)
            self.seq += 1

    def _finish_with_calls(self, fields: ChunkFields) -> None:
        """An answer that calls tools ends with `tool_calls`, whatever the provider says."""
        choice = fields.get("choice", 0)
        if fields.get("tool_calls"):
            self._calling.add(choice)
        if fields.get("finish_reason") in {"stop", "other"} and choice in self._calling:
            fields["finish_reason"] = "tool_calls"
