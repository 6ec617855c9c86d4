"""Bytes behind the end of an answer: they are in no answer, and their connection is not used again.

A server, or what stands before it, sends a whole answer and behind it a second one that nobody
asked for. Only bytes that arrive before the next request is written can be told from its answer;
the tests therefore wait until the planted ones have been sent, except where they say otherwise.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from four_clients import every_one_of_four, talking_by
from loopback import (
    Conversation,
    LoopbackServer,
    ollama_body,
    ollama_lines,
    openai_body,
    openai_events,
)
from patience import PATIENCE
from talking import Heard, Talker, every_dialect, talking
from vesselog import ConnectionFailedError, Retries, Timeouts, VesselogError, verify
from vesselog.vessels import Ollama, OpenAI

PLANTED = "PLANTED"
TRUE = ("a", "b", "c")
MOMENTS = {"same-segment": None, "a-millisecond-later": 0.001, "while-idle": 0.05}

PATIENT = Timeouts(connect=30, first_chunk=30, idle=30, total=30, drain=0.3)

Ending = Callable[[Conversation], None]


def body_of(conversation: Conversation, *texts: str) -> bytes:
    ollama = "/api/" in conversation.request.path
    return b"".join(ollama_lines(*texts) if ollama else openai_events(*texts))


def head_of(conversation: Conversation, *lines: str, status: str = "200 OK") -> bytes:
    ollama = "/api/" in conversation.request.path
    kind = "application/x-ndjson" if ollama else "text/event-stream"
    head = "\r\n".join((f"HTTP/1.1 {status}", f"content-type: {kind}", *lines))
    return f"{head}\r\n\r\n".encode()


def planted(conversation: Conversation) -> bytes:
    """A whole answer that nobody asked for."""
    body = body_of(conversation, PLANTED)
    return head_of(conversation, f"content-length: {len(body)}") + body


def chunked(conversation: Conversation, trailers: str = "") -> None:
    conversation.raw(head_of(conversation, "transfer-encoding: chunked"))
    conversation.chunk(body_of(conversation, *TRUE))
    conversation.raw(f"0\r\n{trailers}\r\n".encode())


def trailers(conversation: Conversation) -> None:
    chunked(conversation, "x-checked: yes\r\nx-took: 3\r\n")


def content_length(conversation: Conversation) -> None:
    body = body_of(conversation, *TRUE)
    conversation.raw(head_of(conversation, f"content-length: {len(body)}") + body)


def no_content(conversation: Conversation) -> None:
    conversation.raw(b"HTTP/1.1 204 No Content\r\n\r\n")


def unauthorized(conversation: Conversation) -> None:
    conversation.whole(b'{"error": {"message": "no"}}', 401)


def unavailable_chunked(conversation: Conversation) -> None:
    conversation.head(503, "application/json")
    conversation.chunk(b'{"error": {"message": "busy"}}')
    conversation.end()


COMPLETE = {each.__name__: each for each in (chunked, content_length, trailers)}
ENDINGS: dict[str, Ending] = COMPLETE | {
    each.__name__: each for each in (no_content, unauthorized, unavailable_chunked)
}


class Planting:
    """A script: the first request is answered with something behind it, all others truly.

    pause: seconds before what is planted is sent; None puts it into the same write. asked: the
    connection of each request. over: the planted bytes have been sent.
    """

    def __init__(
        self,
        ending: Ending,
        pause: float | None,
        plant: Any = planted,
        true: Ending = content_length,
    ) -> None:
        self.ending = ending
        self.pause = pause
        self.plant = plant
        self.true = true
        self.asked: list[int] = []
        self.over = threading.Event()

    def __call__(self, conversation: Conversation) -> None:
        self.asked.append(conversation.connection)
        if len(self.asked) > 1:
            self.true(conversation)
            return
        try:
            if self.pause is None:
                with conversation.at_once():
                    self.ending(conversation)
                    conversation.raw(self.plant(conversation))
            else:
                self.ending(conversation)
                conversation.server.released.wait(self.pause)
                conversation.raw(self.plant(conversation))
        finally:
            self.over.set()


def check_nothing_planted(*heard: Heard) -> None:
    for each in heard:
        assert PLANTED not in each.text
        assert each.error is None or isinstance(each.error, VesselogError), repr(each.error)
    for path in Path("recordings").iterdir():
        assert PLANTED.encode() not in path.read_bytes(), path
        report = verify(path)
        assert report.ok, report.findings


def check_true(heard: Heard) -> None:
    heard.check("complete")
    assert heard.text == "".join(TRUE)


def ask_again(talker: Talker, script: Planting, model: str) -> list[Heard]:
    """Two more requests once everything planted has been sent."""
    assert script.over.wait(PATIENCE)
    more = [talker.hear(model, timeouts=PATIENT) for _ in range(2)]
    for each in more:
        check_true(each)
    assert script.asked[0] not in script.asked[1:], "its connection was used again"
    return more


@every_one_of_four
@every_dialect
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("ending", ENDINGS)
def test_what_is_planted_is_in_no_answer(client: str, model: str, moment: str, ending: str) -> None:
    script = Planting(ENDINGS[ending], MOMENTS[moment])
    with (
        LoopbackServer([script]) as server,
        talking_by(client, server, retries=Retries(count=0)) as talker,
    ):
        first = talker.hear(model, timeouts=PATIENT)
        if ending in COMPLETE:
            check_true(first)
        else:
            assert isinstance(first.error, VesselogError)
        check_nothing_planted(first, *ask_again(talker, script, model))


class Corked:
    """Sends an answer's end and what is planted in records of TLS, and both in one segment."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, conversation: Conversation) -> None:
        self.asked += 1
        if self.asked > 1:
            content_length(conversation)
            return
        body = body_of(conversation, *TRUE)
        conversation.raw(head_of(conversation, f"content-length: {len(body)}") + body[:-1])
        conversation.cork(body[-1:], planted(conversation))


@every_one_of_four
@every_dialect
def test_what_is_planted_in_a_record_of_tls_is_in_no_answer(client: str, model: str) -> None:
    """httpcore gets one record from TLS, which has received the other one too."""
    authority = trustme.CA()
    tls, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    authority.configure_trust(trusting)
    script = Corked()
    with (
        LoopbackServer([script], tls=tls) as server,
        talking_by(client, server, ssl_context=trusting) as talker,
    ):
        heard = [talker.hear(model, timeouts=PATIENT) for _ in range(3)]
    for each in heard:
        check_true(each)
    check_nothing_planted(*heard)


@every_one_of_four
@every_dialect
def test_what_is_planted_in_the_drain_is_in_no_answer(client: str, model: str) -> None:
    """The answer's last word has been read; its body ends together with what is planted."""
    reading = threading.Event()

    def last_word(conversation: Conversation) -> None:
        conversation.raw(head_of(conversation, "transfer-encoding: chunked"))
        conversation.chunk(body_of(conversation, *TRUE))
        reading.wait(PATIENCE)

    def end_and_plant(conversation: Conversation) -> bytes:
        return b"0\r\n\r\n" + planted(conversation)

    script = Planting(last_word, 0.001, end_and_plant)
    with LoopbackServer([script]) as server, talking_by(client, server) as talker:
        stream = talker.stream(model, timeouts=PATIENT)
        first = talker.begin(stream, lambda _: reading.set()).result(PATIENCE)
        check_true(first)
        check_nothing_planted(first, *ask_again(talker, script, model))


@every_one_of_four
@every_dialect
def test_what_is_planted_in_pieces_is_in_no_answer(client: str, model: str) -> None:
    """The first piece comes with the answer's end, the rest while the connection is idle."""
    begun = threading.Event()

    def end_and_begin(conversation: Conversation) -> None:
        with conversation.at_once():
            content_length(conversation)
            conversation.raw(planted(conversation)[:25])
        begun.wait(PATIENCE)

    script = Planting(end_and_begin, 0.001, lambda conversation: planted(conversation)[25:])
    with LoopbackServer([script]) as server, talking_by(client, server) as talker:
        first = talker.hear(model, timeouts=PATIENT)
        begun.set()
        check_true(first)
        check_nothing_planted(first, *ask_again(talker, script, model))


@every_one_of_four
@every_dialect
@pytest.mark.parametrize("junk", [b"\r\n", b"x", b"HTTP/1.1 ", b"\0" * 70_000])
def test_what_is_no_answer_behind_an_answer_does_no_harm(
    client: str, model: str, junk: bytes
) -> None:
    """Not even half an answer: the next requests have a connection without such a past.

    aiohttp refuses a read that has a whole answer and something that is no HTTP.
    """
    script = Planting(chunked, None, lambda _: junk)
    with LoopbackServer([script]) as server, talking_by(client, server) as talker:
        first = talker.hear(model, timeouts=PATIENT)
        if client.endswith("fast") and first.error is not None:
            first.check("error", error=ConnectionFailedError)
        else:
            check_true(first)
        assert script.over.wait(PATIENCE)
        more = [talker.hear(model, timeouts=PATIENT) for _ in range(2)]
        for each in more:
            check_true(each)
        check_nothing_planted(first, *more)
        # An empty line between two messages is allowed (RFC 9112, 2.2), and the beginning of a head
        # goes with the parser that held it.
        if junk not in {b"\r\n", b"HTTP/1.1 "}:
            assert script.asked[0] not in script.asked[1:]


@every_one_of_four
@every_dialect
def test_a_body_that_the_connection_ends_has_a_connection_of_its_own(
    client: str, model: str
) -> None:
    """What is behind the last frame belongs to this body; nothing of it is the next answer's."""

    def until_the_end(conversation: Conversation) -> None:
        conversation.raw(head_of(conversation, "connection: close") + body_of(conversation, *TRUE))

    script = Planting(until_the_end, None)
    with LoopbackServer([script]) as server, talking_by(client, server) as talker:
        talker.hear(model, timeouts=PATIENT)
        for each in ask_again(talker, script, model):
            assert PLANTED not in each.text


@every_one_of_four
@every_dialect
def test_answers_that_come_before_their_request_are_not_joined(client: str, model: str) -> None:
    """A second answer that follows at once is not the rest of the first, nor the next one's."""

    def twice(conversation: Conversation) -> None:
        with conversation.at_once():
            for _ in range(3):
                conversation.raw(b"HTTP/1.1 100 Continue\r\n\r\n")
            content_length(conversation)
            conversation.raw(planted(conversation) * 3)

    script = Planting(twice, None)
    with LoopbackServer([script]) as server, talking_by(client, server) as talker:
        first = talker.hear(model, timeouts=PATIENT)
        check_true(first)
        check_nothing_planted(first, *ask_again(talker, script, model))


def over_http2(*_: Any) -> dict[str, Any]:
    """A client that would speak HTTP/2, of which each connection carries one stream."""
    return {"http2": True, "fast": False}


def by_proxy(server: LoopbackServer, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    patch.setenv("HTTP_PROXY", server.url)
    far = "http://models.example"
    return {"vessels": {"lab": Ollama(base_url=far), "open": OpenAI(base_url=far)}}


def by_own_client(*_: Any) -> dict[str, Any]:
    own = httpx.AsyncClient(trust_env=False)
    return {"http_client": own, "ssl_context": None, "fast": None}


WAYS = {each.__name__: each for each in (over_http2, by_proxy, by_own_client)}


@pytest.mark.parametrize("kind", ["sync", "async"])
@every_dialect
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("way", WAYS)
def test_what_is_planted_on_another_way_is_in_no_answer(
    kind: str, model: str, moment: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Planting(chunked, MOMENTS[moment])
    with LoopbackServer([script]) as server:
        settings = WAYS[way](server, monkeypatch)
        with talking(kind, server, **settings) as talker:
            first = talker.hear(model, timeouts=PATIENT)
            check_true(first)
            check_nothing_planted(first, *ask_again(talker, script, model))
            if kind == "async" and way == "by_own_client":  # the caller's own to close
                talker._call(settings["http_client"].aclose)


def in_one_piece(conversation: Conversation) -> None:
    if conversation.request.method == "GET":
        conversation.whole(b'{"models": [{"name": "abc"}], "data": [{"id": "abc"}]}')
    else:
        ollama = "/api/" in conversation.request.path
        conversation.whole((ollama_body if ollama else openai_body)("abc"))


def planted_in_one_piece(conversation: Conversation) -> bytes:
    if conversation.request.method != "GET":
        return planted(conversation)
    name = PLANTED.encode()
    body = b'{"models": [{"name": "%s"}], "data": [{"id": "%s"}]}' % (name, name)
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body


ASKED: dict[str, Callable[[Talker, str], str]] = {
    "complete": lambda talker, model: talker.complete(model, timeouts=PATIENT).text,
    "models": lambda talker, model: talker.models(model.partition("/")[0])[0].name,
}


@every_one_of_four
@every_dialect
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("question", ASKED)
def test_what_is_planted_behind_one_piece_is_in_no_answer(
    client: str, model: str, moment: str, question: str
) -> None:
    script = Planting(in_one_piece, MOMENTS[moment], planted_in_one_piece, in_one_piece)
    with LoopbackServer([script]) as server, talking_by(client, server) as talker:
        heard = [ASKED[question](talker, model)]
        assert script.over.wait(PATIENCE)
        heard += [ASKED[question](talker, model) for _ in range(2)]
        assert heard == ["abc"] * 3
        assert script.asked[0] not in script.asked[1:], "its connection was used again"
