"""The gateway over loopback: scripted upstreams behind it, a plain HTTP client before it."""

from __future__ import annotations

from pathlib import Path

from gateways import gateway_to
from loopback import Conversation, LoopbackServer, openai_events
from vesselog import Recording
from vesselog.vessels import OpenAI

KEY = "sk-a-secret-of-a-client"


CHAT = b'{"model": "m" , "stream":true, "messages":[{"role":"user","content":"x"}]}'


def streamed(conversation: Conversation) -> None:
    conversation.head(content_type="text/event-stream", x_ratelimit_remaining="7", x_own="yes")
    for frame in openai_events("a", "b"):
        conversation.chunk(frame)
    conversation.end()


def test_a_stream_passes_as_it_is_and_is_recorded(tmp_path: Path) -> None:
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    with (
        LoopbackServer([streamed]) as server,
        gateway_to(tmp_path, {"up": OpenAI(base_url=f"{server.url}/v1")}) as http,
    ):
        answer = http.post("/v1/chat/completions", content=CHAT, headers=headers)
        (request,) = server.requests
    assert answer.status_code == 200
    assert answer.content == b"".join(openai_events("a", "b"))
    assert answer.headers["x-ratelimit-remaining"] == "7"
    assert answer.headers["x-own"] == "yes"
    assert (request.path, request.body) == ("/v1/chat/completions", CHAT)
    assert request.headers["authorization"] == f"Bearer {KEY}"
    (path,) = tmp_path.iterdir()
    assert KEY not in path.read_text("utf-8")
    recording = Recording(path)
    assert recording.session == answer.headers["x-vesselog-session"]
    (call,) = recording.calls()
    assert call.outcome == "complete"
    assert b"".join(frame.raw for frame in call.frames()) == answer.content
    assert call.completion().text == "ab"
