"""Reads a frame of a recording, and the chunks that were recorded with it.

`chunks_of` reads the chunks alone, at less cost.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from pydantic import ValidationError

from ..chunk import StreamChunk
from ..errors import RecordingCorruptError
from ..exchange import Step
from ..frame import Frame
from ..framing import Framing
from ..make_chunk import make_chunk
from ..validation import explain
from .scan import ScannedLine, is_whole

__all__ = ["RecordedFrame", "chunks_of", "payload_of"]


def payload_of(fields: dict[str, Any]) -> bytes:
    """The exact bytes of the frame in a `frame` line. Raises ValueError if they cannot be read."""
    raw = fields.get("raw")
    if isinstance(raw, str):
        return raw.encode()
    encoded = fields.get("raw_b64")
    if isinstance(encoded, str):
        return b64decode(encoded, validate=True)
    raise ValueError("a frame line without its raw text")


def chunks_of(line: ScannedLine, call: int, age: int) -> list[StreamChunk]:
    """The chunks in a `frame` line, equal to those of its RecordedFrame.

    call: the line's. age: microseconds since the call's request left. Raises RecordingCorruptError.
    """
    fields = line.fields
    chunks: list[StreamChunk] = []
    try:
        text = fields["raw"]
        if not text.isascii():
            text.encode()  # fails for what is no text of a wire
        t = age / 1e6
        for each in fields.get("chunks", ()):
            chunks.append(make_chunk(each, t, text, call))  # noqa: PERF401 - a comprehension is a call
    except (AttributeError, KeyError, TypeError, ValueError):
        # Bytes that are no UTF-8, or damage, for which RecordedFrame has the error.
        return list(RecordedFrame.of(fields, line.t - age, line.where).chunks())
    return chunks


@dataclass(frozen=True, slots=True)
class RecordedFrame:
    """One frame of a recording.

    Attributes:
        n: The number of its line.
        call: The number of its call.
        t: When it came, in microseconds since the session began.
        started: When the call's request was sent, also in microseconds since then.
        raw: The exact bytes.
        partial: Whether it is the beginning of a frame that never ended.
        masked: Whether a key in it is masked.
        repairs: The names of the deviations that were mended.
        fields: The chunks as JSON values.
        place: Where the line is, for messages.
    """

    n: int
    call: int
    t: int
    started: int
    raw: bytes
    partial: bool
    masked: bool
    repairs: tuple[str, ...]
    fields: tuple[dict[str, Any], ...]
    place: str

    @classmethod
    def of(cls, line: dict[str, Any], started: int, place: str) -> RecordedFrame:
        """The frame of a line. Raises RecordingCorruptError if it cannot be one."""
        try:
            for key in ("n", "call", "t"):
                if not is_whole(line[key]):
                    raise ValueError(f"its {key!r} is {line[key]!r:.40}")
            return cls(
                n=line["n"],
                call=line["call"],
                t=line["t"],
                started=started,
                raw=payload_of(line),
                partial=line.get("partial") is True,
                masked=line.get("masked") is True,
                repairs=tuple(map(str, line.get("repairs", ()))),
                fields=tuple(cast("list[dict[str, Any]]", line.get("chunks", ()))),
                place=place,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise RecordingCorruptError(f"{place} is no frame: {error!r}") from None

    @property
    def text(self) -> str:
        """The frame as text, invalid UTF-8 replaced."""
        return self.raw.decode(errors="replace")

    def chunks(self) -> Iterator[StreamChunk]:
        """The chunks that were made of it when it was recorded. Raises RecordingCorruptError."""
        if not self.fields:
            return
        text = self.text
        t = (self.t - self.started) / 1e6
        for each in self.fields:
            try:
                chunk = make_chunk(each, t, text, self.call)
            except (AttributeError, TypeError, ValidationError) as error:
                raise RecordingCorruptError(
                    f"{self.place} holds a chunk that cannot be read: {explain(error)}"
                ) from None
            yield chunk

    def step(self) -> Step:
        """The frame with its chunks, in the form of a live one. Raises RecordingCorruptError."""
        framing = Framing.NDJSON if self.raw.lstrip()[:1] in {b"{", b"["} else Framing.SSE
        frame = Frame(self.raw, framing)
        frame.repairs = self.repairs
        return Step(
            frame,
            chunks=tuple(self.chunks()),
            fields=tuple(dict(each) for each in self.fields),
            partial=self.partial,
            masked=self.masked,
        )
