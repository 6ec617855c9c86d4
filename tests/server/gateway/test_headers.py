"""Which headers pass."""

from __future__ import annotations

import httpx

from vesselog.server.gateway.headers import answer_headers, own_headers, passed_on, request_headers


def test_names_are_lowered_and_repeated_headers_joined() -> None:
    raw = [(b"X-A", b"1"), (b"x-a", b"2"), (b"B", b"\xe9")]
    assert request_headers(raw) == {"x-a": "1, 2", "b": "é"}


def test_a_request_passes_from_end_to_end_only() -> None:
    headers = {
        "host": "gateway",
        "connection": "x-mine, keep-alive",
        "x-mine": "1",
        "transfer-encoding": "chunked",
        "accept-encoding": "gzip",
        "cookie": "of the gateway",
        "origin": "http://localhost:3000",
        "x-vesselog-session": "s",
        "authorization": "Bearer k",
        "openai-beta": "b",
        "content-type": "application/json",
    }
    kept = {"openai-beta": "b", "content-type": "application/json"}
    assert passed_on(headers, with_key=False) == kept
    assert passed_on(headers, with_key=True) == {**kept, "authorization": "Bearer k"}


def test_an_answer_passes_from_end_to_end_only() -> None:
    headers = httpx.Headers(
        [
            ("Content-Type", "text/event-stream"),
            ("Connection", "x-mine"),
            ("X-Mine", "1"),
            ("Transfer-Encoding", "chunked"),
            ("Set-Cookie", "a=b"),
            ("Content-Encoding", "gzip"),
            ("X-RateLimit-Remaining", "1"),
            ("Vary", "a"),
            ("Vary", "b"),
            ("x-vesselog-call", "of another gateway"),
        ]
    )
    assert answer_headers(headers) == [
        (b"content-type", b"text/event-stream"),
        (b"x-ratelimit-remaining", b"1"),
        (b"vary", b"a"),
        (b"vary", b"b"),
    ]


def test_own_headers_are_those_with_a_value() -> None:
    assert own_headers(session="s", call=None) == [(b"x-vesselog-session", b"s")]
