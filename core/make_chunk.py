"""Makes chunks of the fields that a decoder gave, or that a recording holds.

Every field is checked by pydantic. But nearly every chunk has nothing besides its number and a
text, where all that there is to check is two types: it is put together without pydantic's help, at
half the cost, and equals the one that pydantic makes.
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

# An instance is these four to pydantic; a frozen model's own `__setattr__` sets none of them.
_new = cast("Callable[[type[StreamChunk]], StreamChunk]", object.__new__)
_set_fields_set = BaseModel.__dict__["__pydantic_fields_set__"].__set__
_set_extra = BaseModel.__dict__["__pydantic_extra__"].__set__
_set_private = BaseModel.__dict__["__pydantic_private__"].__set__

_BLANK = dict(StreamChunk.model_construct())
# The fields that are set, one object for all of a kind: pydantic copies it before it changes one.
_ALONE = {name: {"seq", "t", name, "raw"} for name in ("text", "reasoning")}
TEXT_ALONE, REASONING_ALONE = _ALONE["text"], _ALONE["reasoning"]


def make_chunk(fields: Mapping[str, Any], t: float, raw: str) -> StreamChunk:
    """The chunk of these fields, `seq` among them. Raises pydantic.ValidationError."""
    if len(fields) != 2:
        return _validate({**fields, "t": t, "raw": raw})
    name = "text" if "text" in fields else "reasoning"
    seq, text = fields.get("seq"), fields.get(name)
    if type(seq) is not int or type(text) is not str:
        return _validate({**fields, "t": t, "raw": raw})
    chunk = _new(StreamChunk)
    values: dict[str, Any] = vars(chunk)
    values |= _BLANK
    values["seq"] = seq
    values["t"] = t
    values[name] = text
    values["extra"] = {}
    values["raw"] = raw
    _set_fields_set(chunk, _ALONE[name])
    _set_extra(chunk, None)
    _set_private(chunk, None)
    return chunk
