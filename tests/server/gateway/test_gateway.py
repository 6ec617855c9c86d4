"""The gateway over loopback: scripted upstreams behind it, a plain HTTP client before it."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections.abc import MutableMapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse

from asgi_server import served_by_uvicorn
from gateways import gateway_of, gateway_to
from loopback import Conversation, LoopbackServer, openai_events
from patience import PATIENCE
from vesselog import AsyncClient, Client, Recording, Timeouts
from vesselog.server import Gateway
from vesselog.vessels import OpenAI, Vessel

KEY = "sk-a-secret-of-a-client"


ROUTE = "/v1/chat/completions"
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


def endless(conversation: Conversation) -> None:
    conversation.begin()
    for frame in openai_events("a", "b")[:2]:
        conversation.chunk(frame)
    conversation.wait_for_hangup()


def error_of(got: bytes) -> dict[str, str]:
    """What the last event says."""
    error: dict[str, str] = json.loads(got.strip().rpartition(b"\n")[2][6:])["error"]
    return error


def test_a_running_call_is_listed_and_stopped(tmp_path: Path) -> None:
    with (
        LoopbackServer([endless]) as server,
        gateway_to(tmp_path, {"up": OpenAI(base_url=f"{server.url}/v1")}) as http,
    ):
        assert http.get("/sessions").json() == []
        with http.stream("POST", ROUTE, content=CHAT) as response:
            pieces = response.iter_raw()
            got = next(pieces)
            (running,) = http.get("/sessions").json()
            session = response.headers["x-vesselog-session"]
            assert http.post(f"/sessions/{session}/stop").status_code == 204
            got += b"".join(pieces)
        assert http.post(f"/sessions/{session}/stop").status_code == 409
        assert http.get("/sessions/").json() == []
        resent = http.get(f"/sessions/{session}?call=1")
    assert (running.pop("since") or "") > "2026"
    assert running == {
        "session": session,
        "call": 1,
        "upstream": "up",
        "method": "POST",
        "path": ROUTE,
        "model": "m",
    }
    assert error_of(got)["code"] == "cancelled"
    (call,) = Recording(tmp_path / f"{session}.jsonl").calls()
    assert call.outcome == "cancelled"
    assert b'"text":"a"' in resent.content


def test_one_that_is_mounted_in_an_application_has_its_sessions_and_passes_the_rest(
    tmp_path: Path,
) -> None:
    with LoopbackServer([streamed]) as server:
        gateway = gateway_of(tmp_path, {"up": OpenAI(base_url=f"{server.url}/v1")})

        async def mounted(scope: Any, receive: Any, send: Any) -> None:
            below = {} if scope["type"] == "lifespan" else {"root_path": "/lab"}
            await gateway({**scope, **below}, receive, send)

        with served_by_uvicorn(mounted, log_level="critical") as http:
            answer = http.post(f"/lab{ROUTE}", content=CHAT)
            listed = http.get("/lab/sessions")
            (request,) = server.requests
    assert answer.content == b"".join(openai_events("a", "b"))
    assert request.path == ROUTE
    assert (listed.status_code, listed.json()) == (200, [])


def test_stopping_ends_all_answers_with_an_error_and_refuses_others(tmp_path: Path) -> None:
    with LoopbackServer([endless, endless, streamed]) as server:
        gateway = gateway_of(tmp_path, {"up": OpenAI(base_url=f"{server.url}/v1")})

        async def app(scope: Any, receive: Any, send: Any) -> None:
            """The gateway, with a route that stops it, as a signal would."""
            if scope.get("path") != "/stop":
                return await gateway(scope, receive, send)
            await gateway.stop()
            return await PlainTextResponse("")(scope, receive, send)

        with served_by_uvicorn(app) as http, ExitStack() as stack:
            answers = [
                stack.enter_context(http.stream("POST", ROUTE, content=CHAT)) for _ in range(2)
            ]
            bodies = [answer.iter_raw() for answer in answers]
            begun = [next(body) for body in bodies]
            assert http.get("/stop").status_code == 200
            ended = [first + b"".join(rest) for first, rest in zip(begun, bodies, strict=True)]
            late = http.post(ROUTE, content=CHAT)
    assert [error_of(body)["code"] for body in ended] == ["server_stopping"] * 2
    assert (late.status_code, late.json()["error"]["code"]) == (503, "server_stopping")
    calls = [call for path in tmp_path.iterdir() for call in Recording(path).calls()]
    assert [call.outcome for call in calls] == ["cancelled"] * 2


def test_a_session_and_meta_by_header(tmp_path: Path) -> None:
    headers = {"x-vesselog-session": "chat-1", "x-vesselog-meta": '{"run": 7}'}
    with (
        LoopbackServer([streamed]) as server,
        gateway_to(tmp_path, {"up": OpenAI(base_url=f"{server.url}/v1")}) as http,
    ):
        numbers = []
        for _ in range(2):
            answer = http.post(ROUTE, content=CHAT, headers=headers)
            assert answer.headers["x-vesselog-session"] == "chat-1"
            numbers.append(answer.headers["x-vesselog-call"])
        assert not any(name.startswith("x-vesselog") for name in server.requests[0].headers)
    assert numbers == ["1", "2"]
    calls = list(Recording(tmp_path / "chat-1.jsonl").calls())
    assert [call.request["meta"] for call in calls] == [{"run": 7}] * 2


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("x-vesselog-session", "../chat"),
        ("x-vesselog-meta", "no json"),
        ("x-other", "\u00e9"),
    ],
)
def test_a_header_that_cannot_be_used_is_a_bad_request(
    tmp_path: Path, header: str, value: str
) -> None:
    vessels: dict[str, Vessel] = {"up": OpenAI(base_url="http://127.0.0.1:9/v1")}
    with gateway_to(tmp_path, vessels) as http:
        answer = http.post(ROUTE, content=CHAT, headers=[(header.encode(), value.encode("utf-8"))])
    assert answer.status_code == 400
    assert header in answer.json()["error"]["message"] or "session name" in answer.text
    assert list(tmp_path.iterdir()) == []


def test_a_session_that_another_process_writes_is_a_conflict(tmp_path: Path) -> None:
    with (
        LoopbackServer([endless]) as server,
        gateway_to(tmp_path, {"up": OpenAI(base_url=f"{server.url}/v1")}) as http,
    ):
        vessel = OpenAI(base_url=f"{server.url}/v1")
        with (
            Client(recordings=tmp_path, vessels={"v": vessel}) as other,
            other.stream("v/m", "x", session="chat-1"),
        ):
            answer = http.post(ROUTE, content=CHAT, headers={"x-vesselog-session": "chat-1"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "session_in_use")


def test_a_body_that_is_no_json_passes_and_is_recorded(tmp_path: Path) -> None:
    content = b"--x\r\ncontent-disposition: form-data; name=file\r\n\r\n\xff\r\n--x--"
    headers = {"content-type": "multipart/form-data; boundary=x"}
    with (
        LoopbackServer([lambda c: c.whole(b'{"text": "hi"}')]) as server,
        gateway_to(tmp_path, {"up": OpenAI(base_url=f"{server.url}/v1")}) as http,
    ):
        answer = http.post("/v1/audio/transcriptions", content=content, headers=headers)
        (request,) = server.requests
    assert answer.json() == {"text": "hi"}
    assert (request.body, request.headers["content-type"]) == (content, headers["content-type"])
    (path,) = tmp_path.iterdir()
    (call,) = Recording(path).calls()
    assert call.outcome == "complete"
    assert base64.b64decode(call.request["body"]["raw_b64"]) == content


def answer_to(http: httpx.Client, target: str, method: str = "GET") -> bytes:
    """The answer to a request with exactly this target."""
    asked = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with socket.create_connection((http.base_url.host, http.base_url.port)) as connection:
        connection.settimeout(PATIENCE)
        connection.sendall(asked.encode())
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_no_path_leads_to_another_address_than_the_upstreams(tmp_path: Path) -> None:
    """It is written behind the upstream's: `http://up` and `*@other/x` would be `other`."""
    with (
        LoopbackServer([lambda talk: talk.whole(b"{}")] * 9) as server,
        LoopbackServer([lambda talk: talk.whole(b"{}")] * 9) as other,
        gateway_to(tmp_path, {"up": OpenAI(base_url=f"{server.url}/v1", api_key=KEY)}) as http,
    ):
        address = other.url.removeprefix("http://")
        for target in (f"*@{address}/x", f"*:80@{address}/v1/models", "*"):
            assert answer_to(http, target).startswith(b"HTTP/1.1 400 ")
        for target in (f"http://{address}/x", f"//{address}/x", f"/up@{address}/x"):
            assert answer_to(http, target).startswith(b"HTTP/1.1 200 ")
        assert other.requests == []
        assert [request.path for request in server.requests] == [
            "/x",
            f"//{address}/x",
            f"/up@{address}/x",
        ]


async def test_nor_does_one_behind_a_mount_or_of_another_server(tmp_path: Path) -> None:
    """Whose paths may be whole URLs, or end the mount without a slash."""
    gateway = gateway_of(tmp_path, {"up": OpenAI(base_url="http://127.0.0.1:9/v1", api_key=KEY)})
    for raw in (b"http://other/x", b"/lab@other/x", b"/lab.other/x"):
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request"}

        async def send(message: Any, sent: list[Any] = sent) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": "/lab/x", "raw_path": raw}
        await gateway(
            {**scope, "root_path": "/lab", "query_string": b"", "headers": []}, receive, send
        )
        assert sent[0]["status"] == 400


def test_what_would_show_the_upstreams_key_is_not_passed_on(tmp_path: Path) -> None:
    """A server answers TRACE with the request that it got."""
    with (
        LoopbackServer([]) as server,
        gateway_to(tmp_path, {"up": OpenAI(base_url=f"{server.url}/v1", api_key=KEY)}) as http,
    ):
        assert answer_to(http, "/v1/models", "TRACE").startswith(b"HTTP/1.1 405 ")
        assert server.requests == []


@pytest.mark.parametrize("path", [ROUTE, "/v1/messages"], ids=["passing", "translating"])
@pytest.mark.parametrize("taken", range(3))
def test_a_client_that_leaves_at_any_message_is_no_error_of_the_server(
    tmp_path: Path, path: str, taken: int
) -> None:
    """Servers of ASGI 2.4 tell it by an OSError from `send`."""
    body = json.dumps({**json.loads(CHAT), "max_tokens": 5}).encode()
    sent: list[str] = []
    parts = [{"type": "http.request", "body": body}]

    async def receive() -> dict[str, Any]:
        if not parts:
            await asyncio.Event().wait()
        return parts.pop()

    async def send(message: MutableMapping[str, Any]) -> None:
        if len(sent) == taken:
            raise OSError
        sent.append(message["type"])

    async def ask(url: str) -> None:
        vessels = {"up": OpenAI(base_url=f"{url}/v1")}
        scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": []}
        async with AsyncClient(recordings=tmp_path, vessels=vessels, environment={}) as client:
            gateway = Gateway(client, vessels, environment={})
            await gateway(scope, receive, send)
            assert gateway.running() == []

    with LoopbackServer([streamed]) as server:
        asyncio.run(ask(server.url))
    assert len(sent) == taken


def test_a_deadline_of_the_gateway_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    vessels = {"up": OpenAI(base_url="http://127.0.0.1:1/v1")}
    client = AsyncClient(recordings=tmp_path, vessels=vessels, environment={})
    for given in (None, Timeouts(first_chunk=60)):
        timeouts = Gateway(client, vessels, environment={}, timeouts=given)._timeouts
        wanted = {"drain": 2.0} if given is None else {"drain": 2.0, "first_chunk": 60.0}
        assert timeouts.model_dump(exclude_unset=True) == wanted
