"""HTTP/1.1 responses by both parsers: the same head, body and end, however they are cut."""

from __future__ import annotations

from typing import NamedTuple

import httpx
import pytest

from vesselog.core.client.parsers import H11Parser, LlhttpParser, Parser

PARSERS = {"h11": H11Parser, "llhttp": LlhttpParser}
every_parser = pytest.mark.parametrize("make", PARSERS.values(), ids=PARSERS)

GET = httpx.Request("GET", "http://models.example/v1/models", headers={"host": "models.example"})


class Case(NamedTuple):
    """What comes, the body that it holds, whether the connection may be used again.

    body: None for what is no response. ends: the server closes behind it.
    """

    sent: bytes
    body: bytes | None
    reusable: bool = False
    ends: bool = False
    status: int = 200


OK = b"HTTP/1.1 200 OK\r\n"
CASES = {
    "length": Case(OK + b"content-length: 5\r\n\r\nhello", b"hello", reusable=True),
    "no body": Case(OK + b"content-length: 0\r\n\r\n", b"", reusable=True),
    "204": Case(b"HTTP/1.1 204 No Content\r\n\r\n", b"", reusable=True, status=204),
    "chunks": Case(
        OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;a=b\r\nlo\r\n0\r\nX-T: y\r\n\r\n",
        b"hello",
        reusable=True,
    ),
    "chunks, and a length": Case(
        OK + b"content-length: 99\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        b"hi",
        reusable=True,
    ),
    "until it closes": Case(OK + b"\r\nhello", b"hello", ends=True),
    "it will close": Case(OK + b"connection: close\r\ncontent-length: 5\r\n\r\nhello", b"hello"),
    "1.0": Case(b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello", b"hello"),
    "1xx before it": Case(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nlink: x\r\n\r\n"
        + OK
        + b"content-length: 5\r\n\r\nhello",
        b"hello",
        reusable=True,
    ),
    "no reason": Case(b"HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nhi", b"hi", reusable=True),
    "bare line feeds": Case(b"HTTP/1.1 200 OK\ncontent-length: 2\n\nhi", b"hi", reusable=True),
    "more behind it": Case(OK + b"content-length: 2\r\n\r\nhi" + OK, b"hi"),
    "more behind the last": Case(
        OK + b"connection: close\r\ncontent-length: 2\r\n\r\nhi" + OK, b"hi"
    ),
    "a folded field": Case(OK + b"a: b\r\n c\r\ncontent-length: 2\r\n\r\nhi", b"hi", reusable=True),
    "space behind a field": Case(
        OK + b"transfer-encoding: chunked \r\n\r\n2\r\nhi\r\n0\r\n\r\n", b"hi", reusable=True
    ),
    "no status": Case(b"HTTP/1.1 099 No\r\ncontent-length: 2\r\n\r\nho" + OK + b"\r\n", None),
    "another protocol": Case(
        b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n", None
    ),
    "compressed, then chunks": Case(
        OK + b"transfer-encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", None
    ),
    "compressed until it closes": Case(OK + b"transfer-encoding: gzip\r\n\r\nhi", None, ends=True),
    "a NUL": Case(OK + b"a: b\0c\r\ncontent-length: 2\r\n\r\nhi", None),
    "short": Case(OK + b"content-length: 5\r\n\r\nhel", None, ends=True),
    "no last chunk": Case(OK + b"transfer-encoding: chunked\r\n\r\n3\r\nhel\r\n", None, ends=True),
    "closed in the head": Case(OK + b"content-len", None, ends=True),
    "closed at once": Case(b"", None, ends=True),
    "no HTTP": Case(b"220 mail.example ESMTP\r\n\r\n", None),
    "no chunk size": Case(OK + b"transfer-encoding: chunked\r\n\r\nzz\r\n", None),
    "two lengths": Case(OK + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello", None),
    "a head without end": Case(OK + b"a: b\r\n" * 20_000, None),
    "a field without end": Case(OK + b"a: " + b"b" * 120_000, None),
    "trailers without end": Case(
        OK + b"transfer-encoding: chunked\r\n\r\n0\r\n" + b"a: b\r\n" * 20_000, None
    ),
}


def fed(make: type[Parser], case: Case, size: int) -> tuple[Parser, bytes]:
    """The parser that was given all of it, so many bytes at a time, and the body that it gave."""
    parser, body = make(), b""
    parser.request(GET)
    parser.last()
    for start in range(0, len(case.sent), size):
        parser.feed(case.sent[start : start + size])
        body += b"".join(parser.body)
        parser.body.clear()
    if case.ends:
        parser.end()
        body += b"".join(parser.body)
    return parser, body


@every_parser
@pytest.mark.parametrize("size", [1, 2, 3, 7, 4096, 1_000_000])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_response_however_it_is_cut(make: type[Parser], case: Case, size: int):
    if len(case.sent) > 10_000 and size < 4096:
        size = 4096
    if case.body is None:
        with pytest.raises(httpx.RemoteProtocolError):
            fed(make, case, size)
        return
    parser, body = fed(make, case, size)
    assert body == case.body
    assert parser.complete
    assert parser.reusable == case.reusable
    assert parser.head is not None
    assert parser.head.status == case.status
    assert parser.head.version in {"1.0", "1.1"}


@every_parser
def test_the_head_as_it_was_sent(make: type[Parser]):
    parser = make()
    parser.request(GET)
    parser.last()
    parser.feed(b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3\r\nX-Name: caf\xe9\r\n")
    assert parser.head is None
    parser.feed(b"Content-Length: 0\r\n\r\n")
    assert parser.head == (
        "1.1",
        429,
        b"Too Many Requests",
        [(b"Retry-After", b"3"), (b"X-Name", b"caf\xe9"), (b"Content-Length", b"0")],
    )


@every_parser
def test_a_connection_whose_request_is_not_sent_is_not_used_again(make: type[Parser]):
    parser = make()
    headers = {"host": "models.example", "content-length": "100"}
    parser.request(httpx.Request("POST", "http://models.example/v1", headers=headers))
    parser.part(b"only a part")
    parser.feed(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
    assert parser.complete
    assert not parser.reusable


@every_parser
def test_a_header_that_would_break_the_request_is_refused(make: type[Parser]):
    headers = {"host": "models.example", "x-name": "a\r\nx-other: b"}
    with pytest.raises(httpx.LocalProtocolError):
        make().request(httpx.Request("GET", "http://models.example/", headers=headers))
    short = httpx.Request(
        "POST", "http://models.example/", headers={"host": "h", "content-length": "3"}
    )
    parser = make()
    parser.request(short)
    with pytest.raises(httpx.LocalProtocolError):
        parser.part(b"more than three")


@every_parser
def test_a_protocol_that_the_request_offers_is_not_spoken(make: type[Parser]):
    parser = make()
    headers = {"host": "models.example", "connection": "upgrade", "upgrade": "x"}
    parser.request(httpx.Request("GET", "http://models.example/", headers=headers))
    parser.last()
    with pytest.raises(httpx.RemoteProtocolError):
        parser.feed(b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n")


@every_parser
def test_a_server_that_closes_before_it_is_asked(make: type[Parser]):
    with pytest.raises(httpx.RemoteProtocolError):
        make().end()
