"""The httpx client that is made, and one of the caller's own, for which our rules hold too."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from loopback import Conversation, LoopbackServer, ollama_body, ollama_lines
from patience import PATIENCE
from talking import Talker, at_once, every_client, every_dialect, talking
from vesselog import (
    AsyncClient,
    Client,
    ConfigurationError,
    ConnectionFailedError,
    ProviderError,
    Retries,
    StreamTimeoutError,
    Timeouts,
)
from vesselog.vessels.ollama import Ollama

KINDS = pytest.mark.parametrize("kind", ["sync", "async"])
BOTH_AT_ONCE = at_once("sync", "async")


class Injected:
    """A Talker over an httpx client of one's own. The async client leaves it open.

    The sync client closes it: its connections belong to that client's own loop.
    """

    def __init__(self, kind: str, server: LoopbackServer | None = None, **settings: Any) -> None:
        self.http = httpx.AsyncClient(**settings.pop("http", {}))
        url = server.url if server else "http://127.0.0.1:9"
        vessels = {"lab": Ollama(base_url=url)}
        given = {"http_client": self.http, "vessels": vessels, "environment": {}, "fast": None}
        self.talker = Talker(kind, **given, **settings)

    def __enter__(self) -> Talker:
        return self.talker

    def __exit__(self, *_: object) -> None:
        self.talker.close()
        if self.talker.kind == "sync":
            assert self.http.is_closed
        else:
            assert not self.http.is_closed
            self.talker._loop.begin(self.http.aclose()).result(PATIENCE)
        self.talker.end()


def answer(conversation: Conversation) -> None:
    conversation.answer("Hi", " there")


@KINDS
def test_streams_and_answers(kind: str):
    with LoopbackServer([answer]) as server, Injected(kind, server) as talker:
        assert talker.hear().check("complete").text == "Hi there"
        assert talker.complete().text == "Hi there"
        assert server.connections == 1


@KINDS
def test_over_a_transport_that_is_no_network(kind: str):
    class Body(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            for line in ollama_lines("Hi", " there"):
                yield line

    def handle(request: httpx.Request) -> httpx.Response:
        if b'"stream":false' in request.content:
            return httpx.Response(200, content=ollama_body("Hi there"))
        return httpx.Response(200, stream=Body())

    with Injected(kind, http={"transport": httpx.MockTransport(handle)}) as talker:
        assert talker.hear().check("complete").text == "Hi there"
        assert talker.complete().text == "Hi there"
        assert talker.hear(messages="x" * 1_000_000).check("complete").text == "Hi there"


@KINDS
def test_its_own_headers_are_sent_with_ours(kind: str):
    http = {"headers": {"X-Team": "blue", "Accept-Encoding": "gzip"}}
    with LoopbackServer([answer]) as server, Injected(kind, server, http=http) as talker:
        talker.hear().check("complete")
        (request,) = server.requests
        assert request.headers["x-team"] == "blue"
        assert request.headers["accept-encoding"] == "identity"


@KINDS
def test_redirects_are_not_followed_though_it_would(kind: str):
    with LoopbackServer([answer]) as elsewhere:

        def redirects(conversation: Conversation) -> None:
            conversation.whole(b"", 307, location=f"{elsewhere.url}/api/chat")

        http = {"follow_redirects": True}
        with LoopbackServer([redirects]) as server, Injected(kind, server, http=http) as talker:
            heard = talker.hear().check("error", error=ProviderError)
            assert heard.error.status == 307
            with pytest.raises(ProviderError):
                talker.models()
        assert elsewhere.requests == []


@BOTH_AT_ONCE
def test_a_slow_first_chunk_is_waited_for_though_connecting_may_not_take_so_long(kind: str):
    release = threading.Event()

    def slow(conversation: Conversation) -> None:
        release.wait(PATIENCE)
        conversation.answer("Hi")

    with LoopbackServer([slow]) as server, Injected(kind, server) as talker:
        future = talker.begin(talker.stream(timeouts=Timeouts(connect=0.5, first_chunk=30)))
        threading.Timer(0.8, release.set).start()
        assert future.result(PATIENCE).check("complete").text == "Hi"


def silent(conversation: Conversation) -> None:
    conversation.wait_for_hangup()


def falls_silent(conversation: Conversation) -> None:
    conversation.begin()
    conversation.chunk(ollama_lines("Hi")[0])
    conversation.wait_for_hangup()


@BOTH_AT_ONCE
@pytest.mark.parametrize(
    ("script", "phase"), [(silent, "first_chunk"), (falls_silent, "idle")], ids=["first", "idle"]
)
def test_silence_ends(kind: str, script: Callable[[Conversation], None], phase: str):
    timeouts = Timeouts(first_chunk=0.6, idle=0.6)
    with LoopbackServer([script]) as server, Injected(kind, server) as talker:
        heard = talker.hear(timeouts=timeouts).check("error", error=StreamTimeoutError)
        assert (heard.error.phase, heard.error.setting) == (phase, phase)
        server.wait_until(lambda: server.open_connections == 0)


@BOTH_AT_ONCE
@pytest.mark.parametrize("how", ["cancel", "total"])
def test_cancel_and_deadlines_act_at_the_next_data(kind: str, how: str):
    def talks_on(conversation: Conversation) -> None:
        conversation.begin()
        while not conversation.server.released.wait(0.01):
            conversation.chunk(ollama_lines("on ")[0])

    with LoopbackServer([talks_on]) as server, Injected(kind, server) as talker:
        begun = threading.Event()
        stream = talker.stream(timeouts=Timeouts(total=0.8 if how == "total" else None))
        future = talker.begin(stream, lambda chunk: begun.set())
        assert begun.wait(PATIENCE)
        if how == "cancel":
            stream.cancel()
            future.result(PATIENCE).check("cancelled")
        else:
            future.result(PATIENCE).check("error", error=StreamTimeoutError)
        server.wait_until(lambda: server.open_connections == 0)


@KINDS
def test_its_failures_are_ours(kind: str):
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("sk-canary", request=request)

    transport = httpx.MockTransport(refuse)
    retries = Retries(count=1, backoff=0.01)
    with Injected(kind, http={"transport": transport}, retries=retries) as talker:
        heard = talker.hear()
        assert heard.error.phase == "connect"
        assert "canary" not in str(heard.error)
        assert len(heard.calls) == 2


@KINDS
def test_one_with_the_same_interface_will_do(kind: str):
    """httpx2 is a package of its own, with names of its own for the same errors."""
    httpx2 = pytest.importorskip("httpx2")

    def breaks(conversation: Conversation) -> None:
        conversation.begin()
        conversation.chunk(ollama_lines("Hi")[0])
        conversation.cut()

    with LoopbackServer([answer, breaks]) as server:
        http = httpx2.AsyncClient()
        vessels = {
            "lab": Ollama(base_url=server.url),
            "gone": Ollama(base_url="http://127.0.0.1:9"),
        }
        with talking(
            kind,
            vessels=vessels,
            http_client=http,
            fast=None,
            ssl_context=None,
            retries=Retries(count=0),
        ) as talker:
            assert talker.hear().check("complete").text == "Hi there"
            heard = talker.hear().check("error", error=ConnectionFailedError)
            assert (heard.text, heard.error.phase) == ("Hi", "body")
            heard = talker.hear("gone/m").check("error", error=ConnectionFailedError)
            assert heard.error.phase == "connect"
            if kind == "async":
                talker._loop.begin(http.aclose()).result(PATIENCE)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize("wrong", [httpx.Client(), httpx.AsyncClient, object(), "http://proxy"])
def test_of_the_wrong_kind_it_is_refused_at_once(kind: Any, wrong: Any):
    with pytest.raises(ConfigurationError, match=r"must be an httpx\.AsyncClient") as caught:
        kind(http_client=wrong, environment={}, recordings=None)
    assert caught.value.setting == "http_client"


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize("setting", ["fast", "http2", "ssl_context"])
def test_what_would_have_no_effect_on_it_is_refused(kind: Any, setting: str):
    value = httpx.create_ssl_context() if setting == "ssl_context" else True
    with pytest.raises(ConfigurationError, match=f"{setting} has no effect") as caught:
        kind(http_client=httpx.AsyncClient(), recordings=None, **{setting: value})
    assert caught.value.setting == setting


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_what_changes_nothing_is_no_contradiction(kind: Any):
    kind(http_client=httpx.AsyncClient(), recordings=None, fast=False, http2=False)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
class TestMade:
    def test_fast_and_http2_exclude_each_other(self, kind: Any):
        with pytest.raises(ConfigurationError, match="choose one of the two") as caught:
            kind(fast=True, http2=True, recordings=None)
        assert caught.value.setting == "fast"

    @pytest.mark.parametrize(
        ("setting", "package"), [("fast", "httpx_aiohttp"), ("http2", "h2")], ids=["fast", "http2"]
    )
    def test_a_missing_extra_is_one_sentence_with_the_line_that_installs_it(
        self, kind: Any, setting: str, package: str, monkeypatch: pytest.MonkeyPatch
    ):
        missing(package, monkeypatch)
        with pytest.raises(
            ConfigurationError, match=rf"pip install 'vesselog\[{setting}\]'"
        ) as told:
            kind(recordings=None, **{setting: True})
        assert told.value.setting == setting

    @pytest.mark.parametrize(
        ("settings", "there", "transport"),
        [
            ({}, True, "FastTransport"),
            ({}, False, "AsyncHTTPTransport"),
            ({"fast": True}, True, "FastTransport"),
            ({"fast": False}, True, "AsyncHTTPTransport"),
            ({"http2": True}, True, "UnsharedHttp2"),
        ],
    )
    def test_fast_is_used_where_it_is_installed_and_nothing_else_is_asked_for(
        self,
        kind: Any,
        settings: Any,
        there: bool,  # noqa: FBT001
        transport: str,
        monkeypatch: pytest.MonkeyPatch,
    ):
        if not there:
            missing("httpx_aiohttp", monkeypatch)
        client = kind(recordings=None, environment={}, **settings)
        assert type(client._http._transport).__name__ == transport

    def test_certificates_that_cannot_be_read_are_told(
        self, kind: Any, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/at/all")
        with pytest.raises(ConfigurationError, match="SSL_CERT_FILE") as caught:
            kind(recordings=None)
        assert caught.value.setting == "ssl_context"


def missing(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if it were not installed."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "vesselog.core.http.clients.find_spec",
        lambda name: None if name == package else find(name),
    )


@every_client
def test_a_cookie_is_not_kept(kind: str):
    """What a server set for the key of one vessel would go with the key of the next."""

    def set_one(conversation: Conversation) -> None:
        conversation.whole(ollama_body("Hi"), set_cookie="who=you; Path=/")

    with LoopbackServer([set_one]) as server, talking(kind, server) as talker:
        for _ in range(2):
            talker.complete()
        assert not [each for each in server.requests if "cookie" in each.headers]


@every_client
def test_a_redirect_is_never_followed(kind: str):
    """It would take the prompt and the key to another server."""
    with LoopbackServer([answer]) as elsewhere:

        def redirects(conversation: Conversation) -> None:
            conversation.whole(b"", 307, location=f"{elsewhere.url}/api/chat")

        with LoopbackServer([redirects]) as server, talking(kind, server) as talker:
            heard = talker.hear().check("error", error=ProviderError)
            assert heard.error.status == 307
            with pytest.raises(ProviderError):
                talker.complete()
            with pytest.raises(ProviderError):
                talker.models()
        assert elsewhere.requests == []


@every_client
@every_dialect
def test_five_streams_in_a_row_use_one_connection(kind: str, model: str):
    with LoopbackServer([answer]) as server, talking(kind, server) as talker:
        for _ in range(5):
            talker.hear(model).check("complete")
        assert len(server.requests) == 5
        assert server.connections == 1


@every_client
def test_a_server_that_lingers_after_its_last_word_costs_the_drain_or_the_connection(kind: str):
    """The end of the body comes a little after `[DONE]`: within the drain the connection stays."""
    moment = threading.Event()

    def lingers(conversation: Conversation) -> None:
        conversation.begin()
        for frame in conversation.frames("Hi"):
            conversation.chunk(frame)
        moment.wait(0.02)
        conversation.end()

    def stays(conversation: Conversation) -> None:
        conversation.begin()
        for frame in conversation.frames("Hi"):
            conversation.chunk(frame)
        conversation.wait_for_hangup()

    scripts = [*([lingers] * 5), stays, lingers]
    with LoopbackServer(scripts) as server, talking(kind, server) as talker:
        patient = Timeouts(drain=5)
        for _ in range(5):
            talker.hear("open/m", timeouts=patient).check("complete")
        assert server.connections == 1
        hasty = Timeouts(drain=0)
        talker.hear("open/m", timeouts=hasty).check("complete")
        talker.hear("open/m", timeouts=patient).check("complete")
        assert server.connections == 2


@every_client
def test_complete_and_models_and_streams_share_connections(kind: str):
    def any_answer(conversation: Conversation) -> None:
        if conversation.request.method == "GET":
            conversation.whole(b'{"models": [{"name": "m"}]}')
        else:
            conversation.answer("Hi")

    with LoopbackServer([any_answer]) as server, talking(kind, server) as talker:
        talker.hear()
        talker.complete()
        talker.models()
        talker.hear()
        assert server.connections == 1


@every_client
def test_idle_connections_are_kept_up_to_the_limit_and_closed_with_the_client(kind: str):
    together = threading.Barrier(4)

    def at_once(conversation: Conversation) -> None:
        together.wait(PATIENCE)
        conversation.answer("Hi")

    with LoopbackServer([at_once]) as server:
        with talking(kind, server) as talker:
            futures = [talker.begin(talker.stream()) for _ in range(4)]
            for future in futures:
                future.result(PATIENCE).check("complete")
            assert server.connections == server.open_connections == 4
        server.wait_until(lambda: server.open_connections == 0)
