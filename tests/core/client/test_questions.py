"""Questions about a server's models and version: answered, bounded, and not recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loopback import Conversation, LoopbackServer
from talking import every_client, every_client_at_once, talking
from vesselog import (
    Client,
    ConfigurationError,
    ConnectionFailedError,
    Limits,
    ProtocolError,
    ProviderError,
    Retries,
    StreamTimeoutError,
    Timeouts,
)
from vesselog.core.client import questions
from vesselog.core.client.questions import question_settings
from vesselog.vessels.ollama import Ollama
from vesselog.vessels.openai import OpenAI


@every_client
def test_models_and_version(kind: str):
    def tells(conversation: Conversation) -> None:
        if conversation.request.path == "/api/tags":
            conversation.whole(
                '{"models": [{"name": "ä:1b", "size": 5}]}'.encode(),
                content_type="application/json; charset=iso-8859-1",
            )
        else:
            conversation.whole(b'{"version": "0.9"}')

    with LoopbackServer([tells]) as server, talking(kind, server) as talker:
        assert [(model.name, model.size) for model in talker.models()] == [("ä:1b", 5)]
        assert talker.server_version() == "0.9"
    assert not Path("recordings").exists()


@every_client
@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"models": 5}', b"\xff"])
def test_models_of_a_server_that_talks_nonsense(kind: str, body: bytes):
    with (
        LoopbackServer([lambda conversation: conversation.whole(body)]) as server,
        talking(kind, server) as talker,
        pytest.raises(ProtocolError),
    ):
        talker.models()


@every_client
def test_an_error_status_is_read_as_the_vessel_reads_it(kind: str):
    def refuses(conversation: Conversation) -> None:
        conversation.whole(b'{"error": {"message": "wrong key", "code": "invalid"}}', 401)

    with LoopbackServer([refuses]) as server, talking(kind, server) as talker:
        with pytest.raises(ProviderError, match="wrong key") as caught:
            talker.models("open")
        assert caught.value.status == 401


@every_client
def test_they_are_asked_once(kind: str):
    """Whoever asks wants to know if the server is there."""

    def busy(conversation: Conversation) -> None:
        conversation.whole(b'{"error": "busy"}', 503, retry_after="0")

    with (
        LoopbackServer([busy]) as server,
        talking(kind, server, retries=Retries(count=5, backoff=0)) as talker,
    ):
        with pytest.raises(ProviderError):
            talker.models()
        assert len(server.requests) == 1


@every_client
def test_a_server_that_is_not_there(kind: str):
    with talking(kind, "http://127.0.0.1:9") as talker, pytest.raises(ConnectionFailedError):
        talker.server_version()


@every_client_at_once
@pytest.mark.parametrize("beginning", ["", '{"models": ['], ids=["mute", "silent"])
def test_a_silent_server_is_not_waited_for_long(
    kind: str, beginning: str, monkeypatch: pytest.MonkeyPatch
):
    """However patient the client is with answers."""
    monkeypatch.setattr(questions, "_PATIENCE", 0.2)

    def silent(conversation: Conversation) -> None:
        if beginning:
            conversation.head(content_type="application/json")
            conversation.chunk(beginning.encode())
        conversation.wait_for_hangup()

    timeouts = Timeouts(first_chunk=None, idle=None)
    with LoopbackServer([silent]) as server, talking(kind, server, timeouts=timeouts) as talker:
        with pytest.raises(StreamTimeoutError):
            talker.models()
        server.wait_until(lambda: server.open_connections == 0)


def settings_of(**timeouts: float | None) -> Any:
    with Client(timeouts=Timeouts(**timeouts), retries=Retries(count=9)) as client:
        return question_settings(client._settings)


def test_they_are_not_tried_again_and_no_wait_is_longer_than_ten_seconds():
    settings = settings_of(first_chunk=None, total=None, connect=60)
    assert settings.retries.count == 0
    assert all(0 <= limit <= 10 for limit in settings.timeouts.model_dump().values())


def test_the_clients_own_deadlines_hold_where_they_are_shorter():
    timeouts = settings_of(connect=3, idle=0.5, pool=0).timeouts
    assert (timeouts.connect, timeouts.idle, timeouts.pool) == (3, 0.5, 0)


@every_client
def test_a_reply_past_the_bound(kind: str):
    def endless(conversation: Conversation) -> None:
        conversation.head(content_type="application/json")
        while not conversation.server.released.is_set():
            conversation.chunk(b" " * 65536)

    limits = Limits(max_frame_bytes=1024 * 1024)
    with LoopbackServer([endless]) as server, talking(kind, server, limits=limits) as talker:
        with pytest.raises(ProtocolError) as caught:
            talker.models()
        assert caught.value.setting == "max_frame_bytes"
        server.wait_until(lambda: server.open_connections == 0)


@every_client
def test_a_list_of_very_many_models(kind: str):
    """Reading it would keep the event loop from everything else."""

    def listing(count: int) -> Any:
        models = [{"name": str(number)} for number in range(count)]
        return lambda conversation: conversation.whole(json.dumps({"models": models}).encode())

    with (
        LoopbackServer([listing(8000), listing(100_000)]) as server,
        talking(kind, server) as talker,
    ):
        assert len(talker.models()) == 8000
        with pytest.raises(ProtocolError, match="more than any answer needs"):
            talker.models()


@every_client
def test_a_reply_that_is_cut_is_told_as_such(kind: str):
    def cut(conversation: Conversation) -> None:
        conversation.head(content_type="application/json")
        conversation.chunk(b'{"models": [')
        conversation.cut()

    with LoopbackServer([cut]) as server, talking(kind, server) as talker:
        with pytest.raises(ConnectionFailedError) as caught:
            talker.models()
        assert caught.value.phase == "body"


@every_client
def test_a_server_that_cannot_be_asked_is_told_before_anything_is_sent(kind: str):
    with LoopbackServer([lambda conversation: conversation.whole(b"{}")]) as server:
        vessels: Any = {"open": OpenAI(base_url=server.url), "lab": Ollama(base_url=server.url)}
        with (
            talking(kind, vessels=vessels) as talker,
            pytest.raises(ConfigurationError, match="cannot be asked for its version"),
        ):
            talker.server_version("open")
        assert server.requests == []
