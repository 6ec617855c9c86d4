"""Answers that break, stall, are refused, or that nobody waits for any more."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateways import gateway_to
from loopback import Conversation, LoopbackServer, Script, ollama_lines, openai_events
from patience import PATIENCE
from vesselog import Recording, Timeouts
from vesselog.core.truth.recording import RecordedCall
from vesselog.vessels import Anthropic, Gemini, Ollama, OpenAI, Vessel

ROUTES = {
    "openai": "/v1/chat/completions",
    "ollama": "/api/chat",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/m:streamGenerateContent?alt=sse",
}
VESSELS: dict[str, Callable[[str], Vessel]] = {
    "openai": lambda url: OpenAI(base_url=f"{url}/v1"),
    "ollama": lambda url: Ollama(base_url=url),
    "anthropic": lambda url: Anthropic(base_url=url),
    "gemini": lambda url: Gemini(base_url=url),
}
ASKED = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "x"}]}
EVENTS = openai_events("a", "b")


def the_call(folder: Path) -> RecordedCall:
    (path,) = folder.glob("*.jsonl")
    (call,) = Recording(path).calls()
    return call


def received(
    http: httpx.Client, route: str, body: dict[str, Any] = ASKED
) -> tuple[bytes, bool, int]:
    """What a client got, whether the connection was cut, and the status."""
    got = bytearray()
    with http.stream("POST", route, json=body) as response:
        try:
            for data in response.iter_raw():
                got += data
        except httpx.RemoteProtocolError:
            return bytes(got), True, response.status_code
    return bytes(got), False, response.status_code


def begun(frames: list[bytes], then: Callable[[Conversation], None]) -> Script:
    def script(conversation: Conversation) -> None:
        conversation.begin()
        for frame in frames:
            conversation.chunk(frame)
        then(conversation)

    return script


def half_a_frame(conversation: Conversation) -> None:
    conversation.chunk(b'data: {"half')
    conversation.cut()


@pytest.mark.parametrize(
    "then", [Conversation.cut, Conversation.reset, half_a_frame], ids=["cut", "reset", "half"]
)
def test_a_stream_that_breaks_off_ends_with_an_error_and_without_an_end(
    tmp_path: Path, then: Callable[[Conversation], None]
) -> None:
    with (
        LoopbackServer([begun(EVENTS[:2], then)]) as server,
        gateway_to(tmp_path, {"up": VESSELS["openai"](server.url)}) as http,
    ):
        got, cut, status = received(http, ROUTES["openai"])
    assert (cut, status) == (True, 200)
    before = b"".join(EVENTS[:2])
    assert got.startswith(before)
    (event,) = got.removeprefix(before).split(b"\n\n")[:-1]
    error = json.loads(event.removeprefix(b"data: "))["error"]
    assert error["code"] == "connection_failed"
    call = the_call(tmp_path)
    assert call.outcome == "error"
    assert b"".join(frame.raw for frame in call.frames()).startswith(before)


@pytest.mark.parametrize("dialect", ROUTES)
def test_a_stream_that_stalls_ends_with_an_error_of_its_dialect(
    tmp_path: Path, dialect: str
) -> None:
    first = {
        "openai": EVENTS[0],
        "ollama": ollama_lines("a")[0],
        "anthropic": b'data: {"type": "ping"}\n\n',
        "gemini": b'data: {"candidates": []}\n\n',
    }
    stall = begun([first[dialect]], Conversation.wait_for_hangup)
    with (
        LoopbackServer([stall]) as server,
        gateway_to(
            tmp_path,
            {"up": VESSELS[dialect](server.url)},
            timeouts=Timeouts(idle=0.05),
        ) as http,
    ):
        got, cut, _ = received(http, ROUTES[dialect])
    assert cut
    last = got.strip().rpartition(b"\n")[2].removeprefix(b"data: ")
    error = json.loads(last)["error"]
    assert "in time" in (error if dialect == "ollama" else error["message"])
    assert the_call(tmp_path).outcome == "error"


def test_a_whole_answer_that_breaks_off_is_a_bad_gateway(tmp_path: Path) -> None:
    def script(conversation: Conversation) -> None:
        conversation.head(content_type="application/json")
        conversation.chunk(b'{"choices": [')
        conversation.cut()

    with (
        LoopbackServer([script]) as server,
        gateway_to(tmp_path, {"up": VESSELS["openai"](server.url)}) as http,
    ):
        answer = http.post(ROUTES["openai"], json={**ASKED, "stream": False})
    assert answer.status_code == 502
    assert answer.json()["error"]["code"] == "connection_failed"
    assert answer.headers["x-vesselog-session"] == the_call(tmp_path).path.stem


def test_an_answer_of_no_known_dialect_that_breaks_off_is_cut(tmp_path: Path) -> None:
    def script(conversation: Conversation) -> None:
        conversation.head(content_type="audio/mpeg")
        conversation.chunk(b"\xff\xfb")
        conversation.cut()

    with (
        LoopbackServer([script]) as server,
        gateway_to(tmp_path, {"up": VESSELS["openai"](server.url)}) as http,
    ):
        got, cut, status = received(http, "/v1/audio/speech", {"model": "tts"})
    assert (got, cut, status) == (b"\xff\xfb", True, 200)
    call = the_call(tmp_path)
    assert call.outcome == "error"
    assert [frame.raw for frame in call.frames()] == [b"\xff\xfb"]


def test_a_clean_end_stays_one_though_the_answer_is_truncated(tmp_path: Path) -> None:
    with (
        LoopbackServer([begun(EVENTS[:2], Conversation.end)]) as server,
        gateway_to(tmp_path, {"up": VESSELS["openai"](server.url)}) as http,
    ):
        got, cut, _ = received(http, ROUTES["openai"])
    assert (got, cut) == (b"".join(EVENTS[:2]), False)
    assert the_call(tmp_path).outcome == "truncated"


def test_a_body_that_only_the_closing_ends_must_be_complete_by_its_dialect(tmp_path: Path) -> None:
    """HTTP gives it no end of its own: a server that died looks like one that was done."""

    def script(frames: list[bytes]) -> Script:
        def play(conversation: Conversation) -> None:
            head = (
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
            )
            conversation.raw(head + b"".join(frames))
            conversation.cut()

        return play

    with (
        LoopbackServer([script(EVENTS[:2]), script(EVENTS)]) as server,
        gateway_to(tmp_path, {"up": VESSELS["openai"](server.url)}) as http,
    ):
        got, cut, _ = received(http, ROUTES["openai"])
        assert cut
        assert b'"truncated"' in got
        assert received(http, ROUTES["openai"]) == (b"".join(EVENTS), False, 200)


def test_an_error_in_band_and_what_follows_it_pass_as_they_are(tmp_path: Path) -> None:
    frames = [EVENTS[0], b'data: {"error": {"message": "no"}}\n\n', b": more\n\n", *EVENTS[1:]]
    with (
        LoopbackServer([begun(frames, Conversation.end)]) as server,
        gateway_to(tmp_path, {"up": VESSELS["openai"](server.url)}) as http,
    ):
        assert received(http, ROUTES["openai"]) == (b"".join(frames), False, 200)
    call = the_call(tmp_path)
    assert call.outcome == "error"
    assert b"".join(frame.raw for frame in call.frames()) == b"".join(frames)


def test_an_error_status_passes_with_its_headers_and_is_not_tried_again(tmp_path: Path) -> None:
    def script(conversation: Conversation) -> None:
        conversation.whole(b'{"error": "busy"}', 429, retry_after="7", x_request_id="r-1")

    with (
        LoopbackServer([script]) as server,
        gateway_to(tmp_path, {"up": VESSELS["openai"](server.url)}) as http,
    ):
        answer = http.post(ROUTES["openai"], json=ASKED)
        assert len(server.requests) == 1
    assert (answer.status_code, answer.content) == (429, b'{"error": "busy"}')
    assert answer.headers["retry-after"] == "7"
    assert answer.headers["x-request-id"] == "r-1"
    assert answer.headers["content-length"] == "17"


@pytest.mark.parametrize("dialect", ROUTES)
def test_an_upstream_that_is_not_there_is_a_bad_gateway(tmp_path: Path, dialect: str) -> None:
    with LoopbackServer([Conversation.end]) as server:
        url = server.url
    with gateway_to(tmp_path, {"up": VESSELS[dialect](url)}) as http:
        answer = http.post(ROUTES[dialect], json=ASKED)
    assert answer.status_code == 502
    error = answer.json()["error"]
    assert "could not be reached" in (error if dialect == "ollama" else error["message"])
    assert the_call(tmp_path).outcome == "error"


def test_a_late_upstream_is_a_gateway_timeout(tmp_path: Path) -> None:
    with (
        LoopbackServer([Conversation.wait_for_hangup]) as server,
        gateway_to(
            tmp_path,
            {"up": VESSELS["openai"](server.url)},
            timeouts=Timeouts(first_chunk=0.05),
        ) as http,
    ):
        assert http.post(ROUTES["openai"], json=ASKED).status_code == 504


def test_a_client_that_leaves_cancels_the_call(tmp_path: Path) -> None:
    left = threading.Event()

    def then(conversation: Conversation) -> None:
        conversation.wait_for_hangup()
        left.set()

    with (
        LoopbackServer([begun(EVENTS[:2], then)]) as server,
        gateway_to(tmp_path, {"up": VESSELS["openai"](server.url)}) as http,
    ):
        with http.stream("POST", ROUTES["openai"], json=ASKED) as response:
            pieces = response.iter_raw()
            got = next(pieces)
            (running,) = http.get("/sessions").json()
        assert left.wait(PATIENCE)
    assert running["upstream"] == "up"
    assert running["session"] == response.headers["x-vesselog-session"]
    call = the_call(tmp_path)
    assert call.outcome == "cancelled"
    assert b"".join(frame.raw for frame in call.frames()).startswith(got)


def test_a_compressed_answer_passes_unpacked(tmp_path: Path) -> None:
    def script(conversation: Conversation) -> None:
        assert conversation.request.headers["accept-encoding"] == "identity"
        conversation.whole(
            gzip.compress(b"".join(EVENTS)),
            content_type="text/event-stream",
            content_encoding="gzip",
        )

    with (
        LoopbackServer([script]) as server,
        gateway_to(tmp_path, {"up": VESSELS["openai"](server.url)}) as http,
    ):
        answer = http.post(ROUTES["openai"], json=ASKED, headers={"accept-encoding": "gzip"})
    assert answer.content == b"".join(EVENTS)
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize("route", [ROUTES["openai"], "/v1/embeddings"])
def test_a_compressed_answer_that_breaks_off_has_no_clean_end(tmp_path: Path, route: str) -> None:
    """Though the HTTP of the upstream ends as it should."""

    def script(conversation: Conversation) -> None:
        conversation.whole(
            gzip.compress(b"".join(EVENTS))[:60],
            content_type="text/event-stream",
            content_encoding="gzip",
        )

    with (
        LoopbackServer([script]) as server,
        gateway_to(tmp_path, {"up": VESSELS["openai"](server.url)}) as http,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        http.post(route, json=ASKED)
    assert the_call(tmp_path).outcome == "truncated"


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_passes(tmp_path: Path, status: int) -> None:
    def script(conversation: Conversation) -> None:
        conversation.raw(f"HTTP/1.1 {status} None\r\nx-own: 1\r\n\r\n".encode())

    with (
        LoopbackServer([script]) as server,
        gateway_to(tmp_path, {"up": VESSELS["ollama"](server.url)}) as http,
    ):
        answer = http.get("/api/tags")
    assert (answer.status_code, answer.content, answer.headers["x-own"]) == (status, b"", "1")


def test_a_head_request_passes(tmp_path: Path) -> None:
    def script(conversation: Conversation) -> None:
        assert conversation.request.method == "HEAD"
        conversation.raw(b"HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n")

    with (
        LoopbackServer([script]) as server,
        gateway_to(tmp_path, {"up": VESSELS["ollama"](server.url)}) as http,
    ):
        answer = http.head("/")
    assert (answer.status_code, answer.headers["content-length"]) == (200, "17")


def test_a_status_that_does_not_exist_is_a_bad_gateway(tmp_path: Path) -> None:
    def script(conversation: Conversation) -> None:
        conversation.raw(b"HTTP/1.1 777 Odd\r\ncontent-length: 2\r\n\r\nhi")

    with (
        LoopbackServer([script]) as server,
        gateway_to(tmp_path, {"up": VESSELS["openai"](server.url)}) as http,
    ):
        assert http.post(ROUTES["openai"], json=ASKED).status_code == 502
