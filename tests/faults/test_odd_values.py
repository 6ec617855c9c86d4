"""Headers and variables with any value: a typed error or none, never a raw exception."""

from __future__ import annotations

import math
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from four_clients import every_one_of_four, talking_by
from invariants import check
from loopback import Conversation, LoopbackServer
from talking import Heard
from vesselog import Client, ConfigurationError, Retries, VesselogError
from vesselog.vessels import BUILT_IN

EXAMPLES = 150
SOON = Retries(count=1, backoff=0.001, longest=0.01)

# What a header's value may be on the wire: no line ends, no NUL.
LATIN = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"))

DAYS = st.sampled_from(["Mon", "Sun", "Xyz", ""])
NUMBERS = st.one_of(
    st.integers(-5, 70).map(str),
    st.integers(1, 30).map(lambda count: "9" * count),
    st.sampled_from(["0" * 20, "-1", "+1", "1e9", "٣"]),
)
DATES = st.builds(
    "{}, {} {} {} {}:{}:{} {}".format,
    DAYS,
    NUMBERS,
    st.sampled_from(["Jan", "Feb", "Dec", "Foo"]),
    NUMBERS,
    NUMBERS,
    NUMBERS,
    NUMBERS,
    st.one_of(
        st.just("GMT"),
        st.integers(1, 30).map(lambda count: "+" + "9" * count),
        st.integers(1, 30).map(lambda count: "-" + "9" * count),
        LATIN,
    ),
).filter(str.isascii)

FAR = "Mon, 01 Jan 2024 00:00:00 +99999999999999999"
LATE = f"Mon, 01 Jan {'2' * 20} 00:00:00 GMT"


def check_typed(heard: Heard) -> None:
    assert heard.error is None or isinstance(heard.error, VesselogError), repr(heard.error)
    assert heard.stream.path is not None
    check(heard.stream.path)


@every_one_of_four
def test_any_retry_after_is_understood_or_ignored(client: str) -> None:
    value = [""]

    def busy(conversation: Conversation) -> None:
        line = f"retry-after: {value[0]}\r\n".encode("latin-1")
        conversation.raw(b"HTTP/1.1 429 Busy\r\n" + line + b"content-length: 2\r\n\r\n{}")

    with LoopbackServer([busy]) as server, talking_by(client, server, retries=SOON) as talker:

        @settings(max_examples=EXAMPLES)
        @given(DATES | LATIN | st.floats().map(str) | st.integers().map(str))
        @example(FAR)
        @example(LATE)
        @example("-1")
        @example("nan")
        @example("inf")
        @example("-inf")
        @example("1e400")
        @example("9" * 5000)
        @example("Mon, 01 Jan 0000 00:00:00 GMT")
        @example("Fri, 31 Dec 9999 23:59:59 -2359")
        def try_one(given_value: str) -> None:
            value[0] = given_value
            heard = talker.hear()
            check_typed(heard)
            assert heard.error is not None
            assert heard.error.status == 429
            after = heard.error.retry_after
            assert after is None or (math.isfinite(after) and after >= 0), after

        try_one()


READ = (
    *("content-type", "content-encoding", "date", "location", "server", "set-cookie", "trailer"),
    *("x-request-id", "openai-processing-ms", "keep-alive", "alt-svc", "connection", "upgrade"),
    *("x-ratelimit-reset-requests", "retry-after-ms", "content-location", "warning", "age"),
)


@every_one_of_four
def test_any_header_of_an_answer_is_read_or_refused(client: str) -> None:
    lines, status = [b""], [200]

    def answer(conversation: Conversation) -> None:
        body = b"".join(conversation.frames("a", "b"))
        head = f"HTTP/1.1 {status[0]} Odd\r\ncontent-length: {len(body)}\r\n".encode()
        conversation.raw(head + lines[0] + b"\r\n" + body)

    with LoopbackServer([answer]) as server, talking_by(client, server, retries=SOON) as talker:

        @settings(max_examples=EXAMPLES)
        @given(
            st.lists(st.tuples(st.sampled_from(READ), LATIN), max_size=4),
            st.sampled_from([200, 200, 200, 201, 206, 302, 401, 404, 429, 500, 503, 599, 999]),
        )
        @example([("content-type", "text/event-stream; charset=\xff")], 200)
        @example([("content-type", "text/event-stream; charset=no-such")], 200)
        @example([("content-type", "application/json; charset=utf-16")], 500)
        @example([("content-encoding", "gzip, " * 50 + "gzip")], 200)
        @example([("content-encoding", ",")], 200)
        @example([("location", "http://[")], 302)
        @example([("keep-alive", "timeout=" + "9" * 400)], 200)
        @example([("set-cookie", "a=b; expires=" + FAR)], 200)
        @example([("date", FAR)], 429)
        def try_one(headers: list[tuple[str, str]], given_status: int) -> None:
            lines[0] = "".join(f"{name}: {value}\r\n" for name, value in headers).encode("latin-1")
            status[0] = given_status
            check_typed(talker.hear())

        try_one()


# Values of the environment: no NUL.
WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
HOSTS = st.sampled_from(
    [
        *("fd00::/8", "::1/128", "[::1]:8080", "[::1]", "::1", "é.example", "foo:bar", "a:b:c"),
        *("10.0.0.0/8", "*.example.com", ".example.com", "*", "http://", "://", "[", "]", "%zz"),
        *("localhost:99999999", "a b", "a\tb", "\x7f", "xn--a", "*.*", "..", "-", "@", "a@b", "#"),
        *("1.2.3", "0x7f.1", "256.256.256.256", "a" * 300, "a." * 200, "fe80::1%eth0", "\ufeffa"),
    ]
)
PROXIES = st.sampled_from(
    [
        *("http://", "http://[", "http://a:b", "http://a:99999999", "://", "a:b:c", "é.example"),
        *("http://user:p@ss@host:1", "ftp://x", "socks5://127.0.0.1:1", "http://\x7f", "foo:bar"),
        *("http://%zz@host", "http://127.0.0.1:0", "//x", "http:///", "http://é:é@é", "HTTP://X:1"),
    ]
)


@every_one_of_four
def test_any_proxy_variables_are_understood_or_refused(client: str) -> None:
    """A model server on this machine is reached whatever they say, unless they are refused."""

    def answer(conversation: Conversation) -> None:
        conversation.answer("a")

    with LoopbackServer([answer]) as server:

        @settings(max_examples=EXAMPLES)
        @given(
            st.lists(HOSTS | WORDS, max_size=4).map(",".join),
            st.sampled_from(["http://127.0.0.1:1", ""]) | PROXIES | WORDS,
            st.sampled_from(["HTTP_PROXY", "https_proxy", "ALL_PROXY"]),
        )
        @example("fd00::/8", "http://127.0.0.1:1", "HTTP_PROXY")
        @example("::1/128", "http://127.0.0.1:1", "HTTP_PROXY")
        @example("[::1]:8080", "http://127.0.0.1:1", "HTTP_PROXY")
        @example("é.example", "http://127.0.0.1:1", "HTTP_PROXY")
        @example("foo:bar", "http://127.0.0.1:1", "HTTP_PROXY")
        @example("a:b:c", "http://127.0.0.1:1", "HTTP_PROXY")
        def try_one(no_proxy: str, proxy: str, name: str) -> None:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("NO_PROXY", no_proxy)
                patch.setenv(name, proxy)
                try:
                    with talking_by(client, server) as talker:
                        heard = talker.hear()
                except ConfigurationError:
                    return
                check_typed(heard)
                heard.check("complete")

        try_one()


@every_one_of_four
@pytest.mark.parametrize(
    ("no_proxy", "ignored"),
    [
        *(("fd00::/8", 0), ("é.example", 0), ("h:80,.h,*", 0)),
        *(("foo:bar", 1), ("h,a:b:c", 1), ("[::1]:8080", 1)),
    ],
)
def test_an_odd_exception_does_not_keep_a_client_from_being_made(
    no_proxy: str,
    ignored: int,
    client: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One entry that means nothing here is no reason to refuse them all; the log tells of it."""
    monkeypatch.setenv("NO_PROXY", no_proxy)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    with (
        LoopbackServer([lambda conversation: conversation.answer("a")]) as server,
        talking_by(client, server) as talker,
    ):
        talker.hear().check("complete")
    assert caplog.text.count("NO_PROXY") == ignored


CERTIFICATES = (
    *("", "/nowhere", "relative", "folder", "empty", "junk", "half"),
    *("x" * 5000, "\udcff", "\n", "/"),
)


@every_one_of_four
@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
@pytest.mark.parametrize(
    "value",
    [
        "",
        "/nowhere",
        "relative",
        "folder",
        "empty",
        "junk",
        "half",
        "x" * 5000,
        "\udcff",
        "\n",
        "/",
    ],
    ids=lambda value: ascii(value)[:12],
)
def test_any_certificates_are_read_or_refused(
    value: str, variable: str, client: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").touch()
    (tmp_path / "junk").write_bytes(bytes(range(256)))
    (tmp_path / "half").write_text("-----BEGIN CERTIFICATE-----\nMIIB")
    monkeypatch.setenv(variable, value)
    with LoopbackServer([lambda conversation: conversation.answer("a")]) as server:
        try:
            with talking_by(client, server, ssl_context=None) as talker:
                heard = talker.hear()
        except ConfigurationError:
            return
        check_typed(heard)


@pytest.mark.parametrize("vessel", sorted(BUILT_IN))
def test_any_variable_of_a_vessel_is_used_or_refused(vessel: str) -> None:
    """Nothing is sent: a stream is planned."""
    names = sorted({name for names in BUILT_IN[vessel].variables.values() for name in names})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    @settings(max_examples=EXAMPLES)
    @given(st.dictionaries(st.sampled_from(names), HOSTS | PROXIES | WORDS))
    def try_one(environment: dict[str, str]) -> None:
        with (
            Client(environment=environment, ssl_context=context) as client,
            suppress(VesselogError),
        ):
            client.stream(f"{vessel}/m", "hi")

    if names:
        try_one()


@every_one_of_four
def test_any_key_is_sent_or_refused(client: str) -> None:
    def answer(conversation: Conversation) -> None:
        conversation.answer("a")

    with LoopbackServer([answer]) as server:

        @settings(max_examples=EXAMPLES)
        @given(WORDS, WORDS)
        @example("a\r\nx-injected: 1", "")
        @example("ключ", "é")
        @example(" ", "\t")
        @example("a" * 100_000, "b")
        def try_one(key: str, organization: str) -> None:
            environment: dict[str, Any] = {
                "OPENAI_BASE_URL": f"{server.url}/v1",
                "OPENAI_API_KEY": key,
                "OPENAI_ORG_ID": organization,
            }
            with talking_by(client, environment=environment) as talker:
                try:
                    heard = talker.hear("openai/m")
                except VesselogError:
                    return
                check_typed(heard)

        try_one()
        assert not [each for each in server.requests if "x-injected" in each.headers]
