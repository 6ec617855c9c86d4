"""The request key."""

from __future__ import annotations

from hashlib import sha256

from vesselog.core.replay.compare_requests import request_key

BODY = {"model": "m", "messages": [{"role": "user", "content": "ä"}], "temperature": 0}


def test_the_key_is_the_digest_of_route_and_canonical_body() -> None:
    text = '/api/chat\n{"messages":[{"content":"ä","role":"user"}],"model":"m","temperature":0}'
    assert request_key("/api/chat", BODY) == f"sha256:{sha256(text.encode()).hexdigest()}"


def test_the_order_of_keys_and_the_wish_for_a_stream_do_not_count() -> None:
    other = {"stream": True, "stream_options": {"include_usage": True}}
    other.update(reversed(BODY.items()))
    assert request_key("/api/chat", other) == request_key("/api/chat", BODY)


def test_everything_else_counts() -> None:
    keys = {
        request_key("/api/chat", BODY),
        request_key("/v1/chat/completions", BODY),
        request_key("/api/chat", {**BODY, "temperature": 1}),
        request_key("/api/chat", {**BODY, "seed": 2**70}),
        request_key("/api/chat", {**BODY, "seed": 2**70 + 1}),
        request_key("/api/tags", None),
    }
    assert len(keys) == 6
