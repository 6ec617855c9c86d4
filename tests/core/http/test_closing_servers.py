"""Servers that do not keep the connections that they promised to keep are told to close them."""

from __future__ import annotations

import httpx

from loopback import Conversation, LoopbackServer
from talking import every_client, talking
from vesselog import ConnectionFailedError, Retries
from vesselog.core.http.closing_servers import ClosingServers

HERE, THERE = "http://here:1", "http://there:1"


def test_a_server_is_trusted_until_it_is_known() -> None:
    servers = ClosingServers()
    assert servers.headers(HERE) == {}
    assert servers.answered(HERE, httpx.Headers({"Server": "uvicorn"}))
    assert servers.headers(HERE) == {}


def test_one_that_closes_is_known_by_its_name() -> None:
    servers = ClosingServers()
    assert not servers.answered(HERE, httpx.Headers({"Server": "llama.cpp"}))
    assert servers.headers(HERE) == {"connection": "close"}
    assert servers.headers(THERE) == {}


def test_one_that_hung_up_where_an_answer_was_due_is_remembered() -> None:
    servers = ClosingServers()
    servers.hung_up(HERE)
    assert servers.headers(HERE) == {"connection": "close"}
    assert not servers.answered(HERE, httpx.Headers())
    assert servers.answered(THERE, httpx.Headers())


def test_http2_has_no_such_header() -> None:
    servers = ClosingServers(http2=True)
    servers.hung_up(HERE)
    assert servers.answered(HERE, httpx.Headers({"Server": "llama.cpp"}))
    assert servers.headers(HERE) == {}


@every_client
def test_a_llama_server_is_asked_on_a_new_connection_each_time(kind: str) -> None:
    def answers(conversation: Conversation) -> None:
        conversation.head(server="llama.cpp")
        for frame in conversation.frames("Hi"):
            conversation.chunk(frame)
        conversation.end()
        if conversation.request.headers.get("connection") == "close":
            conversation.cut()

    with LoopbackServer([answers]) as server, talking(kind, server) as talker:
        for _ in range(3):
            talker.hear().check("complete")
        told = [request.headers.get("connection") for request in server.requests]
        assert told[1:] == ["close", "close"]
        assert server.connections == 3


@every_client
def test_after_a_server_hung_up_its_connections_are_not_used_again(kind: str) -> None:
    def answers(conversation: Conversation) -> None:
        conversation.answer("Hi")

    def hangs_up(conversation: Conversation) -> None:
        conversation.cut()

    with (
        LoopbackServer([answers, hangs_up, answers]) as server,
        talking(kind, server, retries=Retries(count=0)) as talker,
    ):
        talker.hear().check("complete")
        talker.hear().check("error", error=ConnectionFailedError)
        for _ in range(2):
            talker.hear().check("complete")
        told = [request.headers.get("connection") for request in server.requests]
        assert told[2:] == ["close", "close"]
        assert told[1] != "close"
