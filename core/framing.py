"""Splits a body into frames: every byte of the body is in exactly one frame.

NDJSON is split on LF alone. SSE is split after each blank line; its line ends are LF, CRLF and CR
(https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream). A body is
one frame. These frames do not depend on how the network cut the bytes; pieces are what each read
gave. The size of a frame is limited, and the work is linear in the number of bytes, however small
the pieces.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum

from .errors import ProtocolError

__all__ = [
    "BYTE_ORDER_MARK",
    "DEFAULT_MAX_FRAME_BYTES",
    "MOST_LINES",
    "WHITE_SPACE",
    "Framing",
    "Splitter",
    "detect_framing",
]

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
WHITE_SPACE = b" \t\r\n"

# A chunk of text is some hundred bytes; the largest frames seen are images and log probabilities of
# whole answers, below 1 MiB. The bound keeps one endless line from taking the process down.
DEFAULT_MAX_FRAME_BYTES = 32 * 1024 * 1024

# Lines of one event. An answer's event has one or two; each costs about a microsecond.
MOST_LINES = 8192

_CARRIAGE_RETURN = 13  # bytes look for a number ten times as fast as for bytes


class Framing(Enum):
    """How a body is divided into frames."""

    NDJSON = "ndjson"
    SSE = "sse"
    BODY = "body"
    PIECES = "pieces"


def detect_framing(head: bytes, content_type: str, own: Framing, *, stream: bool) -> Framing | None:
    """The framing of a body that begins with `head`; None if that has no first character yet.

    It goes by that character, since content types are often wrong. Servers send events as
    application/json, one JSON object where a stream was asked for (Ollama's load and unload
    answers, gateways), and events where none was asked for.

    content_type: in lower case. own: the framing of the vessel's dialect. stream: whether a stream
    was asked for.
    """
    text = head.removeprefix(BYTE_ORDER_MARK).lstrip(WHITE_SPACE)
    if not text or BYTE_ORDER_MARK.startswith(text):
        return None
    first = text[:1]
    lines = stream and own is Framing.NDJSON
    named_lines = "ndjson" in content_type or "jsonl" in content_type
    if first == b"<":
        return Framing.BODY
    # The fields of an event (data, event, error, id, retry), or a comment.
    if first in b":deir" and not (lines and named_lines):
        return Framing.SSE
    if named_lines:
        return Framing.NDJSON
    if first in b"{[" and stream and "json" not in content_type:
        return own
    if first not in b"{[" and "event-stream" in content_type:
        return Framing.SSE
    return Framing.NDJSON if lines else Framing.BODY


class Splitter:
    """Cuts a body into the exact bytes of its frames.

    `split` the bytes as they arrive; at the end take the `rest`: a last frame without its
    terminator. error: a frame is larger than `max_frame_bytes`, or an event has more than
    `MOST_LINES` lines. Nothing is split from there on, and everything received is in `rest`.
    """

    def __init__(self, framing: Framing, max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES) -> None:
        self._sse = framing is Framing.SSE
        self._limit = max_frame_bytes
        self._end = _ENDS[framing]
        self._find = _FINDS[framing]
        self._kept = bytearray()  # a list of pieces of one byte would need forty times as much
        self._lines = 0
        self.error: ProtocolError | None = None

    def split(self, data: bytes) -> list[bytes]:
        """The frames that the next bytes of the body complete."""
        if self.error is not None:
            self._keep(data)
            return []
        if self._kept:
            # No boundary is longer than 3 bytes, the last of which is still to come.
            if self._find(bytes(self._kept[-3:]) + data, 0) < 0:
                lines = self._lines + _count_lines(data) if self._sse else 0
                self._bound(len(self._kept) + len(data), lines)
                self._keep(data)
                return []
            data = self.rest() + data
        end = self._end
        size = len(data)
        # Whether a line may end with CR, or an event have too many lines.
        unusual = self._sse and (
            _CARRIAGE_RETURN in data or (size > MOST_LINES and data.count(b"\n") > MOST_LINES)
        )
        if end and size <= self._limit and not unusual:
            if data.find(end) == size - len(end) >= 0:
                return [data]  # the most frequent case
            *frames, last = data.split(end)
            if last:
                self._keep(last)
            return [frame + end for frame in frames]
        return self._split(data)

    def _split(self, data: bytes) -> list[bytes]:
        """As `split`, where a frame may be too large or a line may end with CR."""
        frames: list[bytes] = []
        start, size = 0, len(data)
        while start < size and self.error is None:
            end = self._find(data, start)
            length = (size if end < 0 else end) - start
            many = self._sse and length > MOST_LINES
            self._bound(length, _count_lines(data[start : start + length]) if many else 0)
            if end < 0 or self.error is not None:
                self._keep(data[start:])
                break
            frames.append(data[start:end])
            start = end
        return frames

    def _bound(self, size: int, lines: int) -> None:
        """Set the error if a frame of so many bytes and lines is too large."""
        if size > self._limit:
            self.error = ProtocolError(
                f"a frame is larger than {self._limit} bytes; if that is intended, raise "
                "Limits(max_frame_bytes=…)",
                phase="body",
                setting="max_frame_bytes",
            )
        elif lines > MOST_LINES:
            self.error = ProtocolError(f"an event has more than {MOST_LINES} lines", phase="body")

    def rest(self) -> bytes:
        """What came after the last complete frame; the splitter is empty afterwards."""
        rest = bytes(self._kept)
        self._kept.clear()
        self._lines = 0
        return rest

    def _keep(self, piece: bytes) -> None:
        self._kept += piece
        if self._sse:
            self._lines += _count_lines(piece)


def _count_lines(data: bytes) -> int:
    return data.count(b"\n") + data.count(b"\r")


def _line_end(data: bytes, start: int) -> int:
    return data.find(b"\n", start) + 1 or -1


# A blank line after a line. CR after LF waits for one more byte, since LF may follow. CR after CR
# does not wait: else frames of a server that ends its lines with CR alone would come one frame
# late. If LF does follow, it begins the next frame, where it is an empty line and changes nothing.
_BLANK_LINE = re.compile(rb"\n(?:\n|\r\n|\r(?=[^\n]))|\r\r")


def _blank_line_end(data: bytes, start: int) -> int:
    match = _BLANK_LINE.search(data, start)
    return match.end() if match else -1


_FINDS: dict[Framing, Callable[[bytes, int], int]] = {
    Framing.NDJSON: _line_end,
    Framing.SSE: _blank_line_end,
    Framing.BODY: lambda _data, _start: -1,
    Framing.PIECES: lambda data, _start: len(data),
}
# Where no line ends with CR.
_ENDS = {Framing.NDJSON: b"\n", Framing.SSE: b"\n\n", Framing.BODY: b"", Framing.PIECES: b""}
