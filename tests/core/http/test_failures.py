"""Failures of the transports, told apart by type and cause, and never by their text."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import h2.connection
import h2.errors
import h2.exceptions
import httpcore
import httpx
import hyperframe.frame
import pytest
import trustme
from aiohttp.client_reqrep import ConnectionKey

from loopback import Conversation, LoopbackServer, ollama_lines
from patience import PATIENCE
from talking import every_client, every_dialect, talking
from vesselog import (
    AsyncClient,
    ConnectionFailedError,
    Limits,
    ProtocolError,
    Retries,
    StreamTimeoutError,
    Timeouts,
    TruncatedError,
    VesselogError,
)
from vesselog.core.http.failures import classify
from vesselog.vessels.ollama import Ollama

ONCE = Retries(count=0)
KEY = ConnectionKey("h", 80, False, True, None, None, None)
REFUSED = ConnectionRefusedError(111, "sk-canary-0123456789")


def told(failure: BaseException, *, answering: bool = False) -> VesselogError | None:
    return classify(failure, "http://host:1", Timeouts(), Limits(), answering=answering)


def caused(failure: BaseException, cause: BaseException) -> BaseException:
    """As `raise failure from cause` leaves it."""
    failure.__cause__ = cause
    return failure


def within(failure: BaseException, context: BaseException) -> BaseException:
    """As httpcore leaves it, which raises again `from None`."""
    failure.__context__ = context
    failure.__suppress_context__ = True
    return failure


def remote(event: Any) -> BaseException:
    """As httpx raises what httpcore raises for an event of h2's."""
    return caused(httpx.RemoteProtocolError("x"), httpcore.RemoteProtocolError(event))


def event_of(frame: hyperframe.frame.Frame) -> Any:
    """h2's event for a frame that a client with one open stream receives."""
    client = h2.connection.H2Connection()
    client.initiate_connection()
    ask = [(":method", "GET"), (":path", "/"), (":scheme", "https"), (":authority", "a")]
    client.send_headers(1, ask)
    return client.receive_data(frame.serialize())[-1]


def reset(code: int) -> Any:
    return event_of(hyperframe.frame.RstStreamFrame(1, error_code=code))


def go_away(last: int) -> Any:
    return event_of(hyperframe.frame.GoAwayFrame(0, last_stream_id=last))


UNSENT = [
    caused(httpx.ConnectError("x"), REFUSED),
    httpx.ConnectError("x"),
    httpx.ProxyError("x"),
    # aiohttp through httpx-aiohttp
    caused(httpx.ConnectError("x"), aiohttp.ClientConnectorError(KEY, REFUSED)),
    caused(httpx.ConnectTimeout("x"), aiohttp.ClientConnectorError(KEY, REFUSED)),
    caused(httpx.ProxyError("x"), aiohttp.ClientProxyConnectionError(KEY, REFUSED)),
]
BROKEN = [
    httpx.ReadError("x"),
    httpx.WriteError("x"),
    httpx.RemoteProtocolError("x"),
    caused(httpx.ReadError("x"), ConnectionResetError(104, "x")),
    # aiohttp calls a server that died after the request a ConnectTimeout
    caused(httpx.ConnectTimeout("x"), aiohttp.ServerDisconnectedError()),
    caused(httpx.ConnectTimeout("x"), aiohttp.ClientOSError(104, "x")),
    caused(httpx.ReadError("x"), aiohttp.ClientPayloadError("x")),
    aiohttp.ClientPayloadError("x"),
    aiohttp.ClientConnectionResetError("x"),
    ConnectionResetError(104, "x"),
    # TLS, through httpcore
    anyio.EndOfStream(),
    asyncio.IncompleteReadError(b"", 1),
    # HTTP/2: what the server sent is none, or leaves the running stream out
    h2.exceptions.FlowControlError("x"),
    h2.exceptions.NoSuchStreamError(2),
    httpcore.ConnectionNotAvailable(),
    remote(reset(h2.errors.ErrorCodes.CANCEL)),
    remote(go_away(1)),
]
# The server says that it did not work on the request (RFC 9113, 8.7).
REFUSALS = [
    remote(reset(h2.errors.ErrorCodes.REFUSED_STREAM)),
    remote(go_away(0)),
    within(httpx.LocalProtocolError("x"), h2.exceptions.TooManyStreamsError("x")),
    httpx.StreamConsumed(),
]


@pytest.mark.parametrize("failure", UNSENT, ids=repr)
def test_what_was_never_sent_may_be_tried_again(failure: BaseException):
    error = told(failure)
    assert isinstance(error, ConnectionFailedError)
    assert error.phase == "connect"
    assert "canary" not in str(error)


@pytest.mark.parametrize("failure", BROKEN, ids=repr)
@pytest.mark.parametrize("answering", [False, True])
def test_what_was_sent_may_not(failure: BaseException, answering: bool):  # noqa: FBT001
    error = told(failure, answering=answering)
    assert isinstance(error, ConnectionFailedError)
    assert error.phase == ("body" if answering else "response")


@pytest.mark.parametrize("failure", REFUSALS, ids=repr)
def test_what_the_server_refused_may_be_tried_again(failure: BaseException):
    error = told(failure)
    assert isinstance(error, ConnectionFailedError)
    assert error.phase == "refused"


@pytest.mark.parametrize("failure", REFUSALS[:2], ids=repr)
def test_an_answer_that_had_begun_was_not_refused(failure: BaseException):
    error = told(failure, answering=True)
    assert isinstance(error, ConnectionFailedError)
    assert error.phase == "body"


@pytest.mark.parametrize(
    ("failure", "phase", "setting"),
    [
        (httpx.ConnectTimeout("x"), "connect", "connect"),
        (caused(httpx.ConnectTimeout("x"), aiohttp.ConnectionTimeoutError()), "connect", "connect"),
        (httpx.PoolTimeout("x"), "pool", "max_connections"),
        (httpx.ReadTimeout("x"), "first_chunk", None),
    ],
)
def test_timeouts_name_their_phase_and_setting(failure: BaseException, phase: str, setting: str):
    error = told(failure)
    assert isinstance(error, StreamTimeoutError)
    assert (error.phase, error.setting) == (phase, setting)


@pytest.mark.parametrize("failure", [httpx.ConnectTimeout("x"), httpx.PoolTimeout("x")])
def test_a_client_of_the_callers_own_has_its_own_timeouts(failure: httpx.TimeoutException):
    timeouts = Timeouts(connect=None, pool=None)
    error = classify(failure, "http://h", timeouts, Limits(), answering=False)
    assert isinstance(error, StreamTimeoutError)
    assert error.message == "http://h did not answer in time"


@pytest.mark.parametrize(
    "failure",
    [httpx.UnsupportedProtocol("x"), httpx.LocalProtocolError("x"), httpx.DecodingError("x")],
)
def test_what_is_no_http(failure: BaseException):
    assert isinstance(told(failure), ProtocolError)


@pytest.mark.parametrize("failure", [ValueError("a bug"), RuntimeError("a bug"), KeyError("a bug")])
def test_a_bug_is_no_failure_of_the_transport(failure: BaseException):
    assert told(failure) is None


def test_the_cause_is_found_where_httpcore_hides_it():
    core = within(httpcore.ConnectError("x"), REFUSED)
    assert "Connection refused" in str(told(caused(httpx.ConnectError("x"), core)))


def test_reasons_are_the_systems_own_words():
    unknown = caused(httpx.ConnectError("x"), socket.gaierror(-2, "sk-canary-0123456789"))
    assert str(told(unknown)).endswith(
        "(the host name is unknown): check its spelling, and the network"
    )
    proxied = caused(httpx.ProxyError("x"), httpcore.ProxyError("407 sk-canary-0123456789"))
    assert str(told(proxied)).endswith("; the proxy refused")
    handshake = ssl.SSLCertVerificationError(1, "sk-canary-0123456789")
    assert "TLS" in str(told(caused(httpx.ConnectError("x"), handshake)))
    assert "is the server running" not in str(told(caused(httpx.ConnectError("x"), handshake)))
    assert "Operation not permitted" not in str(told(caused(httpx.ConnectError("x"), handshake)))
    assert "canary" not in str(told(unknown))


def dies(conversation: Conversation) -> None:
    conversation.cut()


@every_client
def test_a_stream_opened_while_another_failure_is_handled(kind: str):
    """The fallback of a caller whose other provider could not be reached."""
    with LoopbackServer([dies]) as server, talking(kind, server) as talker:
        try:
            raise aiohttp.ClientConnectorError(KEY, REFUSED)
        except aiohttp.ClientConnectorError:
            stream = talker.stream()
            with pytest.raises(ConnectionFailedError) as caught:
                talker.open(stream)
        assert caught.value.phase == "response"
        assert len(server.requests) == 1


@pytest.mark.parametrize("fast", [False, True])
def test_a_loop_run_while_another_failure_is_handled(*, fast: bool):
    """It is the context of all that is raised in the loop, and the cause of none of it.

    Else a request that was sent is sent again, as one whose connection was refused.
    """

    async def ask() -> None:
        vessels = {"lab": Ollama(base_url=server.url)}
        async with AsyncClient(vessels=vessels, environment={}, fast=fast) as client:
            await client.complete("lab/m", "hi")

    with LoopbackServer([dies]) as server:
        try:
            raise aiohttp.ClientConnectorError(KEY, REFUSED)
        except aiohttp.ClientConnectorError:
            with pytest.raises(ConnectionFailedError) as caught:
                asyncio.run(ask())
        assert caught.value.phase == "response"
        assert len(server.requests) == 1


@every_client
def test_an_unknown_host(kind: str):
    with talking(kind, "http://no-such-host.invalid", retries=ONCE) as talker:
        heard = talker.hear().check("error", error=ConnectionFailedError)
        assert heard.error.phase == "connect"
        assert "no-such-host.invalid (the host name is unknown)" in str(heard.error)


@every_client
def test_a_certificate_that_nobody_trusts(kind: str):
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    with (
        LoopbackServer([lambda conversation: conversation.answer("Hi")], tls=tls) as server,
        talking(kind, server, retries=ONCE) as talker,
    ):
        heard = talker.hear().check("error", error=ConnectionFailedError)
        assert heard.error.phase == "connect"
        assert "TLS" in str(heard.error)
        assert server.requests == []


@every_client
def test_a_certificate_that_the_given_context_trusts(kind: str):
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    def long(conversation: Conversation) -> None:
        conversation.answer(*(f"{number} " for number in range(2000)))

    with (
        LoopbackServer([long], tls=tls) as server,
        talking(kind, server, ssl_context=trusting) as talker,
    ):
        for _ in range(2):
            heard = talker.hear(messages="x" * 1_000_000).check("complete")
            assert len(heard.chunks) == 2001
        assert server.connections == 1


@every_client
def test_a_server_that_speaks_no_tls(kind: str):
    with (
        LoopbackServer([lambda conversation: conversation.answer("Hi")]) as server,
        talking(kind, server.url.replace("http", "https"), retries=ONCE) as talker,
    ):
        # The server waits for the rest of what it takes for a request.
        heard = talker.hear(timeouts=Timeouts(connect=0.5))
        assert isinstance(heard.error, (ConnectionFailedError, StreamTimeoutError))
        assert heard.error.phase == "connect"


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\n"
LINE = ollama_lines("Hi")[0]
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
# What is sent, and what once the first chunk has arrived.
RAW = {
    "no http at all": (b"SSH-2.0-OpenSSH\r\n", None),
    "headers cut short": (HEAD, None),
    "a short content-length": (HEAD + b"content-length: 500\r\n\r\n" + LINE, b""),
    "a chunk cut short": (CHUNKED + b"%x\r\n" % (len(LINE) + 50) + LINE, b""),
    "a chunk size that is none": (CHUNKED + b"%x\r\n" % len(LINE) + LINE, b"\r\nzzz\r\n"),
    "a body until the close": (HEAD + b"\r\n" + LINE, b""),
}


@every_client
@pytest.mark.parametrize("what", RAW)
def test_broken_http(kind: str, what: str):
    first, then = RAW[what]
    arrived = threading.Event()

    def breaks(conversation: Conversation) -> None:
        conversation.raw(first)
        if then is not None:
            assert arrived.wait(PATIENCE)
            conversation.raw(then)
        conversation.cut()

    with LoopbackServer([breaks]) as server, talking(kind, server) as talker:
        stream = talker.stream(timeouts=Timeouts(idle=1))
        heard = talker.begin(stream, lambda chunk: arrived.set()).result(PATIENCE)
        if what == "a body until the close":
            heard.check("truncated", error=TruncatedError)
        else:
            heard.check("error", error=ConnectionFailedError)
        assert heard.text == ("" if then is None else "Hi")
        assert len(server.requests) == 1


@every_client
@every_dialect
def test_a_frame_past_the_bound(kind: str, model: str):
    def endless(conversation: Conversation) -> None:
        conversation.begin()
        conversation.chunk(conversation.frames("Hi")[0])
        conversation.chunk(b"data: " if model == "open/m" else b"{")
        while not conversation.server.released.is_set():
            conversation.chunk(b"x" * 65536)

    limits = Limits(max_frame_bytes=1024 * 1024)
    with LoopbackServer([endless]) as server, talking(kind, server, limits=limits) as talker:
        heard = talker.hear(model).check("error", error=ProtocolError)
        assert heard.error.setting == "max_frame_bytes"
        server.wait_until(lambda: server.open_connections == 0)


needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts files in /proc")


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@needs_proc
@every_client
def test_failures_lose_no_files(kind: str):
    """Refused, truncated, an error status, bad input: again and again, nothing is left open."""

    def cut(conversation: Conversation) -> None:
        conversation.begin()
        conversation.chunk(ollama_lines("Hi")[0])
        conversation.end()

    def missing(conversation: Conversation) -> None:
        conversation.whole(b'{"error": "model not found"}', 404)

    scripts: list[Any] = [cut, missing] * 10
    with (
        LoopbackServer(scripts) as server,
        talking(kind, server, retries=Retries(count=0)) as talker,
        talking(kind, "http://127.0.0.1:9", retries=Retries(count=0)) as nowhere,
    ):

        def fail() -> None:
            assert talker.hear().outcome == "truncated"
            assert talker.hear().outcome == "error"
            assert nowhere.hear().outcome == "error"
            talker.leave(talker.stream())

        fail()
        gc.collect()
        before = open_files()
        for _ in range(8):
            fail()
        gc.collect()
        assert open_files() <= before + 4
