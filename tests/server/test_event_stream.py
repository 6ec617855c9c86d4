"""EventStream under uvicorn, with a real HTTP client and a scripted model server."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import fastapi
import httpx
import openai
import pytest
from httpx_sse import EventSource
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response

import vesselog
from asgi_server import served_by_uvicorn
from chat_backend import app_of, hangs, streaming
from loopback import Conversation, LoopbackServer, ollama_lines, sse
from patience import PATIENCE
from sessions import record, request
from vesselog import AsyncClient, AsyncStream, Recording, StreamChunk
from vesselog.core.truth.session import Session
from vesselog.server import EventStream
from vesselog.server.protocols import OpenAIEvents
from vesselog.vessels import Ollama

SSE = ("vesselog", "openai", "ai-sdk", "ag-ui")
ALL = (*SSE, "ollama", "text")


@contextmanager
def backend(
    script: Callable[[Conversation], None],
    folder: Path | None,
    protocol: Any = "vesselog",
    model: str = "lab/m",
    **settings: Any,
) -> Iterator[httpx.Client]:
    with (
        LoopbackServer([script]) as server,
        served_by_uvicorn(app_of(server, folder, streaming(protocol, model, **settings))) as client,
    ):
        yield client


def whole(*texts: str) -> Callable[[Conversation], None]:
    return lambda talk: talk.stream(ollama_lines(*texts))


def texts_of(response: httpx.Response) -> list[str]:
    return [
        json.loads(event.data).get("text", "")
        for event in EventSource(response).iter_sse()
        if event.event == "chunk"
    ]


@pytest.mark.parametrize("protocol", ALL)
def test_an_answer_arrives_whole_with_headers_that_let_it_through(
    tmp_path: Path, protocol: str
) -> None:
    with backend(whole("Hel", "lo"), tmp_path, protocol) as client:
        response = client.post("/")
    assert response.status_code == 200
    kind = {"ollama": "application/x-ndjson", "text": "text/plain; charset=utf-8"}
    assert response.headers["content-type"] == kind.get(protocol, "text/event-stream")
    assert response.headers["cache-control"] == "no-cache, no-transform"
    assert response.headers["x-accel-buffering"] == "no"
    assert "content-length" not in response.headers
    versions = {"ai-sdk": "v1"}
    assert response.headers.get("x-vercel-ai-ui-message-stream") == versions.get(protocol)
    assert "Hel" in response.text
    assert ("id: s:1:0\n" in response.text) == (protocol in SSE)
    assert Recording(tmp_path / "s.jsonl").session == "s"


def test_what_is_sent_is_what_was_recorded(tmp_path: Path) -> None:
    with backend(whole("Hel", "lo \u2028", "🚢\n\n"), tmp_path) as client:
        body = client.post("/").content
    lines = [line.removeprefix(b"data: ") for line in body.split(b"\n") if line[:6] == b"data: "]
    sent = [StreamChunk.model_validate_json(line) for line in lines[:-1]]
    recorded = list(Recording(tmp_path / "s.jsonl").chunks())
    assert sent == [chunk.model_copy(update={"raw": ""}) for chunk in recorded]
    assert json.loads(lines[-1]) == {
        "outcome": "complete",
        "finish_reason": "stop",
        "usage": {"input_tokens": 3, "output_tokens": 3},
        "session": "s",
        "call": 1,
    }


def test_the_openai_sdk_reads_it_with_ids_and_heartbeats(tmp_path: Path) -> None:
    """A comment with a blank line behind it, after an id, is an empty event for that SDK."""
    heard = threading.Event()

    def script(talk: Conversation) -> None:
        events = [
            {"choices": [{"index": index, "delta": {"content": text}}]}
            for index, text in enumerate(["one", "two"])
        ]
        ends = [
            {"choices": [{"index": index, "delta": {}, "finish_reason": "stop"}]}
            for index in range(2)
        ]
        first, *rest = sse(*events, *ends)
        talk.head(content_type="text/event-stream")
        talk.chunk(first)
        assert heard.wait(PATIENCE)
        for frame in rest:
            talk.chunk(frame)
        talk.end()

    class Beating(OpenAIEvents):
        """The model goes on when two heartbeats were sent."""

        beats = 0

        @property
        def heartbeat(self) -> bytes:
            self.beats += 1
            if self.beats > 2:
                heard.set()
            return OpenAIEvents.heartbeat

    def respond(client: AsyncClient, _: Request) -> Response:
        return EventStream(
            client.stream("open/m", "hi", session="s", n=2), Beating(), heartbeat=0.01
        )

    with (
        LoopbackServer([script]) as model,
        served_by_uvicorn(app_of(model, tmp_path, respond)) as client,
        openai.OpenAI(api_key="none", max_retries=0, base_url=str(client.base_url)) as sdk,
    ):
        chunks = list(
            sdk.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "hi"}], stream=True
            )
        )
    said = [
        (choice.index, choice.delta.content, choice.finish_reason)
        for chunk in chunks
        for choice in chunk.choices
    ]
    assert said == [(0, "one", None), (1, "two", None), (0, None, "stop"), (1, None, "stop")]


def failing(status: int, **headers: str) -> Callable[[Conversation], None]:
    return lambda talk: talk.whole(b'{"error":"key sk-secret is bad"}', status, **headers)


@pytest.mark.parametrize("protocol", ALL)
def test_an_error_before_the_first_byte_has_a_status(tmp_path: Path, protocol: str) -> None:
    with backend(failing(429, retry_after="7"), tmp_path, protocol) as client:
        response = client.post("/")
    assert response.status_code == 429
    assert response.headers["content-type"] == "application/json"
    assert response.headers["retry-after"] == "7"
    assert response.headers["content-length"] == str(len(response.content))
    error = response.json()["error"]
    text = error if protocol == "ollama" else error["message"]
    assert text.startswith("Too many requests: try again later.")
    assert "secret" not in response.text


@pytest.mark.parametrize(
    ("script", "status", "code"),
    [
        (failing(401), 502, "provider_error"),
        (failing(400), 400, "refused"),
        (whole(), 200, None),
        (lambda talk: talk.stream([]), 502, "truncated"),
        (lambda talk: talk.stream([b'{"error":"boom"}\n']), 502, "provider_error"),
        (lambda talk: talk.stream([b"<html>\n"]), 502, "unreadable_answer"),
        (lambda talk: talk.reset(), 502, "connection_failed"),
    ],
)
def test_every_way_to_fail_before_the_first_byte(
    tmp_path: Path, script: Callable[[Conversation], None], status: int, code: str | None
) -> None:
    """Also where the provider's own status was good."""
    with backend(script, tmp_path) as client:
        response = client.post("/")
    assert response.status_code == status
    if code is not None:
        assert response.json()["error"]["code"] == code


def fails_midway(talk: Conversation) -> None:
    talk.stream([*ollama_lines("Hel")[:1], b'{"error":"sk-secret"}\n'])


def ends_midway(talk: Conversation) -> None:
    talk.stream(ollama_lines("Hel")[:1])


@pytest.mark.parametrize("protocol", [name for name in ALL if name != "text"])
@pytest.mark.parametrize(
    ("script", "code"), [(fails_midway, "provider_error"), (ends_midway, "truncated")]
)
def test_an_error_in_mid_stream_is_the_last_event(
    tmp_path: Path, protocol: str, script: Callable[[Conversation], None], code: str
) -> None:
    with backend(script, tmp_path, protocol) as client:
        body = client.post("/").text
    *_, last = [part for part in body.split("\n") if part.startswith(("data: {", "{"))]
    assert "Hel" in body
    assert code in last
    assert "secret" not in body
    assert Recording(tmp_path / "s.jsonl").header


def test_a_text_that_fails_in_mid_stream_is_cut(tmp_path: Path) -> None:
    """A body that ended would look whole."""
    received: list[str] = []
    with (
        backend(ends_midway, tmp_path, "text") as client,
        client.stream("POST", "/") as response,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        received.extend(response.iter_text())
    assert received == ["Hel"]


def test_an_error_after_a_heartbeat_is_an_event(tmp_path: Path) -> None:
    """The status was sent with the heartbeat."""
    heard = threading.Event()

    def script(talk: Conversation) -> None:
        assert heard.wait(PATIENCE)
        talk.whole(b"{}", 500)

    with (
        backend(script, tmp_path, heartbeat=0.01) as client,
        client.stream("POST", "/") as response,
    ):
        assert response.status_code == 200
        parts = response.iter_text()
        assert next(parts).startswith(":\n")
        heard.set()
        rest = "".join(parts)
    assert "event: error" in rest
    assert '"code":"provider_error"' in rest


def test_silence_without_a_heartbeat_in_the_protocol_still_sends_the_status(tmp_path: Path) -> None:
    answered = threading.Event()

    def script(talk: Conversation) -> None:
        assert answered.wait(PATIENCE)
        talk.stream(ollama_lines("late"))

    with (
        backend(script, tmp_path, "text", heartbeat=0.01) as client,
        client.stream("POST", "/") as response,
    ):
        answered.set()
        assert response.read() == b"late"


@pytest.mark.parametrize("protocol", ALL)
def test_a_client_that_leaves_cancels_the_model(tmp_path: Path, protocol: str) -> None:
    begun, left = threading.Event(), threading.Event()
    with backend(hangs(begun, left), tmp_path, protocol) as client:
        with client.stream("POST", "/") as response:
            next(response.iter_bytes())
        assert left.wait(PATIENCE), "the model still generates"
        followed = vesselog.follow(tmp_path / "s.jsonl")
        assert [chunk.text for chunk in followed] == ["One"]
        assert followed.outcome == "cancelled"


def test_a_client_that_leaves_before_the_answer_begins_cancels_too(tmp_path: Path) -> None:
    asked, left = threading.Event(), threading.Event()

    def script(talk: Conversation) -> None:
        asked.set()
        talk.wait_for_hangup()
        left.set()

    with backend(script, tmp_path) as client:
        with pytest.raises(httpx.ReadTimeout):
            client.post("/", timeout=httpx.Timeout(PATIENCE, read=0.2))
        assert asked.wait(PATIENCE)
        assert left.wait(PATIENCE)


def test_a_detached_answer_goes_on_to_its_end(tmp_path: Path) -> None:
    """Longer than what may wait for a reader, too."""
    gone = threading.Event()
    texts = [f"{number} " for number in range(2000)]

    def script(talk: Conversation) -> None:
        first, *rest = ollama_lines(*texts)
        talk.head()
        talk.chunk(first)
        assert gone.wait(PATIENCE)
        for line in rest:
            talk.chunk(line)
        talk.end()

    with backend(script, tmp_path, on_disconnect="detach") as client:
        with client.stream("POST", "/") as response:
            next(response.iter_bytes())
        followed = vesselog.follow(tmp_path / "s.jsonl")
        gone.set()
        assert "".join(chunk.text for chunk in followed) == "".join(texts)
        assert followed.outcome == "complete"


def test_closing_the_client_ends_a_detached_answer(tmp_path: Path) -> None:
    begun, left = threading.Event(), threading.Event()
    with backend(hangs(begun, left), tmp_path, on_disconnect="detach") as client:
        with client.stream("POST", "/") as response:
            next(response.iter_bytes())
        assert begun.wait(PATIENCE)
        assert not left.is_set()
    assert left.wait(PATIENCE)
    (call,) = Recording(tmp_path / "s.jsonl").calls()
    assert call.outcome == "cancelled"


def test_a_stop_ends_the_stream_with_its_outcome(tmp_path: Path) -> None:
    begun, left = threading.Event(), threading.Event()
    running: list[AsyncStream] = []

    def respond(client: AsyncClient, _: Request) -> Response:
        running.append(client.stream("lab/m", "hi", session="s"))
        return EventStream(running[0])

    with (
        LoopbackServer([hangs(begun, left)]) as model,
        served_by_uvicorn(app_of(model, tmp_path, respond)) as client,
        client.stream("POST", "/") as response,
    ):
        parts = response.iter_text()
        assert '"text":"One"' in next(parts)
        running[0].cancel()
        assert '"outcome":"cancelled"' in "".join(parts)
        assert left.wait(PATIENCE)


@pytest.mark.parametrize("on_disconnect", ["cancel", "detach"])
def test_a_server_that_stops_ends_each_stream_with_an_event(
    tmp_path: Path, on_disconnect: str
) -> None:
    begun, left = threading.Event(), threading.Event()
    app = streaming(on_disconnect=on_disconnect)
    with LoopbackServer([hangs(begun, left)]) as model:
        served = served_by_uvicorn(app_of(model, tmp_path, app), timeout_graceful_shutdown=1)
        url = served.__enter__().base_url
        with httpx.stream("POST", url, trust_env=False, timeout=PATIENCE) as response:
            parts = response.iter_text()
            assert '"text":"One"' in next(parts)
            stopping = threading.Thread(target=served.__exit__, args=(None, None, None))
            stopping.start()
            rest = "".join(parts)
        stopping.join(PATIENCE)
        assert left.wait(PATIENCE)
    assert "event: error" in rest
    assert '"code":"server_stopping"' in rest
    (call,) = Recording(tmp_path / "s.jsonl").calls()
    assert call.outcome == "cancelled"


def test_a_client_that_does_not_read_makes_the_model_wait(tmp_path: Path) -> None:
    """What is not read is neither fetched nor kept: only what sockets and 256 frames hold."""
    sent, blocked = [0], threading.Event()

    def script(talk: Conversation) -> None:
        talk.head()
        talk._socket.settimeout(1.0)
        line = ollama_lines("x" * 16_000)[0]
        try:
            while sent[0] < 200_000_000:
                talk._socket.sendall(b"%x\r\n%b\r\n" % (len(line), line))
                sent[0] += len(line)
        except TimeoutError:
            blocked.set()
        talk.closed = True

    with backend(script, None) as client, client.stream("POST", "/"):
        assert blocked.wait(PATIENCE), f"the model could send {sent[0]} bytes"
    assert sent[0] < 50_000_000


def test_what_arrives_in_one_read_leaves_in_one_message(tmp_path: Path) -> None:
    """And each read leaves at once."""
    read = threading.Event()

    def script(talk: Conversation) -> None:
        lines = ollama_lines("a", "b", "c")
        talk.head()
        talk.chunk(lines[0] + lines[1])
        assert read.wait(PATIENCE)
        talk.chunk(lines[2] + lines[3])
        talk.end()

    bodies: list[bytes] = []

    def respond(client: AsyncClient, _: Request) -> Response:
        stream = EventStream(client.stream("lab/m", "hi"), "text")

        class Seen(Response):
            async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
                async def seen(message: Any) -> None:
                    bodies.append(message.get("body", b"head"))
                    if len(bodies) == 2:
                        read.set()
                    await send(message)

                await stream(scope, receive, seen)

        return Seen()

    with (
        LoopbackServer([script]) as model,
        served_by_uvicorn(app_of(model, tmp_path, respond)) as client,
    ):
        assert client.post("/").text == "abc"
    assert bodies == [b"head", b"ab", b"c", b""]


def test_a_reconnecting_event_source_never_asks_the_model_again(tmp_path: Path) -> None:
    with (
        LoopbackServer([whole("x")]) as model,
        served_by_uvicorn(app_of(model, tmp_path, streaming())) as client,
    ):
        for position in ("s:1:0", "s:1:end"):
            response = client.get("/", headers={"last-event-id": position})
            assert response.status_code == 204
            assert response.content == b""
        assert client.head("/").headers["content-type"] == "text/event-stream"
        assert model.requests == []
        assert client.get("/").status_code == 200


def test_a_recorded_answer_is_resumed_after_an_event(tmp_path: Path) -> None:
    path = record(tmp_path, "s", ("Hel", "lo", "!"))

    def respond(_: AsyncClient, request: Request) -> Response:
        seq = request.headers["last-event-id"].split(":")[2]
        return EventStream(vesselog.follow(path, after=-1 if seq == "end" else int(seq)))

    with served_by_uvicorn(app_of(None, None, respond)) as client:
        body = client.get("/", headers={"last-event-id": "s:1:0"}).text
        assert client.get("/", headers={"last-event-id": "s:1:end"}).status_code == 204
    assert "id: s:1:0\n" not in body
    assert body.startswith("id: s:1:1\nevent: chunk\n")
    assert body.split("\n\n")[-2].startswith("id: s:1:end\nevent: end\n")


def test_an_answer_whose_writer_died_ends_as_interrupted(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "s")
    writer = session.begin(request())
    path = tmp_path / "copy.jsonl"
    path.write_bytes(session.path.read_bytes())
    writer.end("complete")
    session.close()

    def respond(_: AsyncClient, __: Request) -> Response:
        return EventStream(vesselog.follow(path))

    with served_by_uvicorn(app_of(None, None, respond)) as client:
        response = client.get("/")
    assert response.status_code == 200, response.text
    last = [*EventSource(response).iter_sse()][-1]
    assert (last.event, last.json()["code"]) == ("error", "interrupted")


@pytest.mark.parametrize("protocol", ALL)
def test_a_replay_is_sent_as_the_answer_was(tmp_path: Path, protocol: str) -> None:
    path = record(tmp_path, "s", ("Hel", "lo"))

    def respond(_: AsyncClient, __: Request) -> Response:
        return EventStream(vesselog.replay(path, "max"), protocol)

    with served_by_uvicorn(app_of(None, None, respond)) as client:
        body = client.get("/").text
    assert "lo" in body
    assert ("id: s:1:end" in body) == (protocol in SSE)


def test_any_async_iterable_of_chunks_will_do() -> None:
    async def shouted(stream: AsyncStream) -> AsyncIterator[StreamChunk]:
        async with stream:
            async for chunk in stream:
                yield chunk.model_copy(update={"text": chunk.text.upper()})

    def respond(client: AsyncClient, _: Request) -> Response:
        return EventStream(shouted(client.stream("lab/m", "hi")), "text")

    with (
        LoopbackServer([whole("hel", "lo")]) as model,
        served_by_uvicorn(app_of(model, None, respond)) as client,
    ):
        assert client.post("/").text == "HELLO"


def test_a_bug_in_the_application_is_logged_and_not_shown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken() -> AsyncIterator[StreamChunk]:
        yield StreamChunk(text="x")
        raise LookupError("sk-secret")

    def respond(_: AsyncClient, __: Request) -> Response:
        return EventStream(broken())

    with served_by_uvicorn(app_of(None, None, respond)) as client:
        body = client.get("/").text
    assert '"code":"internal_error"' in body
    assert "secret" not in body
    assert "LookupError: sk-secret" in caplog.text


async def _pass_on(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Any:
    return await call_next(request)


def test_middleware_lets_it_stream_and_sees_its_client_leave(tmp_path: Path) -> None:
    begun, left = threading.Event(), threading.Event()
    middleware = [
        Middleware(GZipMiddleware, minimum_size=1),
        Middleware(BaseHTTPMiddleware, dispatch=_pass_on),
    ]
    app = streaming(headers={"x-own": "1"})
    with (
        LoopbackServer([hangs(begun, left)]) as model,
        served_by_uvicorn(app_of(model, tmp_path, app, middleware=middleware)) as client,
    ):
        with client.stream("POST", "/") as response:
            assert response.headers["x-own"] == "1"
            assert "content-encoding" not in response.headers
            assert b"One" in next(response.iter_bytes())
        assert left.wait(PATIENCE)


def test_background_tasks_run_after_it(tmp_path: Path) -> None:
    done = threading.Event()
    with backend(whole("x"), tmp_path, background=BackgroundTask(done.set)) as client:
        client.post("/")
        assert done.wait(PATIENCE)


def test_fastapi_takes_it_as_a_response_and_in_annotations(tmp_path: Path) -> None:
    done = threading.Event()
    with LoopbackServer([whole("Hel", "lo")]) as model:

        @asynccontextmanager
        async def lifespan(_: fastapi.FastAPI) -> AsyncIterator[dict[str, Any]]:
            vessels = {"lab": Ollama(base_url=model.url)}
            async with AsyncClient(recordings=tmp_path, vessels=vessels) as client:
                yield {"client": client}

        app = fastapi.FastAPI(lifespan=lifespan)

        async def chat(request: fastapi.Request, tasks: fastapi.BackgroundTasks) -> EventStream:
            tasks.add_task(done.set)
            stream = EventStream(request.state.client.stream("lab/m", "hi"))
            stream.set_cookie("seen", "1")
            return stream

        chat.__annotations__ = {
            "request": fastapi.Request,
            "tasks": fastapi.BackgroundTasks,
            "return": EventStream,
        }
        app.post("/chat")(chat)
        with served_by_uvicorn(app) as client, client.stream("POST", "/chat") as answer:
            assert texts_of(answer) == ["Hel", "lo", ""]
            assert answer.cookies["seen"] == "1"
        assert done.wait(PATIENCE)


@pytest.mark.parametrize(
    "setting", [{"on_disconnect": "ignore"}, {"heartbeat": 0}, {"heartbeat": float("nan")}]
)
async def test_bad_settings_are_told_at_once(setting: Any) -> None:
    async def nothing() -> AsyncIterator[StreamChunk]:
        return
        yield StreamChunk()

    with pytest.raises(vesselog.ConfigurationError, match="|".join(setting)):
        EventStream(nothing(), **setting)


async def test_a_stream_of_the_sync_client_is_refused_at_once() -> None:
    with vesselog.Client(recordings=None) as client:
        stream: Any = client.stream("ollama/m", "hi")
        with pytest.raises(vesselog.ConfigurationError, match=r"of an AsyncClient.*not a Stream"):
            EventStream(stream)


def test_without_the_extra_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import vesselog.server

    monkeypatch.setitem(sys.modules, "vesselog.server.event_stream", None)
    with pytest.raises(vesselog.ConfigurationError, match=r"pip install 'vesselog\[server\]'"):
        vesselog.server.EventStream  # noqa: B018
    with pytest.raises(AttributeError, match="nothing"):
        vesselog.server.nothing  # noqa: B018


async def test_a_server_that_raises_when_its_client_has_left_is_understood(tmp_path: Path) -> None:
    """ASGI 2.4: `send` raises OSError."""
    with LoopbackServer([whole(*"abc")]) as model:
        vessels = {"lab": Ollama(base_url=model.url)}
        async with AsyncClient(recordings=tmp_path, vessels=vessels) as client:

            async def receive() -> Any:
                return await asyncio.Event().wait()

            async def send(_: Any) -> None:
                raise OSError

            stream = EventStream(client.stream("lab/m", "hi", session="s"))
            await stream({"type": "http", "method": "POST", "headers": []}, receive, send)
    (call,) = Recording(tmp_path / "s.jsonl").calls()
    assert call.end is not None
