"""Servers that break the rules of HTTP/2, or use the odd ones, on both clients.

Every answer ends in one typed error or whole; what was recorded is what the server sent as this
answer; a request is sent again only if the server says that it did not work on it; and the next
stream of the same client is answered over a connection that works.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import hpack
import pytest

from dialects import DIALECTS
from http_faults import PATIENT, TEXTS
from invariants import check, yielded_by
from patience import PATIENCE
from scripted_http2 import Answer, ScriptedHttp2, certificates, frame
from talking import Heard, Talker, talking
from vesselog import ConnectionFailedError, Retries
from vesselog.core.truth.recording import RecordedCall

BOTH = pytest.mark.parametrize("kind", ["sync", "async"])

# Types and flags of frames (RFC 9113, 6).
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE = range(9)
CONTINUATION = 9
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8

LARGEST = 2**31 - 1
INTERNAL_ERROR, REFUSED_STREAM = 2, 7
PLANTED = b'{"message": {"content": "PLANTED"}, "done": false}\n'

Script = Callable[[Answer], None]


def number(value: int) -> bytes:
    return value.to_bytes(4, "big")


def setting(code: int, value: int) -> bytes:
    return frame(SETTINGS, 0, 0, struct.pack(">HL", code, value))


def go_away(last: int, code: int = 0) -> bytes:
    return frame(GOAWAY, 0, 0, number(last) + number(code))


def header_block(*headers: tuple[str, str]) -> bytes:
    return hpack.Encoder().encode(headers)


OK = header_block((":status", "200"))

# Bytes that no server may send, by what is wrong with them; `s` is the running stream.
ILLEGAL: dict[str, Callable[[int], bytes]] = {
    "push promise": lambda s: frame(PUSH_PROMISE, END_HEADERS, s, number(2) + OK),
    "push promise on no stream": lambda s: frame(PUSH_PROMISE, END_HEADERS, 0, number(2) + OK),
    "data on a stream never asked for": lambda s: frame(DATA, 0, s + 2, PLANTED),
    "data on a stream of the server": lambda s: frame(DATA, 0, 2, PLANTED),
    "data on stream 0": lambda s: frame(DATA, 0, 0, PLANTED),
    "headers on a stream never asked for": lambda s: frame(HEADERS, END_HEADERS, s + 2, OK),
    "headers on stream 0": lambda s: frame(HEADERS, END_HEADERS, 0, OK),
    "reset of stream 0": lambda s: frame(RST_STREAM, 0, 0, number(0)),
    "a reset too short": lambda s: frame(RST_STREAM, 0, s, b"\0"),
    "window overflow": lambda s: frame(WINDOW_UPDATE, 0, 0, number(LARGEST)) * 2,
    "window overflow of the stream": lambda s: frame(WINDOW_UPDATE, 0, s, number(LARGEST)) * 2,
    "window update of nothing": lambda s: frame(WINDOW_UPDATE, 0, 0, number(0)),
    "window update of nothing for the stream": lambda s: frame(WINDOW_UPDATE, 0, s, number(0)),
    "a window update too short": lambda s: frame(WINDOW_UPDATE, 0, 0, b"\0"),
    "hpack index out of range": lambda s: frame(HEADERS, END_HEADERS, s, b"\xff\xff\xff\x0f"),
    "hpack index 0": lambda s: frame(HEADERS, END_HEADERS, s, b"\x80"),
    "hpack integer cut short": lambda s: frame(HEADERS, END_HEADERS, s, b"\xff"),
    "hpack string cut short": lambda s: frame(HEADERS, END_HEADERS, s, b"\x00\x7fab"),
    "hpack huffman code that is none": lambda s: frame(
        HEADERS, END_HEADERS, s, b"\x00\x84\xff\xff\xff\xff\x00"
    ),
    "hpack table too large": lambda s: frame(HEADERS, END_HEADERS, s, b"\x3f\xff\xff\x7f" + OK),
    "setting enable-push 2": lambda s: setting(2, 2),
    "setting initial-window too large": lambda s: setting(4, 2**31),
    "setting max-frame-size too small": lambda s: setting(5, 1),
    "setting max-frame-size too large": lambda s: setting(5, 2**24),
    "settings of five bytes": lambda s: frame(SETTINGS, 0, 0, b"12345"),
    "settings on a stream": lambda s: frame(SETTINGS, 0, s, b""),
    "settings acknowledged with a payload": lambda s: frame(SETTINGS, ACK, 0, b"123456"),
    "a frame too large": lambda s: frame(DATA, 0, s, bytes(16_385)),
    "continuation without headers": lambda s: frame(CONTINUATION, END_HEADERS, s, OK),
    "a frame within a header block": lambda s: (
        frame(HEADERS, 0, s, OK) + frame(PING, 0, 0, bytes(8))
    ),
    "continuation without end": lambda s: (
        frame(HEADERS, 0, s, OK) + frame(CONTINUATION, 0, s, b"") * 100
    ),
    "header list bomb": lambda s: frame(
        HEADERS, END_HEADERS, s, OK + b"\x40\x01a\x7f\x81\x1e" + b"b" * 4000 + b"\xbe" * 12_000
    ),
    "padding longer than its frame": lambda s: frame(DATA, PADDED, s, b"\xffab"),
    "a ping too short": lambda s: frame(PING, 0, 0, b"1234"),
    "a ping on a stream": lambda s: frame(PING, 0, s, bytes(8)),
    "a go-away too short": lambda s: frame(GOAWAY, 0, 0, b"\0"),
    "a go-away on a stream": lambda s: frame(GOAWAY, 0, s, bytes(8)),
    "priority of itself": lambda s: frame(PRIORITY, 0, s, number(s) + b"\0"),
}

# What is odd but allowed, or what h2 lets pass; the answer goes on.
HARMLESS: dict[str, Callable[[int], bytes]] = {
    "reset of a stream never asked for": lambda s: frame(RST_STREAM, 0, s + 2, number(0)),
    "frames of unknown types": lambda s: frame(0xFA, 0xFF, s, PLANTED) + frame(0xFB, 0, 0, b"x"),
    "pings": lambda _: frame(PING, 0, 0, bytes(8)) * 1000 + frame(PING, ACK, 0, bytes(8)),
    "settings": lambda _: setting(3, 0) + setting(3, 1) * 500 + setting(0xAAAA, 7),
    "priorities": lambda s: frame(PRIORITY, 0, s, number(0) + b"\xff") * 100,
    "window updates": lambda s: (
        frame(WINDOW_UPDATE, 0, s, number(1)) + frame(WINDOW_UPDATE, 0, 0, number(1))
    ),
    "go-away that covers the stream": go_away,
    "go-away that covers all streams": lambda _: go_away(LARGEST),
    "go-away in two steps": lambda s: go_away(LARGEST) + go_away(s),
    "go-away with a reason": lambda s: (
        go_away(s) + frame(GOAWAY, 0, 0, number(s) + number(0) + b"bye")
    ),
}

PLACES = ("before the answer", "beside a chunk", "after a chunk")


def says(odd: Callable[[int], bytes], place: str) -> Script:
    """Goes on with the answer behind it, as if nothing were wrong."""

    def script(answer: Answer) -> None:
        bad = odd(answer.stream)
        if place == "before the answer":
            answer.raw(bad)
            answer.whole()
            return
        if place == "beside a chunk":
            answer.head()
            answer.connection.send_data(answer.stream, answer.frames[0])
            answer.raw(answer.connection.data_to_send(), bad)
        else:
            answer.some(1)
            answer.wait_until_heard()
            answer.raw(bad)
        for each in answer.frames[1:]:
            answer.data(each)
        answer.data(b"", end=True)

    return script


@pytest.fixture
def server(nothing_left: None) -> Iterator[ScriptedHttp2]:
    with ScriptedHttp2(certificates()[0]) as running:
        yield running


def talking_to(server: ScriptedHttp2, kind: str, **settings: Any) -> Any:
    given: dict[str, Any] = {
        "http2": True,
        "ssl_context": certificates()[1],
        "timeouts": PATIENT,
        "retries": Retries(count=1, backoff=0),
        **settings,
    }
    return talking(kind, server.url, **given)


def once(server: ScriptedHttp2, script: Script) -> None:
    """Every stream but the first is answered whole."""

    def scripted(answer: Answer) -> None:
        server.script = Answer.whole
        script(answer)

    server.script = scripted


def hear(
    server: ScriptedHttp2, talker: Talker, messages: str = "hi"
) -> tuple[Heard, list[RecordedCall]]:
    """A stream to its end, and its recorded calls, which hold what the server sent and no more."""
    stream = talker.stream(messages=messages)
    heard = talker.begin(stream, lambda chunk: server.heard.set()).result(PATIENCE)
    calls = check(heard.stream.path, yielded=yielded_by(heard))
    whole = b"".join(DIALECTS["ollama"].frames(*TEXTS))
    for call in calls:
        assert whole.startswith(b"".join(each.raw for each in call.frames()))
    return heard, calls


def check_next(server: ScriptedHttp2, talker: Talker, *, connection: int) -> None:
    """The client's next stream is whole, over this connection; no place in the pool is lost."""
    heard, _ = hear(server, talker)
    assert heard.check("complete").text == "".join(TEXTS)
    assert server.streams[-1][0] == connection
    transport = talker.client._http._transport
    assert transport._free._value == transport._limits.max_connections


@BOTH
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", ILLEGAL)
def test_what_no_server_may_send(kind: str, name: str, place: str, server: ScriptedHttp2) -> None:
    """It is not sent again: the server may have worked on it."""
    once(server, says(ILLEGAL[name], place))
    with talking_to(server, kind) as talker:
        heard, calls = hear(server, talker)
        heard.check("error", error=ConnectionFailedError)
        assert heard.error.phase == ("response" if place == "before the answer" else "body")
        assert len(calls) == 1
        assert heard.text in {"", *TEXTS[:1]}
        if place == "after a chunk":
            assert heard.text == TEXTS[0]
            assert heard.error.completion.text == TEXTS[0]
        check_next(server, talker, connection=2)
    assert server.streams == [(1, 1), (2, 1)]


@BOTH
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_odd_and_allowed(kind: str, name: str, place: str, server: ScriptedHttp2) -> None:
    """A server that shuts down gracefully, too: the stream that it covers is read to its end."""
    once(server, says(HARMLESS[name], place))
    with talking_to(server, kind) as talker:
        heard, calls = hear(server, talker)
        assert heard.check("complete").text == "".join(TEXTS)
        assert len(calls) == 1
        check_next(server, talker, connection=2 if "go-away" in name else 1)


# Endings of an answer of which so many frames were sent.
@BOTH
@pytest.mark.parametrize("sent", [0, 1, 2])
@pytest.mark.parametrize("then", ["close", "go-away for all but it", "go-away with an error"])
def test_a_shutdown_that_is_cut_short(
    kind: str, then: str, sent: int, server: ScriptedHttp2
) -> None:
    def script(answer: Answer) -> None:
        answer.some(sent)
        if sent:
            answer.wait_until_heard()
        answer.raw(go_away(answer.stream))
        if then == "close":
            answer.cut()
        else:
            all_but = then == "go-away for all but it"
            answer.raw(go_away(0) if all_but else go_away(answer.stream, INTERNAL_ERROR))

    once(server, script)
    with talking_to(server, kind) as talker:
        heard, calls = hear(server, talker)
        heard.check("error", error=ConnectionFailedError)
        assert heard.error.phase == "body"
        assert heard.text == "".join(TEXTS[:sent])
        assert len(calls) == 1
        check_next(server, talker, connection=2)


REFUSALS: dict[str, Script] = {
    "reset": lambda answer: answer.reset(REFUSED_STREAM),
    "go-away": lambda answer: answer.raw(go_away(answer.stream - 2 if answer.stream > 1 else 0)),
    "go-away with an error": lambda answer: answer.raw(go_away(0, INTERNAL_ERROR)),
    "go-away in two steps": lambda answer: answer.raw(go_away(LARGEST), go_away(0)),
}


@BOTH
@pytest.mark.parametrize("earlier", [0, 1])
@pytest.mark.parametrize("size", [1, 3_000_000])
@pytest.mark.parametrize("how", REFUSALS)
def test_a_request_that_the_server_did_not_work_on_is_sent_again(
    kind: str, how: str, size: int, earlier: int, server: ScriptedHttp2
) -> None:
    """Each attempt is a recorded call. earlier: answers over the same connection before it."""
    with talking_to(server, kind) as talker:
        for _ in range(earlier):
            check_next(server, talker, connection=1)
        once(server, REFUSALS[how])
        heard, calls = hear(server, talker, "x" * size)
        assert heard.check("complete").text == "".join(TEXTS)
        assert [call.outcome for call in calls] == ["error", "complete"]
        assert calls[0].end["error"]["phase"] == "refused"
        assert server.streams[earlier:] == [(1, 1 + 2 * earlier), (2, 1)]
        check_next(server, talker, connection=2)


@BOTH
@pytest.mark.parametrize("how", REFUSALS)
def test_a_refusal_in_an_answer_is_a_broken_answer(
    kind: str, how: str, server: ScriptedHttp2
) -> None:
    def script(answer: Answer) -> None:
        answer.some(1)
        answer.wait_until_heard()
        REFUSALS[how](answer)

    once(server, script)
    with talking_to(server, kind) as talker:
        heard, calls = hear(server, talker)
        heard.check("error", error=ConnectionFailedError)
        assert (heard.error.phase, heard.text) == ("body", TEXTS[0])
        assert len(calls) == 1
        check_next(server, talker, connection=2)


@BOTH
@pytest.mark.parametrize("code", [*range(14), 0xDEADBEEF])
@pytest.mark.parametrize("sent", [-1, 0, 1])
def test_a_reset(kind: str, code: int, sent: int, server: ScriptedHttp2) -> None:
    """sent: frames of the answer before it, -1 for not even its headers."""

    def script(answer: Answer) -> None:
        if sent >= 0:
            answer.some(sent)
        if sent > 0:
            answer.wait_until_heard()
        answer.raw(frame(RST_STREAM, 0, answer.stream, number(code)))

    once(server, script)
    refused = code == REFUSED_STREAM and sent < 0
    with talking_to(server, kind, retries=Retries(count=0 if refused else 1)) as talker:
        heard, _ = hear(server, talker)
        heard.check("error", error=ConnectionFailedError)
        assert heard.error.phase == ("refused" if refused else "response" if sent < 0 else "body")
        assert heard.text == "".join(TEXTS[: max(sent, 0)])
        check_next(server, talker, connection=2)


@BOTH
@pytest.mark.parametrize("code", [0, 2, REFUSED_STREAM])
@pytest.mark.parametrize("ended", [False, True])
def test_a_reset_behind_a_complete_answer(
    kind: str,
    ended: bool,
    code: int,
    server: ScriptedHttp2,
) -> None:
    def script(answer: Answer) -> None:
        answer.head()
        for each in answer.frames:
            answer.connection.send_data(answer.stream, each)
        if ended:
            answer.connection.end_stream(answer.stream)
        reset = frame(RST_STREAM, 0, answer.stream, number(code))
        answer.raw(answer.connection.data_to_send(), reset)

    once(server, script)
    with talking_to(server, kind) as talker:
        heard, calls = hear(server, talker)
        assert heard.check("complete").text == "".join(TEXTS)
        assert len(calls) == 1
        check_next(server, talker, connection=server.streams[0][0] if ended else 2)


@BOTH
@pytest.mark.parametrize("how", ["closed", "go-away and closed", "go-away"])
def test_a_kept_connection_that_the_server_ended(
    kind: str, how: str, server: ScriptedHttp2
) -> None:
    """The next stream gets a new one at once, and its request is sent once."""
    over = threading.Event()

    def script(answer: Answer) -> None:
        server.script = Answer.whole
        answer.whole()
        assert over.wait(PATIENCE)
        if how != "closed":
            answer.raw(go_away(answer.stream))
        if how != "go-away":
            answer.cut()
        over.clear()

    server.script = script
    with talking_to(server, kind, retries=Retries(count=0)) as talker:
        hear(server, talker)[0].check("complete")
        over.set()
        while over.is_set():
            pass
        check_next(server, talker, connection=2)
        assert server.streams == [(1, 1), (2, 1)]
