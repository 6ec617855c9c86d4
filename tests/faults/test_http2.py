"""Faults of HTTP/2 itself, frame by frame: RST_STREAM, GOAWAY and what else ends a connection."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import h2.errors
import pytest

from dialects import VESSELS
from http_faults import PATIENT, SILENCE, TEXTS, TIMEOUTS
from invariants import check, yielded_by
from lateness import MOST_LATE, Lateness
from patience import PATIENCE
from reporting import Figure
from scripted_http2 import Answer, ScriptedHttp2, certificates
from talking import talking
from vesselog import (
    AsyncClient,
    ConnectionFailedError,
    ProtocolError,
    Retries,
    StreamTimeoutError,
    TruncatedError,
)

BROKEN = (ConnectionFailedError,)


@pytest.fixture
def server() -> Iterator[ScriptedHttp2]:
    with ScriptedHttp2(certificates()[0]) as running:
        yield running


def reset_at(count: int, code: int) -> Callable[[Answer], None]:
    def script(answer: Answer) -> None:
        if count >= 0:
            answer.some(count)
        answer.reset(code)

    return script


def end_in_a_frame(answer: Answer) -> None:
    answer.some(1)
    answer.data(answer.frames[1][:-15], end=True)


def go_away_and_cut(answer: Answer) -> None:
    answer.some(2)
    answer.go_away(h2.errors.ErrorCodes.INTERNAL_ERROR)
    answer.cut()


def cut(answer: Answer) -> None:
    answer.some(2)
    answer.cut()


def garbage(answer: Answer) -> None:
    answer.some(2)
    answer.socket.sendall(b"\x00\x00\x05\xff\xff\xff\xff\xff\xffHTTP/1.1 200 OK\r\n\r\n" * 50)


def too_large_a_frame(answer: Answer) -> None:
    answer.some(2)
    answer.socket.sendall(b"\xff\xff\xff\x00\x00" + answer.stream.to_bytes(4, "big"))
    answer.socket.sendall(bytes(1 << 20))


def data_before_headers(answer: Answer) -> None:
    answer.socket.sendall(b"\x00\x00\x02\x00\x00" + answer.stream.to_bytes(4, "big") + b"{}")


def many_pings(answer: Answer) -> None:
    for _ in range(500):
        answer.connection.ping(b"pingping")
    answer.whole()


def trailers(answer: Answer) -> None:
    answer.some(len(answer.frames))
    answer.connection.send_headers(answer.stream, [("x-checksum", "1")], end_stream=True)
    answer.flush()


FAULTS: dict[str, tuple[Callable[[Answer], None], tuple[type[Exception] | None, ...]]] = {
    **{
        f"rst-{code.name.lower().replace('_', '-')}-at-{count}": (
            reset_at(count, code),
            (*BROKEN, None) if count == 9 else BROKEN,
        )
        for code in (
            h2.errors.ErrorCodes.NO_ERROR,
            h2.errors.ErrorCodes.INTERNAL_ERROR,
            h2.errors.ErrorCodes.REFUSED_STREAM,
            h2.errors.ErrorCodes.CANCEL,
        )
        for count in (-1, 0, 1, 2, 9)
    },
    "go-away-unprocessed": (lambda answer: answer.go_away(last=0), BROKEN),
    "go-away-with-an-error": (lambda answer: answer.go_away(2), BROKEN),
    "go-away-and-cut": (go_away_and_cut, BROKEN),
    "cut": (cut, BROKEN),
    "garbage": (garbage, (*BROKEN, StreamTimeoutError)),
    "too-large-a-frame": (too_large_a_frame, (*BROKEN, StreamTimeoutError)),
    "data-before-headers": (data_before_headers, (*BROKEN, ProtocolError)),
    "end-with-headers": (lambda answer: answer.head(end=True), (TruncatedError, *BROKEN)),
    "end-in-a-frame": (end_in_a_frame, (TruncatedError, *BROKEN)),
    "silence": (lambda answer: None, (StreamTimeoutError,)),
    "silence-after-headers": (Answer.head, (StreamTimeoutError,)),
    "many-pings": (many_pings, (None,)),
    "trailers": (trailers, (None,)),
}


# The client still waits for the rest of a frame. httpcore has no way to find out that nothing will
# come (no PING of its own), and gives the connection to later streams too.
WEDGED = {"garbage", "too-large-a-frame"}


@pytest.mark.parametrize("name", FAULTS)
def test_fault(name: str, server: ScriptedHttp2) -> None:
    """All vessels at once, over one connection; the client then goes on as if nothing had been."""
    script, verdicts = FAULTS[name]
    server.script = script
    vessels = {each.name: each.vessel(base_url=server.url) for each in VESSELS.values()}
    settings: dict[str, Any] = {
        "vessels": vessels,
        "timeouts": TIMEOUTS if StreamTimeoutError in verdicts else PATIENT,
        "retries": Retries(count=0),
        "http2": True,
        "ssl_context": certificates()[1],
    }
    with talking("async", **settings) as talker:
        assert isinstance(talker.client, AsyncClient)
        streams = {each: talker.stream(f"{each}/m") for each in vessels}
        with Lateness() as lateness:
            begun = time.monotonic()
            answers = [talker.begin(stream) for stream in streams.values()]
            heard = [answer.result(PATIENCE) for answer in answers]
            took = time.monotonic() - begun
        assert took < SILENCE + MOST_LATE + lateness.seconds
        for vessel, one in zip(vessels, heard, strict=True):
            kind = None if one.error is None else type(one.error)
            assert kind in verdicts, repr(one.error)
            name_of = {None: "complete", TruncatedError: "truncated"}
            one.check(name_of.get(kind, "error"), error=kind)
            (call,) = check(one.stream.path, yielded=yielded_by(one))
            frames = VESSELS[vessel].frames(*TEXTS)
            assert b"".join(frames).startswith(b"".join(each.raw for each in call.frames()))
        server.script = Answer.whole
        for each in () if name in WEDGED else vessels:
            talker.hear(f"{each}/m", timeouts=PATIENT).check("complete")


def test_figure(figure: Figure) -> None:
    figure(f"{len(FAULTS)} HTTP/2 faults × {len(VESSELS)} vessels: one typed ending each")
