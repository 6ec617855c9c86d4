"""Clients of one dialect, upstreams of another, over loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateways import gateway_to
from loopback import Conversation, LoopbackServer, ollama_lines, openai_events
from patience import PATIENCE
from vesselog import Recording
from vesselog.server.gateway import translating
from vesselog.vessels import Ollama, OpenAI, Vessel

HELLO = [{"role": "user", "content": "x"}]
ASKED = {"model": "m", "messages": HELLO, "stream": True, "max_tokens": 9}


def data_of(body: bytes) -> list[Any]:
    """The JSON values of events or lines."""
    lines = [line.removeprefix(b"data: ") for line in body.split(b"\n")]
    return [json.loads(line) for line in lines if line[:1] == b"{"]


def openai_text(body: bytes) -> str:
    choices = [choice for value in data_of(body) for choice in value["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def ollama_text(body: bytes) -> str:
    return "".join(value["message"]["content"] for value in data_of(body))


def anthropic_text(body: bytes) -> str:
    return "".join(value.get("delta", {}).get("text", "") for value in data_of(body))


def to_ollama(url: str) -> dict[str, Vessel]:
    return {"up": Ollama(base_url=url)}


def to_openai(url: str) -> dict[str, Vessel]:
    return {"up": OpenAI(base_url=f"{url}/v1")}


@pytest.mark.parametrize(
    ("route", "vessels", "text", "asked_at"),
    [
        ("/v1/chat/completions", to_ollama, openai_text, "/api/chat"),
        ("/api/chat", to_openai, ollama_text, "/v1/chat/completions"),
        ("/v1/messages", to_ollama, anthropic_text, "/api/chat"),
        ("/up/v1/messages", to_openai, anthropic_text, "/v1/chat/completions"),
    ],
)
def test_a_stream_is_translated_and_recorded_as_it_came(
    tmp_path: Path,
    route: str,
    vessels: Callable[[str], dict[str, Vessel]],
    text: Callable[[bytes], str],
    asked_at: str,
) -> None:
    asked = {
        key: value for key, value in ASKED.items() if key != "max_tokens" or "api" not in route
    }
    with (
        LoopbackServer([lambda conversation: conversation.answer("Gute ", "Reise")]) as server,
        gateway_to(tmp_path, vessels(server.url)) as http,
    ):
        answer = http.post(route, json=asked, headers={"authorization": "Bearer of-the-client"})
        (request,) = server.requests
    assert answer.status_code == 200
    assert text(answer.content) == "Gute Reise"
    assert request.path == asked_at
    assert request.json["messages"] == HELLO
    assert "authorization" not in request.headers
    (call,) = Recording(tmp_path / f"{answer.headers['x-vesselog-session']}.jsonl").calls()
    assert call.outcome == "complete"
    assert call.completion().text == "Gute Reise"
    frames = openai_events if "v1" in asked_at else ollama_lines
    assert b"".join(frame.raw for frame in call.frames()) == b"".join(frames("Gute ", "Reise"))


def test_a_whole_answer_is_translated(tmp_path: Path) -> None:
    with (
        LoopbackServer([lambda conversation: conversation.answer("Gute Reise")]) as server,
        gateway_to(tmp_path, to_ollama(server.url)) as http,
    ):
        answer = http.post("/v1/chat/completions", json={**ASKED, "stream": False})
    assert answer.json()["choices"][0]["message"]["content"] == "Gute Reise"
    assert answer.headers["content-length"] == str(len(answer.content))


def test_what_cannot_be_said_is_a_bad_request_that_names_it(tmp_path: Path) -> None:
    with (
        LoopbackServer([Conversation.end]) as server,
        gateway_to(tmp_path, to_ollama(server.url)) as http,
    ):
        answer = http.post("/v1/chat/completions", json={**ASKED, "n": 2})
        assert server.requests == []
    assert answer.status_code == 400
    assert "n" in answer.json()["error"]["message"]


def test_a_body_that_is_no_json_object_goes_to_no_upstream_of_another_dialect(
    tmp_path: Path,
) -> None:
    with (
        LoopbackServer([Conversation.end]) as server,
        gateway_to(tmp_path, to_ollama(server.url)) as http,
    ):
        for content in (b"not json", b"[1]", b"", b'{"model":'):
            answer = http.post("/v1/messages", content=content)
            assert answer.status_code == 400
            assert answer.json()["error"]["type"] == "invalid_request_error"
        assert server.requests == []


def test_an_error_status_is_told_in_the_clients_dialect(tmp_path: Path) -> None:
    def script(conversation: Conversation) -> None:
        conversation.whole(b'{"error": "model \\"m\\" not found"}', 404)

    with (
        LoopbackServer([script]) as server,
        gateway_to(tmp_path, to_ollama(server.url)) as http,
    ):
        answer = http.post("/v1/messages", json=ASKED)
    assert answer.status_code == 404
    assert answer.json()["type"] == "error"
    assert answer.json()["error"]["type"] == "not_found_error"


@pytest.mark.parametrize("then", [Conversation.cut, Conversation.end], ids=["cut", "truncated"])
def test_a_stream_that_breaks_off_is_cut_behind_an_error_event(
    tmp_path: Path, then: Callable[[Conversation], None]
) -> None:
    def script(conversation: Conversation) -> None:
        conversation.begin()
        conversation.chunk(ollama_lines("Gute ")[0])
        then(conversation)

    pieces: list[bytes] = []
    with (
        LoopbackServer([script]) as server,
        gateway_to(tmp_path, to_ollama(server.url)) as http,
        http.stream("POST", "/v1/chat/completions", json=ASKED) as response,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        pieces.extend(response.iter_raw())
    got = b"".join(pieces)
    first, *_, last = data_of(got)
    assert first["choices"]
    assert last["error"]["message"]
    (path,) = tmp_path.iterdir()
    (call,) = Recording(path).calls()
    assert call.outcome in {"error", "truncated"}


def test_a_silent_stream_has_a_heartbeat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translating, "_HEARTBEAT", 0.01)
    seen = threading.Event()

    def script(conversation: Conversation) -> None:
        conversation.begin()
        assert seen.wait(PATIENCE)
        for line in ollama_lines("Gute Reise"):
            conversation.chunk(line)
        conversation.end()

    with (
        LoopbackServer([script]) as server,
        gateway_to(tmp_path, to_ollama(server.url)) as http,
        http.stream("POST", "/v1/chat/completions", json=ASKED) as response,
    ):
        pieces = response.iter_raw()
        assert next(pieces) == b": keep-alive\n\n"
        seen.set()
        assert openai_text(b"".join(pieces)) == "Gute Reise"


def test_a_gemini_client_is_served_too(tmp_path: Path) -> None:
    asked = {"contents": [{"role": "user", "parts": [{"text": "x"}]}]}
    path = "/v1beta/models/m:streamGenerateContent?alt=sse"
    with (
        LoopbackServer([lambda conversation: conversation.answer("Gute ", "Reise")]) as server,
        gateway_to(tmp_path, to_ollama(server.url)) as http,
    ):
        answer = http.post(path, json=asked)
        assert server.requests[0].json["model"] == "m"
    parts = [each["candidates"][0]["content"]["parts"] for each in data_of(answer.content)]
    assert "".join(part["text"] for each in parts for part in each) == "Gute Reise"


LISTED = "/v1beta/models/m:streamGenerateContent"
CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "x"}]}]}


def test_without_sse_a_gemini_client_gets_a_list(tmp_path: Path) -> None:
    with (
        LoopbackServer([lambda conversation: conversation.answer("Gute ", "Reise")]) as server,
        gateway_to(tmp_path, to_ollama(server.url)) as http,
    ):
        answer = http.post(f"{LISTED}?key=k", json=CONTENTS)
        assert server.requests[0].json["stream"] is True
    assert answer.headers["content-type"] == "application/json"
    parts = [each["candidates"][0]["content"]["parts"] for each in answer.json()]
    assert "".join(part["text"] for each in parts for part in each) == "Gute Reise"


def test_the_errors_of_a_list_are_items_of_one(tmp_path: Path) -> None:
    """As Google's are, before the answer begins and in its middle."""

    def missing(conversation: Conversation) -> None:
        conversation.whole(b'{"error": "model \\"m\\" not found"}', 404)

    def failing(conversation: Conversation) -> None:
        lines = [ollama_lines("Gute ")[0], b'{"error":"the model fell over"}\n']
        conversation.stream(lines)

    with (
        LoopbackServer([missing, failing]) as server,
        gateway_to(tmp_path, to_ollama(server.url)) as http,
    ):
        refused = http.post(LISTED, json={**CONTENTS, "cachedContent": "c"})
        absent = http.post(LISTED, json=CONTENTS)
        failed = http.post(LISTED, json=CONTENTS)
    assert [refused.status_code, absent.status_code] == [400, 404]
    assert "cachedContent" in refused.json()[0]["error"]["message"]
    assert absent.json()[0]["error"]["status"] == "NOT_FOUND"
    first, last = failed.json()
    assert first["candidates"][0]["content"]["parts"] == [{"text": "Gute "}]
    assert "fell over" in last["error"]["message"]


def test_a_client_that_leaves_cancels_the_call(tmp_path: Path) -> None:
    def script(conversation: Conversation) -> None:
        conversation.begin()
        conversation.chunk(ollama_lines("Gute ")[0])
        conversation.wait_for_hangup()

    with (
        LoopbackServer([script]) as server,
        gateway_to(tmp_path, to_ollama(server.url)) as http,
    ):
        with http.stream("POST", "/v1/chat/completions", json=ASKED) as response:
            pieces = response.iter_raw()
            assert next(pieces)
        server.wait_until(lambda: server.open_connections == 0)
    (path,) = tmp_path.iterdir()
    (call,) = Recording(path).calls()
    assert call.outcome == "cancelled"
