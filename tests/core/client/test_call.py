"""What is known of one attempt: the answer's headers and its advice, live and replayed."""

from __future__ import annotations

from pathlib import Path

import pytest

from loopback import Conversation, LoopbackServer, openai_body
from talking import every_client, talking
from vesselog import Client, ProviderError, Recording, Retries, replay
from vesselog.vessels import OpenAI

HEADERS = {
    "x_request_id": "req_1",
    "x_ratelimit_remaining_tokens": "9",
    "set_cookie": "secret=1",
}
KEPT = {"x-request-id": "req_1", "x-ratelimit-remaining-tokens": "9"}


def answers(conversation: Conversation) -> None:
    if not conversation.asked_for_stream:
        conversation.whole(openai_body("Hi"), **HEADERS)
        return
    conversation.head(content_type="text/event-stream", **HEADERS)
    for frame in conversation.frames("Hi"):
        conversation.chunk(frame)
    conversation.end()


def refuses(conversation: Conversation) -> None:
    conversation.whole(b'{"error": {"message": "slower"}}', 429, **HEADERS, retry_after_ms="1500")


@every_client
def test_the_headers_and_the_request_id_are_on_the_stream_and_its_completion(kind: str):
    with LoopbackServer([answers]) as server, talking(kind, server) as talker:
        heard = talker.hear("open/m").check("complete")
        completion = heard.stream.completion
        for place in (heard.stream, completion, heard.calls[-1].completion()):
            assert KEPT.items() <= dict(place.headers).items()
            assert "set-cookie" not in place.headers
        assert heard.stream.request_id == completion.request_id == "req_1"


@every_client
def test_a_whole_answer_has_them_too(kind: str):
    with LoopbackServer([answers]) as server, talking(kind, server) as talker:
        assert talker.complete("open/m").request_id == "req_1"


@every_client
def test_an_error_has_the_headers_and_what_they_say_of_another_try(kind: str):
    with (
        LoopbackServer([refuses]) as server,
        talking(kind, server, retries=Retries(count=0)) as talker,
    ):
        heard = talker.hear("open/m")
        heard.check("error", error=ProviderError)
        assert (heard.error.request_id, heard.error.retry_after) == ("req_1", 1.5)
        assert heard.error.headers["x-ratelimit-remaining-tokens"] == "9"
        stored = heard.calls[-1].error
        assert stored is not None
        assert (stored.request_id, stored.retry_after) == ("req_1", 1.5)


def test_a_replayed_answer_has_the_same_headers(tmp_path: Path):
    with LoopbackServer([answers]) as server:
        vessels = {"lab": OpenAI(base_url=server.url)}
        with Client(recordings=tmp_path, vessels=vessels, environment={}) as client:
            live = client.complete("lab/m", "hi")
    with Client(replay=tmp_path, vessels=vessels, environment={}) as client:
        again = client.complete("lab/m", "hi")
    (file,) = tmp_path.glob("*.jsonl")
    played = replay(file, speed=0)
    list(played)
    assert again.headers == live.headers == played.completion.headers
    assert live.request_id == "req_1"


def test_a_replayed_error_has_them_too(tmp_path: Path):
    with LoopbackServer([refuses]) as server:
        vessels = {"lab": OpenAI(base_url=server.url)}
        settings = {"recordings": tmp_path, "vessels": vessels, "environment": {}}
        with Client(**settings, retries=Retries(count=0)) as client, pytest.raises(ProviderError):
            client.complete("lab/m", "hi")
    (file,) = tmp_path.glob("*.jsonl")
    with pytest.raises(ProviderError) as caught:
        list(replay(file, speed=0))
    assert (caught.value.request_id, caught.value.retry_after) == ("req_1", 1.5)


@every_client
@pytest.mark.parametrize(("advice", "attempts"), [("true", 3), ("false", 1), ("", 1)])
def test_the_servers_advice_decides(kind: str, advice: str, attempts: int):
    def fails(conversation: Conversation) -> None:
        conversation.whole(b"{}", 500, x_should_retry=advice)

    with (
        LoopbackServer([fails]) as server,
        talking(kind, server, retries=Retries(backoff=0)) as talker,
    ):
        heard = talker.hear("open/m")
        heard.check("error", error=ProviderError)
        assert len(heard.calls) == attempts


@every_client
def test_a_used_up_quota_is_not_tried_again(kind: str):
    """Its status is that of a rate limit, but waiting does not cure it."""
    body = b'{"error": {"message": "no money", "type": "insufficient_quota", "code": 429}}'

    def fails(conversation: Conversation) -> None:
        conversation.whole(body, 429, retry_after="0")

    with LoopbackServer([fails]) as server, talking(kind, server) as talker:
        heard = talker.hear("open/m")
        heard.check("error", error=ProviderError)
        assert not heard.error.retryable
        assert len(heard.calls) == 1


@every_client
def test_an_overloaded_server_is_tried_again(kind: str):
    def overloaded(conversation: Conversation) -> None:
        conversation.whole(b'{"type": "error", "error": {"type": "overloaded_error"}}', 529)

    with (
        LoopbackServer([overloaded, answers]) as server,
        talking(kind, server, retries=Retries(backoff=0)) as talker,
    ):
        heard = talker.hear("open/m")
        assert heard.check("complete").text == "Hi"


def test_the_recording_has_the_advice(tmp_path: Path):
    with LoopbackServer([refuses]) as server:
        client = Client(
            recordings=tmp_path,
            vessels={"lab": OpenAI(base_url=server.url)},
            environment={},
            retries=Retries(count=0),
        )
        with client, pytest.raises(ProviderError):
            client.complete("lab/m", "hi")
        server.wait_until(lambda: server.open_connections == 0)
    (file,) = tmp_path.glob("*.jsonl")
    (call,) = Recording(file).calls()
    assert call.end is not None
    assert call.end["error"]["retry_after"] == 1.5
