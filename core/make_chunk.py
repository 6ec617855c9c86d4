"""Makes a chunk from the fields that a decoder gave, or that a recording holds.

pydantic validates the fields. Nearly every chunk has only its number and a text, so that two types
are all there is to check: such a chunk is built directly, at half the cost, and equals the one that
pydantic makes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from pydantic import BaseModel

from .chunk import StreamChunk

__all__ = ["REASONING_ALONE", "TEXT_ALONE", "make_chunk"]

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
