"""Responses resumed, read again and cancelled over the gateway, by OpenAI's SDK and by hand."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from asgi_server import served_by_uvicorn
from gateways import gateway_to
from house import ROOT
from loopback import Conversation, LoopbackServer, ollama_lines
from patience import PATIENCE
from vesselog import AsyncClient, Client, Recording
from vesselog.server import Gateway, gateway_vessels
from vesselog.server.gateway.response_ids import Place, place_of, response_id
from vesselog.vessels import Azure, Ollama, OpenAIResponses, Vessel

TEXTS = ("Gute ", "Reise, ", "ahoi!")
NATIVE = (ROOT / "tests/bodies/openai-responses/text.sse").read_bytes()
NATIVE_ID = "resp_68c1"


def sdk(http: httpx.Client) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{http.base_url}/v1", api_key="k", max_retries=0)


def events_of(body: bytes) -> list[Any]:
    return [json.loads(line[6:]) for line in body.split(b"\n") if line.startswith(b"data: ")]


def respond(http: httpx.Client, **asked: Any) -> httpx.Response:
    asked = {"model": "m", "input": "Hi", "stream": True, **asked}
    return http.post("/v1/responses", json=asked)


def test_the_id_of_a_response_holds_its_place() -> None:
    place = Place("chat-42.with_all", 12)
    assert place_of(response_id(place)) == place
    assert response_id(place).isascii()
    for other in ("resp_68c1", "resp_v1", "resp_v1!!", "resp_v1eA", "x", response_id(place)[:-3]):
        assert place_of(other) != place


def test_the_sdk_reads_any_upstream_and_resumes_it(tmp_path: Path) -> None:
    with (
        LoopbackServer([lambda conversation: conversation.answer(*TEXTS)]) as server,
        gateway_to(tmp_path, {"up": Ollama(base_url=server.url)}) as http,
        sdk(http) as client,
    ):
        with client.responses.stream(model="m", input="Hi") as stream:
            live = [event.sequence_number for event in stream]
            built = stream.get_final_response()
        assert built.output_text == "".join(TEXTS)
        assert live == list(range(len(live)))
        for after in (-1, 0, 5, len(live) - 2, len(live)):
            resumed = client.responses.retrieve(built.id, stream=True, starting_after=after)
            assert [event.sequence_number for event in resumed] == [*range(after + 1, len(live))]
        with client.responses.stream(response_id=built.id, starting_after=3) as again:
            rest = list(again)
            assert again.get_final_response().output_text == "".join(TEXTS)
        assert rest[0].sequence_number == 4
        whole = client.responses.retrieve(built.id)
        assert (whole.status, whole.output_text) == ("completed", built.output_text)
        assert len(server.requests) == 1, "nothing was asked for again"


def test_what_is_resumed_is_what_was_sent(tmp_path: Path) -> None:
    """But for what a response repeats of its request."""
    with (
        LoopbackServer([lambda conversation: conversation.answer(*TEXTS)]) as server,
        gateway_to(tmp_path, {"up": Ollama(base_url=server.url)}) as http,
    ):
        live = events_of(respond(http).content)
        identifier = live[0]["response"]["id"]
        again = http.get(f"/v1/responses/{identifier}?stream=true&starting_after=1").content
        whole = http.get(f"/v1/responses/{identifier}").json()
    created = live[0]["response"]["created_at"]
    assert abs(created - time.time()) < PATIENCE
    for event in (*live, *(resumed := events_of(again))):
        if "response" in event:
            response = event["response"]
            # The second may have changed between the request and its line in the recording.
            assert 0 <= response["created_at"] - created <= 1
            event["response"] = {key: response[key] for key in ("id", "model", "output", "status")}
    assert resumed == live[2:]
    assert 0 <= whole["created_at"] - created <= 1


def test_an_answer_in_the_background_goes_on_without_its_client(tmp_path: Path) -> None:
    left = threading.Event()

    def script(conversation: Conversation) -> None:
        first, *others = ollama_lines(*TEXTS)
        with conversation.at_once():
            conversation.head("200 OK", "application/x-ndjson")
            conversation.chunk(first)
        assert left.wait(20)
        for line in others:
            conversation.chunk(line)
        conversation.end()

    with (
        LoopbackServer([script]) as server,
        gateway_to(tmp_path, {"up": Ollama(base_url=server.url)}) as http,
        sdk(http) as client,
    ):
        with client.responses.create(model="m", input="Hi", stream=True, background=True) as stream:
            for event in stream:
                if event.type == "response.created":
                    identifier = event.response.id
                if event.type == "response.output_text.delta":
                    break
        last = event.sequence_number
        running = client.responses.retrieve(identifier)
        assert (running.status, running.output_text) == ("in_progress", TEXTS[0])
        resumed = client.responses.retrieve(identifier, stream=True, starting_after=last)
        left.set()
        events = list(resumed)
        assert [event.sequence_number for event in events][:2] == [last + 1, last + 2]
        assert events[-1].type == "response.completed"
        assert client.responses.retrieve(identifier).output_text == "".join(TEXTS)


def test_a_whole_answer_in_the_background_is_told_at_once_and_asked_for_later(
    tmp_path: Path,
) -> None:
    asked, going = threading.Event(), threading.Event()

    def script(conversation: Conversation) -> None:
        asked.set()
        assert going.wait(20)
        conversation.answer("".join(TEXTS))

    with (
        LoopbackServer([script]) as server,
        gateway_to(tmp_path, {"up": Ollama(base_url=server.url)}) as http,
        sdk(http) as client,
    ):
        begun = client.responses.create(model="m", input="Hi", background=True)
        assert (begun.status, begun.output, begun.background) == ("in_progress", [], True)
        assert asked.wait(20)
        assert client.responses.retrieve(begun.id).status == "in_progress"
        events = client.responses.retrieve(begun.id, stream=True)
        going.set()
        assert list(events)[-1].type == "response.completed"
        whole = client.responses.retrieve(begun.id)
        assert (whole.status, whole.output_text) == ("completed", "".join(TEXTS))
        assert whole.usage is not None
        assert whole.usage.output_tokens


def test_an_answer_in_the_background_that_fails_says_so_where_it_is_asked_for(
    tmp_path: Path,
) -> None:
    def script(conversation: Conversation) -> None:
        conversation.whole(b'{"error": "model \\"m\\" not found"}', 404)

    with (
        LoopbackServer([script]) as server,
        gateway_to(tmp_path, {"up": Ollama(base_url=server.url)}) as http,
        sdk(http) as client,
    ):
        begun = client.responses.create(model="m", input="Hi", background=True)
        for event in client.responses.retrieve(begun.id, stream=True):
            last = event.type
        assert last == "response.failed"
        failed = client.responses.retrieve(begun.id)
        assert failed.status == "failed"
        assert failed.error is not None
        assert "not found" in failed.error.message


def test_one_that_runs_in_the_background_is_cancelled(tmp_path: Path) -> None:
    with (
        LoopbackServer([lambda conversation: conversation.wait_for_hangup()]) as server,
        gateway_to(tmp_path, {"up": Ollama(base_url=server.url)}) as http,
        sdk(http) as client,
    ):
        begun = client.responses.create(model="m", input="Hi", background=True)
        assert client.responses.cancel(begun.id).status == "cancelled"
        assert client.responses.retrieve(begun.id).status == "cancelled"


def test_what_cannot_be_recorded_is_told_at_once(tmp_path: Path) -> None:
    asked = {"model": "m", "input": "Hi", "background": True}

    def script(conversation: Conversation) -> None:
        conversation.begin()
        conversation.wait_for_hangup()

    with (
        LoopbackServer([script]) as server,
        gateway_to(tmp_path, {"up": Ollama(base_url=server.url)}) as http,
        Client(recordings=tmp_path, vessels={"v": Ollama(base_url=server.url)}) as other,
        other.stream("v/m", "x", session="taken"),
    ):
        answer = http.post("/v1/responses", json=asked, headers={"x-vesselog-session": "taken"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "session_in_use")
        wrong = http.post("/v1/responses", json={**asked, "conversation": "c"})
        assert (wrong.status_code, "conversation" in wrong.text) == (400, True)
        assert len(server.requests) == 1


def test_a_replayed_one_is_given_at_once(tmp_path: Path) -> None:
    """It is in no folder in which it could be asked for later."""
    asked = {"model": "m", "input": "Hi", "background": True}
    vessels: dict[str, Vessel] = {"up": Ollama(base_url="http://127.0.0.1:9")}
    with (
        LoopbackServer([lambda conversation: conversation.answer(*TEXTS)]) as server,
        gateway_to(tmp_path, {"up": Ollama(base_url=server.url)}) as http,
    ):
        identifier = http.post("/v1/responses", json=asked).json()["id"]
        events = http.get(f"/v1/responses/{identifier}?stream=true").content  # to its end
        assert b"response.completed" in events
    client = AsyncClient(replay=tmp_path, vessels=gateway_vessels(vessels, {}), speed=0)
    with served_by_uvicorn(Gateway(client, vessels, environment={}), log_level="critical") as http:
        answer = http.post("/v1/responses", json=asked).json()
    assert answer["status"] == "completed"
    assert answer["output"][0]["content"][0]["text"] == "".join(TEXTS)


def test_what_runs_in_the_providers_background_is_asked_of_the_provider(tmp_path: Path) -> None:
    queued = (ROOT / "tests/bodies/openai-responses/queued.json").read_bytes()
    value = json.loads(queued)
    done = json.dumps({**value, "status": "completed"}).encode()
    scripts = [lambda talk: talk.whole(queued)] * 2 + [lambda talk: talk.whole(done)]
    with (
        LoopbackServer(scripts) as server,
        gateway_to(tmp_path, {"up": OpenAIResponses(base_url=f"{server.url}/v1")}) as http,
    ):
        assert respond(http, stream=False, background=True).content == queued
        path = f"/v1/responses/{value['id']}"
        assert http.get(path).content == queued
        assert http.get(path).content == done
        assert [each.path for each in server.requests] == ["/v1/responses", path, path]


def test_a_running_answer_is_cancelled(tmp_path: Path) -> None:
    def script(conversation: Conversation) -> None:
        conversation.head("200 OK", "application/x-ndjson")
        conversation.chunk(ollama_lines(*TEXTS)[0])
        conversation.wait_for_hangup()

    with (
        LoopbackServer([script]) as server,
        gateway_to(tmp_path, {"up": Ollama(base_url=server.url)}) as http,
        sdk(http) as client,
        client.responses.create(model="m", input="Hi", stream=True) as stream,
    ):
        created = next(iter(stream))
        assert created.type == "response.created"
        assert client.responses.cancel(created.response.id).status == "cancelled"
        events = [event.type for event in stream]
        assert events[-1] in {"error", "response.failed"}
        assert client.responses.retrieve(created.response.id).status == "cancelled"


@pytest.mark.parametrize("after", [-1, 0, 7, 10**6])
def test_an_answer_in_this_dialect_is_sent_as_it_was_recorded(tmp_path: Path, after: int) -> None:
    frames = [frame + b"\n\n" for frame in NATIVE.split(b"\n\n") if frame]
    with (
        LoopbackServer([lambda talk: talk.stream(frames, "text/event-stream")]) as server,
        gateway_to(tmp_path, {"up": OpenAIResponses(base_url=f"{server.url}/v1")}) as http,
    ):
        assert respond(http).content == NATIVE
        query = {"stream": "true", "starting_after": after}
        again = http.get(f"/v1/responses/{NATIVE_ID}", params=query)
        assert again.content == b"".join(frames[after + 1 :])
        whole = http.get(f"/v1/responses/{NATIVE_ID}").json()
        assert whole == events_of(NATIVE)[-1]["response"]
        assert len(server.requests) == 1


def azure_events() -> list[bytes]:
    """As OpenAI's, with the results of the filter, which Azure adds to each response."""
    events = events_of(NATIVE)
    for each in events:
        if "response" in each:
            each["response"]["content_filters"] = [{"blocked": False, "source_type": "prompt"}]
    return [f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events]


@pytest.mark.parametrize("version", [None, "2025-04-01-preview"])
def test_an_answer_of_azure_is_recorded_with_its_chunks(
    tmp_path: Path, version: str | None
) -> None:
    """Asked for by the SDK's client for OpenAI at the v1 route, and by its client for Azure."""
    frames = azure_events()
    with (
        LoopbackServer([lambda talk: talk.stream(frames, "text/event-stream")]) as server,
        gateway_to(
            tmp_path, {"az": Azure(base_url=server.url, api_key="a-key-of-the-upstream")}
        ) as http,
    ):
        own = {"azure_endpoint": str(http.base_url), "api_key": "k", "api_version": version}
        with sdk(http) if version is None else openai.AzureOpenAI(**own) as client:
            with client.responses.stream(model="gpt", input="Hi") as stream:
                built = stream.get_final_response()
            again = client.responses.retrieve(built.id)
        (request,) = server.requests
    path = "/openai/v1/responses" if version is None else f"/openai/responses?api-version={version}"
    assert request.path == path
    assert request.headers["api-key"] == "a-key-of-the-upstream"
    assert "authorization" not in request.headers
    assert again.output_text == built.output_text
    (file,) = tmp_path.iterdir()
    (call,) = Recording(file).calls()
    assert (call.outcome, call.completion().text) == ("complete", built.output_text)
    assert [frame.raw for frame in call.frames()] == frames


def test_what_is_not_recorded_is_for_the_upstream(tmp_path: Path) -> None:
    body = b'{"id":"resp_other","object":"response"}'
    with (
        LoopbackServer([lambda talk: talk.whole(body)] * 2) as server,
        gateway_to(tmp_path, {"up": OpenAIResponses(base_url=f"{server.url}/v1")}) as http,
    ):
        assert http.get("/v1/responses/resp_other").content == body
        assert http.post("/v1/responses/resp_other/cancel").content == body
        assert [each.path for each in server.requests] == [
            "/v1/responses/resp_other",
            "/v1/responses/resp_other/cancel",
        ]


def test_a_number_that_is_none_is_refused(tmp_path: Path) -> None:
    with (
        LoopbackServer([lambda conversation: conversation.answer(*TEXTS)]) as server,
        gateway_to(tmp_path, {"up": Ollama(base_url=server.url)}) as http,
    ):
        identifier = events_of(respond(http).content)[0]["response"]["id"]
        query = {"stream": "true", "starting_after": "x"}
        answer = http.get(f"/v1/responses/{identifier}", params=query)
        assert answer.status_code == 400
        assert answer.json()["error"]["type"] == "invalid_request_error"


def test_an_answer_that_broke_off_ends_with_its_error(tmp_path: Path) -> None:
    def script(conversation: Conversation) -> None:
        conversation.head("200 OK", "application/x-ndjson")
        conversation.chunk(ollama_lines(*TEXTS)[0])
        conversation.chunk(b'{"error":"the model fell over"}\n')
        conversation.end()

    with (
        LoopbackServer([script]) as server,
        gateway_to(tmp_path, {"up": Ollama(base_url=server.url)}) as http,
    ):
        live = events_of(respond(http).content)
        identifier = live[0]["response"]["id"]
        again = events_of(http.get(f"/v1/responses/{identifier}?stream=true").content)
        assert [event["type"] for event in again] == [event["type"] for event in live]
        assert again[-1]["type"] == "response.failed"
        assert "fell over" in again[-1]["response"]["error"]["message"]
        assert again[-1]["response"]["output"][0]["content"][0]["text"] == TEXTS[0]
        assert http.get(f"/v1/responses/{identifier}").json()["status"] == "failed"
