"""Which requests are the same."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from vesselog.core.replay.compare_requests import Comparison, request_key

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


CHAT = {"messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("recorded", "asked"),
    [
        ("https://openrouter.ai/api/v1/chat/completions", "/v1/chat/completions"),
        ("https://api.groq.com/openai/v1/chat/completions", "/lab/v1/chat/completions"),
        ("https://api.perplexity.ai/chat/completions", "/v1/chat/completions"),
        (
            "https://x.azure.com/openai/deployments/d/chat/completions?api-version=1",
            "/v1/chat/completions",
        ),
        ("http://127.0.0.1:11434/api/chat", "/local/api/chat"),
        ("https://api.anthropic.com/v1/messages", "/messages"),
        ("https://g.example/v1beta/openai/chat/completions", "/v1/chat/completions"),
        ("https://models.github.ai/inference/chat/completions", "/lab/v1/chat/completions"),
        ("https://g.example/v1beta/openai/completions", "/v1/completions"),
        ("http://127.0.0.1/proxy/responses", "/v1/responses"),
    ],
)
def test_on_the_wire_the_dialects_part_of_a_path_counts(recorded: str, asked: str) -> None:
    one, other = ({"method": "POST", "url": url, "body": CHAT} for url in (recorded, asked))
    for match in ("strict", "messages", "route"):
        assert Comparison(match, wire=True).key(one) == Comparison(match, wire=True).key(other)


def test_the_model_in_a_path_does_not_count_for_messages() -> None:
    body = {"contents": [{"parts": [{"text": "hi"}]}]}
    one, other = (
        {"url": f"/v1beta/models/{model}:generateContent", "body": body} for model in ("a", "b")
    )
    messages, strict = Comparison("messages", wire=True), Comparison("strict", wire=True)
    assert messages.key(one) == messages.key(other)
    assert strict.key(one) != strict.key(other)
    stream = {**other, "url": "/v1beta/models/b:streamGenerateContent"}
    assert messages.key(one) != messages.key(stream)


@pytest.mark.parametrize("match", ["strict", "messages"])
def test_on_the_wire_a_stream_is_no_whole_answer(match: Any) -> None:
    one, other = ({"url": "/api/chat", "body": {**CHAT, "stream": each}} for each in (True, False))
    assert Comparison(match, wire=True).key(one) != Comparison(match, wire=True).key(other)
    keyed = [{**each, "key": request_key("/api/chat", each["body"])} for each in (one, other)]
    assert len({Comparison(match, wire=False).key(each) for each in keyed}) == 1
