"""Makes chunks from the fields that a decoder gave, or that a recording holds.

Those of an answer are numbered in order. On the way halves of characters are joined, think tags are
split where that was asked for, and an answer that calls tools gets that finish reason.

pydantic validates the fields. Nearly every chunk has only its number and a text, so that two types
are all there is to check: such a chunk is built directly, at half the cost, and equals the one that
pydantic makes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from pydantic import BaseModel

from .chunk import ChunkFields, StreamChunk
from .frame import Frame
from .mending import Mender, need_mending
from .request import SplitThink
from .think_tags import ThinkSplitter

__all__ = ["REASONING_ALONE", "TEXT_ALONE", "ChunkMaker", "make_chunk"]

# What `StreamChunk.model_validate` calls, at a quarter less.
_validate: Callable[[dict[str, Any]], StreamChunk] = (
    StreamChunk.__pydantic_validator__.validate_python
)

# What a pydantic instance consists of; `__setattr__` of a frozen model sets none of these.
_new = cast("Callable[[type[StreamChunk]], StreamChunk]", object.__new__)
_set_values = BaseModel.__dict__["__dict__"].__set__
_set_fields_set = BaseModel.__dict__["__pydantic_fields_set__"].__set__
_set_extra = BaseModel.__dict__["__pydantic_extra__"].__set__
_set_private = BaseModel.__dict__["__pydantic_private__"].__set__

_BLANK: dict[str, Any] = dict(StreamChunk.model_construct())
# The sets of given fields, shared by all such chunks: pydantic copies a set before it changes it.
_ALONE = {name: {"call", "seq", "t", name, "raw"} for name in ("text", "reasoning")}
TEXT_ALONE, REASONING_ALONE = _ALONE["text"], _ALONE["reasoning"]


def make_chunk(fields: Mapping[str, Any], t: float, raw: str, call: int) -> StreamChunk:
    """The chunk of these fields, `seq` among them. Raises pydantic.ValidationError."""
    name = "text" if "text" in fields else "reasoning"
    seq, text = fields.get("seq"), fields.get(name)
    if len(fields) != 2 or type(seq) is not int or type(text) is not str:
        return _validate({**fields, "call": call, "t": t, "raw": raw})
    chunk = _new(StreamChunk)
    values = _BLANK.copy()
    values["call"] = call
    values["seq"] = seq
    values["t"] = t
    values[name] = text
    values["extra"] = {}
    values["raw"] = raw
    _set_values(chunk, values)
    _set_fields_set(chunk, _ALONE[name])
    _set_extra(chunk, None)
    _set_private(chunk, None)
    return chunk


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
