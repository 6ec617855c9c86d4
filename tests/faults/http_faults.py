"""Scripted faults of a model server, each for every dialect.

A fault is what the server does, the verdicts that may follow, and after how many seconds at most.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from dialects import Dialect, dialect_of
from loopback import Conversation
from vesselog import (
    ConnectionFailedError,
    ProtocolError,
    ProviderError,
    StreamTimeoutError,
    Timeouts,
    TruncatedError,
)

__all__ = [
    "FAULTS",
    "PATIENT",
    "SILENCE",
    "TIMEOUTS",
    "TOTAL",
    "Fault",
    "Sending",
    "whole_answer",
]

TEXTS = ("Hi", " there", ", and", " bye")

SILENCE = 0.4
TOTAL = 1.2
TIMEOUTS = Timeouts(
    connect=SILENCE, first_chunk=SILENCE, idle=SILENCE, total=TOTAL, grace=0.2, drain=0.1
)
# For answers in which nothing is silent: a busy machine alone takes SILENCE at times.
PATIENT = TIMEOUTS.model_copy(update={"connect": 30, "first_chunk": 30, "idle": 30, "total": 30})


@dataclass
class Sending:
    """One answer on its way. body: the payload that was sent, as far as it is one."""

    conversation: Conversation
    body: bytearray = field(default_factory=bytearray)

    @property
    def dialect(self) -> Dialect:
        return dialect_of(self.conversation.request)

    @property
    def frames(self) -> list[bytes]:
        return self.dialect.frames(*TEXTS)

    @property
    def streamed(self) -> str:
        """The head's line of the content type."""
        return f"content-type: {self.dialect.content_type}\r\n"

    def head(self, **headers: str) -> None:
        self.conversation.head(content_type=self.dialect.content_type, **headers)

    def raw_head(self, *lines: str, status: str = "200 OK") -> None:
        """A head as it is; the content type is added."""
        head = "".join(f"{line}\r\n" for line in lines)
        self.conversation.raw(f"HTTP/1.1 {status}\r\n{self.streamed}{head}\r\n".encode())

    def chunk(self, data: bytes) -> None:
        self.body += data
        self.conversation.chunk(data)

    def raw(self, data: bytes) -> None:
        self.body += data
        self.conversation.raw(data)

    def some(self, count: int) -> None:
        """The head and the first frames."""
        self.head()
        for frame in self.frames[:count]:
            self.chunk(frame)

    def dribble(self, data: Callable[[int], bytes], pause: float) -> None:
        """Send pieces until the client hangs up."""
        number = 0
        while not self.conversation.server.released.wait(pause):
            self.chunk(data(number))
            number += 1


Verdict = type[Exception] | None


@dataclass(frozen=True)
class Fault:
    """What goes wrong. verdicts: the errors that are right, None for a complete answer.

    seconds: by when at most. plain: whether the payload is the body as it was sent. timeouts:
    TIMEOUTS where a deadline may end it, PATIENT where none may.
    """

    name: str
    script: Callable[[Sending], None]
    verdicts: tuple[Verdict, ...]
    seconds: float = SILENCE
    plain: bool = True
    timeouts: Timeouts = PATIENT


FAULTS: dict[str, Fault] = {}


def fault(
    *verdicts: Verdict,
    seconds: float = SILENCE,
    plain: bool = True,
    timeouts: Timeouts | None = None,
    **names: Any,
) -> Any:
    """Makes a fault of a script; several, where `names` gives an argument's values."""
    timeouts = timeouts or (TIMEOUTS if StreamTimeoutError in verdicts else PATIENT)

    def make(script: Any) -> Any:
        name = script.__name__.replace("_", "-")
        if not names:
            FAULTS[name] = Fault(name, script, verdicts, seconds, plain, timeouts)
        for argument, values in names.items():
            for value in values:
                each = f"{name}-{value}"

                def bound(sending: Sending, given: Any = {argument: value}) -> None:  # noqa: B006
                    script(sending, **given)

                FAULTS[each] = Fault(each, bound, verdicts, seconds, plain, timeouts)
        return script

    return make


def whole_answer(sending: Sending) -> None:
    """A good answer."""
    sending.some(len(sending.frames))
    sending.conversation.end()


BROKEN = (ConnectionFailedError,)
SILENT = (StreamTimeoutError,)


@fault(*BROKEN)
def reset_before_headers(sending: Sending) -> None:
    sending.conversation.reset()


@fault(*BROKEN)
def closed_before_headers(sending: Sending) -> None:
    sending.conversation.cut()


@fault(*BROKEN)
def closed_in_headers(sending: Sending) -> None:
    sending.conversation.raw(b"HTTP/1.1 200 OK\r\ncontent-ty")
    sending.conversation.cut()


@fault(*BROKEN)
def no_http(sending: Sending) -> None:
    sending.conversation.raw(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")
    sending.conversation.cut()


@fault(*BROKEN, ProtocolError)
def headers_without_end(sending: Sending) -> None:
    sending.conversation.raw(b"HTTP/1.1 200 OK\r\n")
    for number in range(100_000):
        sending.conversation.raw(b"x-%d: %s\r\n" % (number, b"y" * 100))


@fault(*BROKEN, None, frames=range(9))
def reset_at_frame(sending: Sending, frames: int) -> None:
    sending.some(frames)
    sending.conversation.reset()


@fault(*BROKEN, None, frames=range(9))
def cut_at_frame(sending: Sending, frames: int) -> None:
    sending.some(frames)
    sending.conversation.cut()


@fault(*BROKEN, ProviderError, TruncatedError, None, left=(1, 2, 15))
def cut_in_a_frame(sending: Sending, left: int) -> None:
    sending.some(1)
    sending.chunk(sending.frames[1][:-left])
    sending.conversation.cut()


@fault(*BROKEN)
def cut_in_a_chunk(sending: Sending) -> None:
    sending.some(1)
    sending.raw(b"")
    sending.conversation.raw(b"ff\r\n")
    sending.raw(sending.frames[1][:20])
    sending.conversation.cut()


@fault(TruncatedError, None, frames=range(9))
def clean_end_at_frame(sending: Sending, frames: int) -> None:
    sending.some(frames)
    sending.conversation.end()


@fault(TruncatedError)
def clean_end_in_a_frame(sending: Sending) -> None:
    sending.some(1)
    sending.chunk(sending.frames[1][:-15])
    sending.conversation.end()


@fault(*BROKEN)
def short_of_its_content_length(sending: Sending) -> None:
    sending.raw_head("content-length: 100000")
    sending.raw(b"".join(sending.frames[:2]))
    sending.conversation.cut()


@fault(TruncatedError, *BROKEN, plain=False)
def longer_than_its_content_length(sending: Sending) -> None:
    first = sending.frames[0]
    sending.raw_head(f"content-length: {len(first)}")
    sending.raw(first)
    sending.conversation.raw(sending.frames[1])
    sending.conversation.cut()


@fault(*BROKEN, ProtocolError)
def two_content_lengths(sending: Sending) -> None:
    sending.raw_head("content-length: 10", "content-length: 20")
    sending.raw(b"".join(sending.frames))
    sending.conversation.cut()


@fault(*BROKEN)
def broken_chunk_sizes(sending: Sending) -> None:
    sending.some(2)
    sending.conversation.raw(b"zz\r\n" + sending.frames[2] + b"\r\n")
    sending.conversation.wait_for_hangup()


@fault(TruncatedError)
def closed_without_a_terminator(sending: Sending) -> None:
    """A body that only the end of the connection ends: what is missing shows in the frames."""
    sending.raw_head("connection: close")
    sending.raw(b"".join(sending.frames[:2]))
    sending.conversation.cut()


@fault(None)
def whole_without_a_terminator(sending: Sending) -> None:
    sending.raw_head("connection: close")
    sending.raw(b"".join(sending.frames))
    sending.conversation.cut()


@fault(*SILENT)
def silence_before_headers(sending: Sending) -> None:
    sending.conversation.wait_for_hangup()


@fault(*SILENT)
def silence_in_headers(sending: Sending) -> None:
    sending.conversation.raw(b"HTTP/1.1 200 OK\r\ncontent-ty")
    sending.conversation.wait_for_hangup()


@fault(*SILENT)
def silence_before_the_first_frame(sending: Sending) -> None:
    sending.head()
    sending.conversation.wait_for_hangup()


@fault(*SILENT, seconds=2 * SILENCE)
def silence_after_a_frame(sending: Sending) -> None:
    sending.some(2)
    sending.conversation.wait_for_hangup()


@fault(*SILENT, seconds=2 * SILENCE)
def silence_in_a_frame(sending: Sending) -> None:
    sending.some(1)
    sending.chunk(sending.frames[1][:-15])
    sending.conversation.wait_for_hangup()


@fault(None, seconds=2 * SILENCE, timeouts=TIMEOUTS)
def silence_after_the_last_frame(sending: Sending) -> None:
    sending.some(len(sending.frames))
    sending.conversation.wait_for_hangup()


@fault(*SILENT)
def comments_without_end(sending: Sending) -> None:
    ndjson = sending.dialect.name == "ollama"
    sending.head()
    sending.dribble(lambda _: b"\n" if ndjson else b": keep-alive\n\n", 0.02)


@fault(*SILENT, seconds=TOTAL)
def a_byte_now_and_then(sending: Sending) -> None:
    sending.head()
    sending.dribble(lambda number: sending.frames[0][:1] if number == 0 else b" ", 0.02)


@fault(*SILENT, seconds=TOTAL)
def frames_without_end(sending: Sending) -> None:
    sending.head()
    frames = sending.frames
    started = frames.index(next(each for each in frames if b"Hi" in each))
    sending.dribble(lambda number: frames[min(number, started)], 0.02)


@fault(TruncatedError)
def headers_only(sending: Sending) -> None:
    sending.head()
    sending.conversation.end()


@fault(TruncatedError, ProviderError)
def no_content(sending: Sending) -> None:
    sending.conversation.raw(b"HTTP/1.1 204 No Content\r\n\r\n")


@fault(ProviderError, status=(500, 502, 503, 504))
def html_with_status(sending: Sending, status: int) -> None:
    page = f"<html><h1>{status}</h1></html>".encode()
    sending.body += page
    sending.conversation.whole(page, status, "text/html")


@fault(ProviderError, timeouts=TIMEOUTS)
def error_body_that_never_ends(sending: Sending) -> None:
    sending.conversation.head(500, "text/html")
    sending.dribble(lambda _: b"<p>", 0.02)


@fault(ProviderError)
def error_body_that_is_cut(sending: Sending) -> None:
    sending.conversation.head(500, "application/json")
    sending.chunk(b'{"error": {"message": "bo')
    sending.conversation.cut()


@fault(ProviderError)
def too_many_requests_in_seconds(sending: Sending) -> None:
    sending.body += b"{}"
    sending.conversation.whole(b"{}", 429, retry_after="7")


@fault(ProviderError)
def too_many_requests_by_date(sending: Sending) -> None:
    sending.body += b"{}"
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    sending.conversation.whole(b"{}", 429, retry_after=until)


@fault(ProviderError, ProtocolError, TruncatedError, status=(301, 302, 307, 308))
def redirected_to_another_host(sending: Sending, status: int) -> None:
    elsewhere = f"http://localhost:{sending.conversation.server.port}/stolen"
    sending.conversation.whole(b"", status, location=elsewhere)


def _bomb() -> bytes:
    """A gigabyte in a megabyte: one JSON string, of a thousand members of the same."""
    start, piece = (gzip.compress(each) for each in (b'data: {"', b"a" * (1 << 20)))
    return start + piece * 1024


@fault(ProtocolError, seconds=30, plain=False, timeouts=Timeouts(total=30))
def gzip_bomb(sending: Sending) -> None:
    sending.head(content_encoding="gzip")
    sending.conversation.chunk(_bomb())
    sending.conversation.end()


@fault(TruncatedError, plain=False)
def gzip_cut_short(sending: Sending) -> None:
    packed = gzip.compress(b"".join(sending.frames))
    sending.head(content_encoding="gzip")
    sending.conversation.chunk(packed[: len(packed) // 2])
    sending.conversation.end()


@fault(ProtocolError, plain=False)
def gzip_damaged(sending: Sending) -> None:
    sending.head(content_encoding="gzip")
    sending.conversation.chunk(b"\x1f\x8b\x08" + bytes(range(200)))
    sending.conversation.end()


@fault(ProtocolError, plain=False)
def unknown_encoding(sending: Sending) -> None:
    sending.head(content_encoding="br")
    sending.conversation.chunk(b"\x0b\x02\x80" * 10)
    sending.conversation.end()


@fault(ProtocolError, seconds=30, plain=False, timeouts=Timeouts(total=30))
def a_line_of_a_gigabyte(sending: Sending) -> None:
    sending.head()
    sending.conversation.chunk(sending.frames[0][:-5])
    piece = b"a" * (1 << 20)
    for _ in range(1024):
        sending.conversation.chunk(piece)


@fault(ProtocolError, TruncatedError, ProviderError)
def a_web_page_with_status_200(sending: Sending) -> None:
    page = b"<!doctype html><html><body>Log in to the hotel's network</body></html>"
    sending.body += page
    sending.conversation.whole(page, 200, "text/html")


@fault(None)
def wrong_content_type(sending: Sending) -> None:
    sending.conversation.head(content_type="text/plain; charset=iso-8859-1")
    for frame in sending.frames:
        sending.chunk(frame)
    sending.conversation.end()


@fault(None)
def early_hints_before_the_answer(sending: Sending) -> None:
    for _ in range(20):
        sending.conversation.raw(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n")
    whole_answer(sending)


@fault(ProviderError)
def error_in_band(sending: Sending) -> None:
    sending.some(2)
    sending.chunk(sending.dialect.error)
    sending.conversation.end()


@fault(ProviderError)
def error_in_band_then_silence(sending: Sending) -> None:
    sending.some(2)
    sending.chunk(sending.dialect.error)
    sending.conversation.wait_for_hangup()


@fault(ProtocolError)
def a_frame_that_is_no_json(sending: Sending) -> None:
    sending.some(2)
    sending.chunk(b"{oops}\n" if sending.dialect.name == "ollama" else b"data: {oops}\n\n")
    sending.chunk(sending.frames[2])
    sending.conversation.end()


@fault(ProtocolError, ProviderError, TruncatedError)
def json_of_another_world(sending: Sending) -> None:
    sending.head()
    strange = json.dumps([1, {"choices": 7, "message": [], "candidates": None}]).encode()
    sending.chunk(
        strange + b"\n" if sending.dialect.name == "ollama" else b"data: %b\n\n" % strange
    )
    sending.conversation.end()


@fault(None, ProtocolError)
def text_that_is_no_utf_8(sending: Sending) -> None:
    sending.head()
    for frame in sending.frames:
        sending.chunk(frame.replace(b"there", b"th\xff\xfere"))
    sending.conversation.end()
