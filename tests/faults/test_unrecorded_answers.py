"""`models()` and `server_version()` are bounded in time and memory, as everything else is."""

from __future__ import annotations

import gzip
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from four_clients import CLIENTS, every_one_of_four, talking_by
from lateness import MOST_LATE, Lateness
from loopback import Conversation, LoopbackServer
from peak_memory import peak_memory
from talking import Talker, at_once
from vesselog import Retries, StreamTimeoutError, Timeouts, VesselogError

TOTAL = 1.0  # seconds
TIMEOUTS = Timeouts(connect=TOTAL, first_chunk=0.5, idle=0.5, total=TOTAL)
MOST_MEMORY = 8 * 32 * 1024  # KiB: eight times the largest frame that is read
MIB = b"a" * (1 << 20)
PIECES = 512

ASKED: dict[str, Callable[[Talker], Any]] = {
    "models": lambda talker: talker.models("lab"),
    "server-version": lambda talker: talker.server_version("lab"),
}
every_question = pytest.mark.parametrize("question", ASKED)
every_status = pytest.mark.parametrize("status", [200, 500])


def flood(conversation: Conversation, send: Callable[[bytes], None]) -> None:
    for _ in range(PIECES):
        send(MIB)
    conversation.cut()


def endless(conversation: Conversation, status: int) -> None:
    conversation.head(status, "application/json")
    conversation.chunk(b'{"version": "')
    flood(conversation, conversation.chunk)


def endless_until_closed(conversation: Conversation, status: int) -> None:
    conversation.raw(f"HTTP/1.1 {status} Endless\r\nconnection: close\r\n\r\n".encode())
    flood(conversation, conversation.raw)


def endless_whatever_it_promised(conversation: Conversation, status: int) -> None:
    conversation.raw(f"HTTP/1.1 {status} Large\r\ncontent-length: {1 << 40}\r\n\r\n".encode())
    flood(conversation, conversation.raw)


def gzip_bomb(conversation: Conversation, status: int) -> None:
    conversation.head(status, "application/json", content_encoding="gzip")
    conversation.chunk(gzip.compress(b'{"version": "') + gzip.compress(MIB) * PIECES)
    conversation.end()


def one_member() -> bytes:
    """200 MiB as one gzip member; made in pieces, since this process's memory is measured."""
    packing = zlib.compressobj(1, wbits=zlib.MAX_WBITS | 16)
    pieces = [packing.compress(each) for each in (b'{"version": "', *[MIB] * 200)]
    return b"".join([*pieces, packing.flush()])


ONE_MEMBER = one_member()


def gzip_bomb_in_one_member(conversation: Conversation, status: int) -> None:
    conversation.head(status, "application/json", content_encoding="gzip")
    conversation.chunk(ONE_MEMBER)
    conversation.end()


LARGE = (
    endless,
    endless_until_closed,
    endless_whatever_it_promised,
    gzip_bomb,
    gzip_bomb_in_one_member,
)


def drip(conversation: Conversation, send: Callable[[bytes], None]) -> None:
    """One byte now and then, for much longer than any deadline."""
    for _ in range(25):
        if conversation.server.released.wait(0.2):
            break
        send(b"a")
    conversation.cut()


def dripped(conversation: Conversation, status: int) -> None:
    conversation.head(status, "application/json")
    conversation.chunk(b'{"version": "')
    drip(conversation, conversation.chunk)


def dripped_head(conversation: Conversation, status: int) -> None:
    conversation.raw(f"HTTP/1.1 {status} Slow\r\nx-slow: ".encode())
    drip(conversation, conversation.raw)


def silent(conversation: Conversation, status: int) -> None:
    conversation.wait_for_hangup()


def silent_in_the_body(conversation: Conversation, status: int) -> None:
    conversation.head(status, "application/json")
    conversation.chunk(b'{"version": "')
    conversation.wait_for_hangup()


SLOW = (dripped, dripped_head, silent, silent_in_the_body)


@every_one_of_four
@every_question
@every_status
@pytest.mark.parametrize("script", LARGE, ids=lambda each: each.__name__.replace("_", "-"))
def test_a_large_answer_is_not_read_to_its_end(
    script: Callable[[Conversation, int], None], status: int, question: str, client: str
) -> None:
    settings: dict[str, Any] = {"timeouts": Timeouts(total=30), "retries": Retries(count=0)}
    with LoopbackServer([lambda conversation: script(conversation, status)]) as server:
        with talking_by(client, server, **settings) as talker:
            with peak_memory() as grown, pytest.raises(VesselogError) as caught:
                ASKED[question](talker)
            assert not isinstance(caught.value, StreamTimeoutError)
            assert grown[0] < MOST_MEMORY
        server.wait_until(lambda: server.open_connections == 0)


@at_once(*CLIENTS)
@every_question
@pytest.mark.parametrize("script", SLOW, ids=lambda each: each.__name__.replace("_", "-"))
def test_a_slow_answer_ends_at_a_deadline(
    script: Callable[[Conversation, int], None], question: str, kind: str
) -> None:
    settings: dict[str, Any] = {"timeouts": TIMEOUTS, "retries": Retries(count=0)}
    with LoopbackServer([lambda conversation: script(conversation, 200)]) as server:
        with talking_by(kind, server, **settings) as talker, Lateness() as lateness:
            begun = time.monotonic()
            with pytest.raises(StreamTimeoutError):
                ASKED[question](talker)
            took = time.monotonic() - begun
        assert took < TOTAL + MOST_LATE + lateness.seconds
        server.wait_until(lambda: server.open_connections == 0)


ODD_ASKED = ASKED | {"models-openai": lambda talker: talker.models("open")}
ODD = {
    "empty": b"",
    "null": b"null",
    "list": b"[]",
    "object": b"{}",
    "deep": b"[" * 100_000,
    "cut": b'{"version": ',
    "no-utf-8": b"\xff\xfe",
    "html": b"<html>",
    "digits": b"1" * 9999,
    "numbers": b'{"version": 7, "models": [7], "data": [7]}',
    "nameless": b'{"version": "", "models": [{}], "data": [{"id": null}]}',
}


@every_one_of_four
@pytest.mark.parametrize("question", ODD_ASKED)
@pytest.mark.parametrize("name", ODD)
def test_an_odd_answer_is_read_or_refused(name: str, question: str, client: str) -> None:
    """A typed error, or what is in it: never a raw exception."""
    with (
        LoopbackServer([lambda conversation: conversation.whole(ODD[name])]) as server,
        talking_by(client, server, retries=Retries(count=0)) as talker,
    ):
        try:
            answer = ODD_ASKED[question](talker)
        except VesselogError:
            return
        assert isinstance(answer, list | str)
