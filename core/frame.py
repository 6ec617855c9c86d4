"""One frame of an answer, as a decoder gets it.

The fields of an event are parsed by httpx-sse, one complete event at a time. An event that is
one `data:` line, or an `event:` line before it, as nearly every event of a model's stream is, takes
a direct path with the same result.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import orjson
from httpx_sse import EventSource

from .errors import ProtocolError
from .framing import Framing
from .jsontext import LARGE, ZEROS, TooManyValuesError, loads, loads_bounded, loads_exact

if TYPE_CHECKING:
    import httpx

__all__ = ["BYTES_A_CONTAINER", "MOST_CONTAINERS", "MOST_PIECES", "Frame"]

BYTE_ORDER_MARK = "\ufeff"

# How many choices, tool calls, content blocks or events one frame may hold; a large frame one for
# each 512 bytes. Providers give at most 128 choices and 128 calls. Each costs up to 25 us, so that
# those of 1 MB keep the event loop for less than 50 ms.
MOST_PIECES = 1024
_BYTES_A_PIECE = 512
# How many lists and objects of any kind it may hold, or one for so many bytes of a large frame. The
# garbage collector visits each: up to 0.6 us where memory is fragmented.
MOST_CONTAINERS = 49_152
BYTES_A_CONTAINER = 11

_SSE = Framing.SSE  # looking up a member of an enumeration costs as much as a comparison

# An event of two lines, as servers name them.
_NAMED_EVENT = re.compile(r"event: ([^\r\n]+)\ndata: ([^\r\n]+)\n\n")
# The end of a line, and one that is neither a comment nor a field, nor white space alone.
_NO_FIELD = re.compile(r"[\r\n](?!(?:data|event|id|retry)(?:[:\r\n]|\Z)|:)[ \t]*[^ \t\r\n]")


class Frame:
    """One unit of the wire: an NDJSON line, an SSE event with its blank line, or a whole body.

    Attributes:
        raw: Its exact bytes.
        text: `raw` as text, invalid UTF-8 replaced by U+FFFD (`valid` is then false).
        valid: Whether it is valid UTF-8.
        event: The SSE event's type ("message" unless it names one).
        data: The payload alone; None where there is none (a comment, an empty line).
        ignored: Whether the SSE event has a line that is not a field, which parsers drop.
        parsed: Whether `json` gave a value.
        pieces: How many choices, tool calls and content blocks `count` has counted so far.
        repairs: The names of the deviations that were mended, in order.
    """

    __slots__ = ("data", "event", "ignored", "parsed", "pieces", "raw", "repairs", "text", "valid")

    def __init__(self, raw: bytes, framing: Framing, *, first: bool = False) -> None:
        self.raw = raw
        self.valid = True
        self.ignored = False
        self.parsed = False
        self.pieces = 0
        self.repairs: tuple[str, ...] = ()
        self.event = "message"
        self.data: str | None
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            text = raw.decode(errors="replace")
            self.valid = False
            self.repair("invalid-utf-8")
        self.text = text
        if first and text.startswith(BYTE_ORDER_MARK):
            text = text[1:]
            self.repair("byte-order-mark")
        if framing is not _SSE:
            self.data = text.strip("\r\n \t") or None
            return
        one_line = text.find("\n") == len(text) - 2 and text[-1] == "\n" and "\r" not in text
        if one_line and text.startswith("data: "):
            self.data = text[6:-2] or None
        elif one_line and text.startswith(":"):
            self.data = None  # a comment
        elif (named := _NAMED_EVENT.fullmatch(text)) is not None:
            self.event, self.data = named.groups()
        else:
            self.event, self.data = _parse_event(text)
            self.ignored = _NO_FIELD.search("\n" + text) is not None

    def json(self) -> Any:
        """The parsed payload, integers exact. Raises ValueError, ProtocolError if `overfull`."""
        data = self.data
        if data is None:
            raise ValueError("the frame has no data")
        if len(data) > MOST_CONTAINERS:
            return self._large_json(data)
        try:
            large = LARGE in self.raw.translate(ZEROS)  # inline: it is in the path of every frame
            value = loads_exact(data) if large else orjson.loads(data)
        except orjson.JSONDecodeError:
            value = loads(data)
        self.parsed = True
        return value

    def _large_json(self, data: str) -> Any:
        before = gc.get_count()[0]
        try:
            value, mended = loads_bounded(data)
        except TooManyValuesError:
            self.count(len(self.raw))
            raise
        self.parsed = True
        if mended:
            self.repair("lone-surrogate")
        containers = gc.get_count()[0] - before
        if containers > max(MOST_CONTAINERS, len(data) // BYTES_A_CONTAINER):
            value = None  # else the error's traceback keeps it
            self.count(containers)
        return value

    @property
    def overfull(self) -> bool:
        """Whether more pieces were counted than a frame may hold."""
        return self.pieces > max(MOST_PIECES, len(self.raw) // _BYTES_A_PIECE)

    def count(self, pieces: int) -> None:
        """Add to the choices, tool calls, content blocks or events found in this frame.

        Call it with the number of these `pieces`, before they are read.

        Raises:
            ProtocolError: There are more than any answer needs.
        """
        self.pieces += pieces
        if self.overfull:
            raise ProtocolError(
                f"a frame of {len(self.raw)} bytes holds too many choices, tool calls, content"
                " blocks, events, numbers, or lists and objects of any kind: more than any answer"
                " needs",
                phase="body",
            )

    def repair(self, name: str) -> None:
        """Record `name`, of a deviation that was mended in this frame; each name is kept once."""
        if name not in self.repairs:
            self.repairs = (*self.repairs, name)


class _OneEvent:
    """What `EventSource` reads of a response, for the text of one complete event."""

    def __init__(self, text: str) -> None:
        self.headers = {"content-type": "text/event-stream"}
        self._text = text

    def iter_text(self) -> Iterator[str]:
        yield self._text
        # A last event without its blank line is an event, and any other ends before these.
        yield "\n\n"


def _parse_event(text: str) -> tuple[str, str | None]:
    events = EventSource(cast("httpx.Response", _OneEvent(text))).iter_sse()
    return next(((event.event, event.data or None) for event in events), ("message", None))
