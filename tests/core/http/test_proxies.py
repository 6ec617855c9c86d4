"""The environment's proxies are honoured, except for this very machine."""

from __future__ import annotations

import base64
import ssl

import httpx
import pytest
import trustme

from loopback import Conversation, LoopbackServer, unanswering_port
from patience import PATIENCE
from talking import every_client, talking
from vesselog import ConfigurationError, ConnectionFailedError, Retries, Timeouts
from vesselog.core.client.proxies import proxy_patterns, proxy_secrets
from vesselog.vessels.ollama import Ollama
from vesselog.vessels.openai import OpenAI

ONCE = Retries(count=0)
KEY = "sk-canary-0123456789abcdef"


def answer(conversation: Conversation) -> None:
    conversation.answer("Hi")


class TestPatterns:
    def test_none_without_proxies(self):
        assert proxy_patterns() == {}

    def test_loopback_is_always_direct(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
        assert proxy_patterns() == {
            "http://": "http://proxy:3128",
            "all://localhost": None,
            "all://127.0.0.1": None,
            "all://[::1]": None,
        }

    def test_no_proxy_is_honoured(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("ALL_PROXY", "proxy:3128")
        monkeypatch.setenv("NO_PROXY", "example.com, 10.0.0.1,fd00::1,http://other.example")
        patterns = proxy_patterns()
        assert patterns["all://"] == "http://proxy:3128"
        for direct in ("all://*example.com", "all://10.0.0.1", "all://[fd00::1]"):
            assert patterns[direct] is None
        assert patterns["http://other.example"] is None

    def test_no_proxy_for_anything(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
        monkeypatch.setenv("NO_PROXY", "*")
        assert proxy_patterns() == {}


class TestSecrets:
    @pytest.mark.parametrize(
        ("given", "secret", "sent"),
        [
            ("user:pass%2Fword@", "pass/word", b"user:pass/word"),
            ("token@", "token", b"token:"),
        ],
    )
    def test_are_those_of_its_address(
        self, given: str, secret: str, sent: bytes, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http://{given}proxy:3128")
        assert list(proxy_secrets()) == [secret, base64.b64encode(sent).decode()]

    def test_none_without_any(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
        assert list(proxy_secrets()) == []


@every_client
def test_http_goes_through_the_proxy(kind: str, monkeypatch: pytest.MonkeyPatch):
    with LoopbackServer([answer]) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        with talking(kind, "http://models.example") as talker:
            for _ in range(2):
                assert talker.hear().check("complete").text == "Hi"
        assert proxy.requests[0].path == "http://models.example/api/chat"
        assert proxy.requests[0].headers["host"] == "models.example"
        assert proxy.connections == 1


@every_client
def test_the_proxys_password_is_for_the_proxy(kind: str, monkeypatch: pytest.MonkeyPatch):
    with LoopbackServer([answer]) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.replace("://", f"://user:{KEY}@"))
        with talking(kind, "http://models.example") as talker:
            heard = talker.hear().check("complete")
            assert KEY.encode() not in heard.stream.path.read_bytes()
        assert proxy.requests[0].headers["proxy-authorization"].startswith("Basic ")


@every_client
def test_loopback_goes_past_the_proxy(kind: str, monkeypatch: pytest.MonkeyPatch):
    with LoopbackServer([answer]) as proxy, LoopbackServer([answer]) as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        for url in (server.url, f"http://localhost:{server.port}"):
            with talking(kind, url) as talker:
                talker.hear().check("complete")
        assert proxy.requests == []
        assert len(server.requests) == 2


@every_client
def test_https_goes_through_a_tunnel(kind: str, monkeypatch: pytest.MonkeyPatch):
    """The proxy sees whom one talks to, and neither the prompt nor the key."""
    authority = trustme.CA()
    inner = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("models.example").configure_cert(inner)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    def tunnel(conversation: Conversation) -> None:
        if conversation.request.method == "CONNECT":
            conversation.tunnelled(inner)
        else:
            conversation.answer("Hi")

    with LoopbackServer([tunnel]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        vessels = {"lab": OpenAI(base_url="https://models.example", api_key=KEY)}
        with talking(kind, vessels=vessels, ssl_context=trusting) as talker:
            for _ in range(2):
                assert talker.hear().check("complete").text == "Hi"
        connect, *behind = proxy.requests
        assert (connect.method, connect.path) == ("CONNECT", "models.example:443")
        assert KEY not in str(connect)
        assert [request.path for request in behind] == ["/v1/chat/completions"] * 2
        assert proxy.connections == 1


@every_client
def test_a_proxy_that_refuses_the_tunnel_has_sent_nothing_on(
    kind: str, monkeypatch: pytest.MonkeyPatch
):
    def forbids(conversation: Conversation) -> None:
        conversation.whole(b"no", 403)

    with LoopbackServer([forbids]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with talking(kind, "https://models.example", retries=ONCE) as talker:
            heard = talker.hear().check("error", error=ConnectionFailedError)
            assert heard.error.phase == "connect"
        assert [request.method for request in proxy.requests] == ["CONNECT"]


@every_client
def test_a_stream_is_cancelled_while_the_proxy_makes_the_tunnel(
    kind: str, monkeypatch: pytest.MonkeyPatch
):
    """It holds no connection afterwards: there is but one, and the next stream gets it."""
    from vesselog import Limits

    def never(conversation: Conversation) -> None:
        conversation.wait_for_hangup()

    with LoopbackServer([never, lambda conversation: conversation.whole(b"no", 403)]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        settings = {"limits": Limits(max_connections=1), "timeouts": Timeouts(connect=2, pool=20)}
        with talking(kind, "https://models.example", retries=ONCE, **settings) as talker:
            stream = talker.stream()
            future = talker.begin(stream)
            proxy.wait_until(lambda: len(proxy.requests) == 1)
            stream.cancel()
            future.result(PATIENCE).check("cancelled")
            heard = talker.hear()
            assert "Forbidden" in str(heard.error) or heard.error.phase == "connect"


@every_client
def test_a_proxy_that_is_not_there(kind: str, monkeypatch: pytest.MonkeyPatch):
    with unanswering_port() as port:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
        with talking(kind, "http://models.example", retries=ONCE) as talker:
            heard = talker.hear(timeouts=Timeouts(connect=0.2))
            assert heard.error.phase == "connect"


@every_client
@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1080", "socks5h://127.0.0.1:1080"])
def test_a_proxy_of_another_kind_is_told_where_it_would_be_used(
    kind: str, proxy: str, monkeypatch: pytest.MonkeyPatch
):
    """Loopback needs no proxy, and works."""
    monkeypatch.setenv("ALL_PROXY", proxy)
    with LoopbackServer([answer]) as server:
        vessels = {
            "lab": Ollama(base_url=server.url),
            "far": Ollama(base_url="http://models.example"),
        }
        with talking(kind, vessels=vessels) as talker:
            assert talker.hear().check("complete").text == "Hi"
            heard = talker.hear("far/m")
            assert isinstance(heard.error, ConfigurationError)
            assert "socks5" in str(heard.error)


@every_client
@pytest.mark.parametrize("proxy", ["http://[::1", f"gopher://user:{KEY}@h"])
def test_a_proxy_that_is_no_url_is_told_unrepeated(
    kind: str, proxy: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ALL_PROXY", proxy)
    from vesselog import AsyncClient, Client

    with pytest.raises(ConfigurationError) as caught:
        Client() if kind.startswith("sync") else AsyncClient(fast=kind.endswith("fast"))
    assert KEY not in str(caught.value)


def test_the_patterns_are_those_of_httpx(monkeypatch: pytest.MonkeyPatch):
    """What httpx would do by itself, but for loopback."""
    from httpx._utils import get_environment_proxies

    monkeypatch.setenv("HTTP_PROXY", "http://proxy:1")
    monkeypatch.setenv("HTTPS_PROXY", "proxy:2")
    monkeypatch.setenv("NO_PROXY", "a.example,.b.example,10.1.2.3,::2,localhost,http://c.example")
    ours = proxy_patterns()
    assert {name: ours[name] for name in get_environment_proxies()} == get_environment_proxies()
    assert httpx.__version__
