"""The environment's proxies are honoured, except for this very machine."""

from __future__ import annotations

import base64
import socket
import ssl
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import trustme

from loopback import Conversation, LoopbackServer, unanswering_port
from patience import PATIENCE
from talking import every_client, every_client_at_once, talking
from vesselog import (
    ConfigurationError,
    ConnectionFailedError,
    Limits,
    Retries,
    StreamTimeoutError,
    Timeouts,
    VesselogError,
)
from vesselog.core.http.proxies import ProxyRules, is_this_machine
from vesselog.vessels.ollama import Ollama
from vesselog.vessels.openai import OpenAI

ONCE = Retries(count=0)
KEY = "sk-canary-0123456789abcdef"


def answer(conversation: Conversation) -> None:
    conversation.answer("Hi")


def proxy_of(url: str) -> str | None:
    """The proxy that a request to this URL goes through, by the environment as it is now."""
    return ProxyRules().proxy_for(httpx.URL(url))


# This machine, in every spelling.
HERE = [
    "http://localhost",
    "http://LOCALHOST:8000",
    "http://localhost.",
    "http://models.localhost",
    "http://127.0.0.1:11434",
    "http://127.0.0.2",
    "http://127.255.255.254",
    "http://[::1]:8000",
    "http://[0:0:0:0:0:0:0:1]",
    "http://[::ffff:127.0.0.1]",
    "http://[::ffff:7f00:1]:80",
]
NOT_HERE = [
    "http://localhost.example",
    "http://127.0.0.1.example",
    "http://notlocalhost",
    "http://128.0.0.1",
    "http://[::2]",
    "http://[::ffff:128.0.0.1]",
    "http://1_27.0.0.1",
    "http://+127.0.0.1",
    "http://0o177.1",
]


class TestRules:
    def test_without_proxies_all_is_direct(self):
        assert proxy_of("http://models.example") is None

    @pytest.mark.parametrize("name", ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"])
    def test_each_is_for_its_scheme(self, name: str, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv(name, "http://proxy:3128")
        found = {scheme for scheme in ("http", "https") if proxy_of(f"{scheme}://models.example")}
        meant = {"HTTP_PROXY": {"http"}, "HTTPS_PROXY": {"https"}, "ALL_PROXY": {"http", "https"}}
        assert found == meant[name]

    def test_the_one_of_the_scheme_comes_before_that_for_all(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("ALL_PROXY", "http://all:1")
        monkeypatch.setenv("HTTPS_PROXY", "http://secure:2")
        assert proxy_of("http://models.example") == "http://all:1"
        assert proxy_of("https://models.example") == "http://secure:2"

    def test_lower_case_is_read_too(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("http_proxy", "http://proxy:3128")
        monkeypatch.setenv("no_proxy", "other.example")
        assert proxy_of("http://models.example") == "http://proxy:3128"
        assert proxy_of("http://other.example") is None

    def test_without_a_scheme_it_is_an_http_proxy(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("HTTP_PROXY", "proxy:3128")
        assert proxy_of("http://models.example") == "http://proxy:3128"

    @pytest.mark.parametrize("url", HERE)
    def test_this_machine_is_asked_directly(self, url: str, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("ALL_PROXY", "http://proxy:3128")
        assert proxy_of(url) is None

    @pytest.mark.parametrize("url", NOT_HERE)
    def test_what_only_looks_like_it_is_not(self, url: str, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("ALL_PROXY", "http://proxy:3128")
        assert proxy_of(url) == "http://proxy:3128"

    @pytest.mark.parametrize(
        ("entry", "direct", "proxied"),
        [
            ("models.example", "http://models.example", "http://models.example.org"),
            ("models.example", "http://eu.models.example:80", "http://mymodels.example"),
            (".models.example", "http://eu.models.example", "http://models.org"),
            ("models.example:8000", "http://models.example:8000", "http://models.example:9000"),
            ("MODELS.example", "http://models.EXAMPLE", "http://other.example"),
            ("10.1.2.3", "http://10.1.2.3:8000", "http://10.1.2.4"),
            ("10.0.0.0/8", "https://10.255.0.1", "https://11.0.0.1"),
            ("10.1.2.3/8", "http://10.9.9.9", "http://11.0.0.1"),
            ("192.168.0.0/255.255.0.0", "http://192.168.7.7", "http://192.169.0.1"),
            ("10.0.0.0/8", "http://[::ffff:10.2.3.4]", "http://[::ffff:11.2.3.4]"),
            ("fd00::/8", "http://[fd12::1]:8000", "http://[fe80::1]"),
            ("fd00::1", "http://[fd00::1]", "http://[fd00::2]"),
            ("[fd00::1]", "http://[fd00::1]:8000", "http://[fd00::2]"),
        ],
    )
    def test_no_proxy_has_names_addresses_and_ranges(
        self, entry: str, direct: str, proxied: str, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setenv("ALL_PROXY", "http://proxy:3128")
        monkeypatch.setenv("NO_PROXY", f"first.example, {entry} ,last.example")
        assert proxy_of(direct) is None
        assert proxy_of(proxied) == "http://proxy:3128"
        assert proxy_of("http://last.example") is None

    @pytest.mark.parametrize("host", ["models.example", "10.0.0.1", "[fd00::1]"])
    def test_no_proxy_may_be_for_anything(self, host: str, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("ALL_PROXY", "http://proxy:3128")
        monkeypatch.setenv("NO_PROXY", "*")
        assert proxy_of(f"http://{host}") is None

    @pytest.mark.parametrize(
        "entry", ["", ",", " , ,", "10.0.0.0/99", "fe80::/129", "[::1", "http://[", "/", "a b", "é"]
    )
    def test_an_entry_that_means_nothing_is_ignored(
        self, entry: str, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setenv("ALL_PROXY", "http://proxy:3128")
        monkeypatch.setenv("NO_PROXY", f"{entry},10.0.0.0/8,last.example")
        assert proxy_of("http://models.example") == "http://proxy:3128"
        assert proxy_of("http://10.0.0.1") is None
        assert proxy_of("http://last.example") is None

    def test_no_proxy_is_read_where_urllib_asks_the_system(self, monkeypatch: pytest.MonkeyPatch):
        """On macOS and Windows `proxy_bypass` takes a host alone."""
        monkeypatch.setattr(urllib.request, "proxy_bypass", lambda host: False)
        monkeypatch.setenv("ALL_PROXY", "http://proxy:3128")
        monkeypatch.setenv("NO_PROXY", "direct.example")
        assert proxy_of("http://models.example") == "http://proxy:3128"
        assert proxy_of("http://direct.example") is None

    def test_they_are_read_once(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("ALL_PROXY", "http://proxy:3128")
        rules = ProxyRules()
        monkeypatch.delenv("ALL_PROXY")
        assert rules.proxy_for(httpx.URL("http://models.example")) == "http://proxy:3128"


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
        assert list(ProxyRules().secrets()) == [secret, base64.b64encode(sent).decode()]

    @pytest.mark.parametrize("proxy", ["http://proxy:3128", "http://[::1", "gopher://user:pass@h"])
    def test_none_without_any(self, proxy: str, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        assert list(ProxyRules().secrets()) == []


@pytest.mark.parametrize("host", HERE)
def test_is_this_machine(host: str):
    assert is_this_machine(httpx.URL(host).host)


@pytest.mark.parametrize("host", NOT_HERE)
def test_is_another_machine(host: str):
    assert not is_this_machine(httpx.URL(host).host)


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
def test_each_request_goes_its_own_way(kind: str, monkeypatch: pytest.MonkeyPatch):
    """One client: to this machine directly, to others through the proxy, unless excepted."""
    with LoopbackServer([answer]) as proxy, LoopbackServer([answer]) as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "direct.invalid")
        vessels = {
            "near": Ollama(base_url=server.url),
            "far": Ollama(base_url="http://models.example"),
            "excepted": Ollama(base_url="http://direct.invalid"),
        }
        with talking(kind, vessels=vessels, retries=ONCE) as talker:
            for name in ("near", "far", "near", "far"):
                talker.hear(f"{name}/m").check("complete")
            # There is no such host, which the proxy would not have minded.
            talker.hear("excepted/m").check("error", error=ConnectionFailedError)
        assert [request.path for request in server.requests] == ["/api/chat"] * 2
        assert [request.path for request in proxy.requests] == [
            "http://models.example/api/chat"
        ] * 2
        assert (server.connections, proxy.connections) == (1, 1)


@every_client
def test_what_goes_through_a_proxy_shares_the_limit_with_what_goes_directly(
    kind: str, monkeypatch: pytest.MonkeyPatch
):
    def falls_silent(conversation: Conversation) -> None:
        conversation.begin()
        conversation.chunk(conversation.frames("Hi")[0])
        conversation.wait_for_hangup()

    with LoopbackServer([answer]) as proxy, LoopbackServer([falls_silent]) as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        vessels = {
            "near": Ollama(base_url=server.url),
            "far": Ollama(base_url="http://models.example"),
        }
        with talking(kind, vessels=vessels, limits=Limits(max_connections=1)) as talker:
            holder = talker.stream("near/m")
            talker.open(holder)
            heard = talker.hear("far/m", timeouts=Timeouts(pool=0.1))
            heard.check("error", error=StreamTimeoutError)
            assert (heard.error.phase, proxy.requests) == ("pool", [])
            talker.leave(holder)
            talker.hear("far/m").check("complete")


@every_client
@pytest.mark.parametrize("place", ["vessel", "header"])
def test_a_key_is_not_sent_in_the_clear_through_a_proxy(
    kind: str, place: str, monkeypatch: pytest.MonkeyPatch
):
    """Not for a private address either: who knows where the proxy is."""
    url = "http://10.0.0.7:8000"
    vessels = {"lab": OpenAI(base_url=url, api_key=KEY if place == "vessel" else None)}
    fields: Any = {"headers": {"X-API-Key": KEY}} if place == "header" else {}
    with LoopbackServer([answer]) as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        with talking(kind, vessels=vessels) as talker:
            with pytest.raises(ConfigurationError, match="NO_PROXY") as caught:
                talker.stream(**fields)
            assert KEY not in str(caught.value)
        monkeypatch.setenv("NO_PROXY", "10.0.0.0/8")
        with talking(kind, vessels=vessels) as talker:
            talker.stream(**fields)
        assert proxy.requests == []


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
def test_a_proxy_that_opens_no_tunnel_in_time_is_asked_again(
    kind: str, monkeypatch: pytest.MonkeyPatch
):
    """Nothing was sent to the server: it is a connect timeout like every other."""
    authority = trustme.CA()
    inner = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("models.example").configure_cert(inner)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    def never(conversation: Conversation) -> None:
        conversation.wait_for_hangup()

    def tunnel(conversation: Conversation) -> None:
        if conversation.request.method == "CONNECT":
            conversation.tunnelled(inner)
        else:
            conversation.answer("Hi")

    settings: Any = {
        "limits": Limits(max_connections=1),
        "retries": Retries(count=1, backoff=0.01),
        "ssl_context": trusting,
    }
    with LoopbackServer([never, never, never, tunnel]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with talking(kind, "https://models.example", **settings) as talker:
            heard = talker.hear(timeouts=Timeouts(connect=0.2))
            heard.check("error", error=StreamTimeoutError)
            assert (heard.error.phase, heard.error.setting) == ("connect", "connect")
            assert "the proxy opened no tunnel" in str(heard.error)
            assert [call.outcome for call in heard.calls] == ["error"] * 2
            heard = talker.hear(timeouts=Timeouts(connect=2)).check("complete")
            assert (heard.text, len(heard.calls)) == ("Hi", 2)


@every_client
@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ((), StreamTimeoutError),
        ((b"\x05\xff",), ConnectionFailedError),  # none of the ways to log in
        ((b"HTTP/1.1 400 Bad Request\r\n\r\n",), ConnectionFailedError),
        ((b"\x05\x00", b"\x05\x05\x00\x01" + bytes(6)), ConnectionFailedError),  # refused
    ],
)
def test_a_socks_proxy_that_opens_no_tunnel_is_asked_again_and_keeps_no_connection(
    kind: str,
    answers: tuple[bytes, ...],
    error: type[VesselogError],
    monkeypatch: pytest.MonkeyPatch,
):
    retries, timeouts = Retries(count=1, backoff=0.01), Timeouts(connect=0.2)
    with socket.create_server(("127.0.0.1", 0)) as proxy, ThreadPoolExecutor(1) as thread:
        proxy.settimeout(PATIENCE)
        host, port = proxy.getsockname()

        def serve() -> list[bytes]:
            """What came last on each of the two connections."""
            rest: list[bytes] = []
            for _ in range(2):
                connection, _ = proxy.accept()
                with connection:
                    connection.settimeout(PATIENCE)
                    for each in answers:
                        connection.recv(1024)
                        connection.sendall(each)
                    while data := connection.recv(1024):
                        rest.append(data)
            return rest

        served = thread.submit(serve)
        monkeypatch.setenv("ALL_PROXY", f"socks5://{host}:{port}")
        with talking(kind, "http://models.example", retries=retries) as talker:
            heard = talker.hear(timeouts=timeouts).check("error", error=error)
            assert isinstance(heard.error, VesselogError)
            assert (heard.error.phase, len(heard.calls)) == ("connect", 2)
            assert b"POST" not in b"".join(served.result(PATIENCE))


@every_client_at_once
def test_a_proxy_that_is_not_there(kind: str, monkeypatch: pytest.MonkeyPatch):
    with unanswering_port() as port:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
        with talking(kind, "http://models.example", retries=ONCE) as talker:
            heard = talker.hear(timeouts=Timeouts(connect=0.2))
            assert heard.error.phase == "connect"


@every_client
@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1080", "socks5h://127.0.0.1:1080"])
def test_a_proxy_that_needs_more_is_told_where_it_would_be_used(
    kind: str, proxy: str, monkeypatch: pytest.MonkeyPatch
):
    """Loopback needs no proxy, and works."""
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv("ALL_PROXY", proxy)
    with LoopbackServer([answer]) as server:
        vessels = {
            "lab": Ollama(base_url=server.url),
            "far": Ollama(base_url="http://models.example"),
        }
        with talking(kind, vessels=vessels) as talker:
            assert talker.hear().check("complete").text == "Hi"
            heard = talker.hear("far/m").check("error", error=ConfigurationError)
            assert "pip install 'httpx[socks]'" in str(heard.error)


@every_client
@pytest.mark.parametrize(
    "proxy", ["http://[::1", f"gopher://user:{KEY}@h", "http://h:port", "localhost:99999999999"]
)
def test_a_proxy_that_is_no_url_is_told_unrepeated_where_it_would_be_used(
    kind: str, proxy: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ALL_PROXY", proxy)
    with LoopbackServer([answer]) as server:
        vessels = {
            "lab": Ollama(base_url=server.url),
            "far": Ollama(base_url="http://models.example"),
        }
        with talking(kind, vessels=vessels) as talker:
            assert talker.hear().check("complete").text == "Hi"
            for _ in range(2):
                heard = talker.hear("far/m").check("error", error=ConfigurationError)
                assert "ALL_PROXY" in str(heard.error)
                assert KEY not in str(heard.error)
                assert KEY.encode() not in heard.stream.path.read_bytes()
