"""Recordings served over HTTP: bytes, pace and endings are those of the servers of then."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import ollama
import openai
import pytest

from loopback import Conversation, LoopbackServer, ollama_lines, sse
from patience import PATIENCE
from sessions import NOON, ManualClock, request, step, write
from vesselog import (
    Client,
    ConfigurationError,
    ConnectionFailedError,
    ProviderError,
    Recording,
    RecordingCorruptError,
    RecordingError,
    Retries,
    StreamChunk,
    VesselogError,
)
from vesselog.core.jsontext import dumps
from vesselog.core.replay import recorded_requests
from vesselog.core.truth.scan import ScannedLine, scan
from vesselog.core.truth.session import Session
from vesselog.server import replay_app, serve_in_thread
from vesselog.server.replay import ReplayServer
from vesselog.server.replay_answers import ReplayAnswers
from vesselog.vessels import Ollama, OpenAI

USAGE = {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4}
EVENTS = [
    {
        "id": "1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Guten "}}],
    },
    {
        "id": "1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": {"content": "Tag"}, "finish_reason": "stop"}],
    },
    {
        "id": "1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [],
        "usage": USAGE,
    },
]


def client_of(url: str, recordings: Path | None = None) -> Client:
    return Client(
        recordings=recordings,
        environment={},
        retries=Retries(count=0),
        vessels={"lab": Ollama(base_url=url), "open": OpenAI(base_url=url)},
    )


def recorded(
    folder: Path, *scripts: Any, model: str = "lab/m", prompts: tuple[str, ...] = ("hi",)
) -> Path:
    """A recording of these scripts' answers, made by the library over HTTP."""
    with LoopbackServer(list(scripts)) as server, client_of(server.url, folder) as client:
        for prompt in prompts:
            try:
                with client.stream(model, prompt, session="s") as stream:
                    for _ in stream:
                        pass
            except VesselogError:
                pass
    return folder / "s.jsonl"


def told(client: Client, *prompts: str, **fields: Any) -> str:
    """The text of a streamed answer."""
    with client.stream("lab/m", *prompts, **fields) as stream:
        for _ in stream:
            pass
    return stream.completion.text


@contextmanager
def served(path: Path, **settings: Any) -> Iterator[str]:
    with serve_in_thread(replay_app([path], **{"speed": 0, **settings})) as url:
        yield url


def body_of(path: Path, call: int = 1) -> dict[str, Any]:
    """The body that was sent then."""
    body: dict[str, Any] = list(Recording(path).calls())[call - 1].request["body"]
    return body


def raw_of(path: Path) -> list[bytes]:
    return [frame.raw for frame in Recording(path).frames()]


LINES = ollama_lines("Hel", "lo \u2028", "wörld\u0085")


def test_the_answer_has_the_recorded_bytes_status_and_type(tmp_path: Path) -> None:
    path = recorded(tmp_path, lambda talk: talk.stream(LINES))
    with served(path) as url, httpx.Client(trust_env=False) as http:
        answer = http.post(f"{url}/api/chat", json=body_of(path))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.content == b"".join(LINES)


def test_server_sent_events_keep_their_dress(tmp_path: Path) -> None:
    frames = [b": ping\r\n\r\n", *sse(*EVENTS, done=False), b"data:[DONE]\r\n\r\n"]
    path = recorded(tmp_path, lambda talk: talk.stream(frames, "text/event-stream"), model="open/m")
    with served(path) as url, httpx.Client(trust_env=False) as http:
        answer = http.post(f"{url}/v1/chat/completions", json=body_of(path))
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.content == b"".join(frames)


@pytest.mark.parametrize("speed", [0, 1, 50])
def test_the_library_gets_the_chunks_of_then(tmp_path: Path, speed: float) -> None:
    path = recorded(tmp_path, lambda talk: talk.stream(LINES))
    with served(path, speed=speed) as url, client_of(url, tmp_path / "again") as client:
        with client.stream("lab/m", "hi") as stream:
            chunks = list(stream)
        assert stream.outcome == "complete"
        assert stream.path is not None
    assert without_times(chunks) == without_times(Recording(path).chunks())
    ends = [next(iter(Recording(each).calls())).end for each in (path, stream.path)]
    assert ends[0] is not None
    assert ends[1] is not None
    assert ends[0]["sha256"] == ends[1]["sha256"]


def without_times(chunks: Any) -> list[StreamChunk]:
    return [chunk.model_copy(update={"t": 0.0}) for chunk in chunks]


def test_an_answer_in_one_piece_is_served(tmp_path: Path) -> None:
    """Its recorded content-length belongs to the connection of then."""
    whole = b'{"model":"m","message":{"role":"assistant","content":"Hi"},"done":true}'
    with (
        LoopbackServer([lambda talk: talk.whole(whole)]) as server,
        client_of(server.url, tmp_path) as client,
    ):
        client.complete("lab/m", "hi", session="s")
    with served(tmp_path / "s.jsonl") as url, client_of(url) as client:
        assert client.complete("lab/m", "hi").text == "Hi"


def test_a_recorded_stream_is_no_answer_to_who_wants_one_body(tmp_path: Path) -> None:
    """Other clients than this library's could not read it."""
    path = recorded(tmp_path, lambda talk: talk.stream(LINES))
    with served(path) as url, client_of(url) as client:
        with pytest.raises(ProviderError, match=r"body.stream \(recorded: true, asked: false\)"):
            client.complete("lab/m", "hi")
        assert told(client, "hi") == "Hello \u2028wörld\u0085"


def test_the_official_clients_are_content(tmp_path: Path) -> None:
    """By route: each of them adds fields of its own to the request."""
    lines = recorded(tmp_path / "a", lambda talk: talk.stream(ollama_lines("Guten ", "Tag")))
    events = recorded(
        tmp_path / "b",
        lambda talk: talk.stream(sse(*EVENTS), "text/event-stream"),
        model="open/m",
    )
    messages: Any = [{"role": "user", "content": "hi"}]
    with serve_in_thread(replay_app([lines, events], 0, match="route")) as url:
        with ollama.Client(host=url, trust_env=False) as native:
            parts = list(native.chat("m", messages, stream=True))
        assert "".join(part.message.content or "" for part in parts) == "Guten Tag"
        assert parts[-1].done
        with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as compatible:
            stream = compatible.chat.completions.create(
                model="m",
                messages=messages,
                stream=True,
                stream_options={"include_usage": True},
            )
            chunks = list(stream)
            assert [model.id for model in compatible.models.list()] == ["m"]
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        assert text == "Guten Tag"
        assert chunks[-1].usage is not None


@pytest.mark.parametrize("ending", ["cut", "short"])
def test_a_truncated_answer_is_cut(tmp_path: Path, ending: str) -> None:
    """Also where the server of then ended it cleanly: nobody should take it for the whole."""

    def script(talk: Conversation) -> None:
        talk.head()
        for line in LINES[:2]:
            talk.chunk(line)
        talk.cut() if ending == "cut" else talk.end()

    path = recorded(tmp_path, script)
    (call,) = Recording(path).calls()
    assert call.outcome == {"cut": "error", "short": "truncated"}[ending]
    with served(path) as url:
        received: list[bytes] = []
        with (
            httpx.Client(trust_env=False) as http,
            http.stream("POST", f"{url}/api/chat", json=body_of(path)) as answer,
            pytest.raises(httpx.RemoteProtocolError),
        ):
            received.extend(answer.iter_raw())
        assert b"".join(received) == b"".join(LINES[:2])
    with served(path) as url, client_of(url) as client:
        with (
            pytest.raises(ConnectionFailedError) as caught,
            client.stream("lab/m", "hi") as stream,
        ):
            list(stream)
        assert caught.value.completion is not None
        assert caught.value.completion.text == "Hello \u2028"


def test_an_answer_that_was_cancelled_is_cut(tmp_path: Path) -> None:
    def talks_on(talk: Conversation) -> None:
        talk.head()
        talk.chunk(LINES[0])
        talk.wait_for_hangup()

    with (
        LoopbackServer([talks_on]) as server,
        client_of(server.url, tmp_path) as client,
        client.stream("lab/m", "hi", session="s") as stream,
    ):
        next(stream)
    with (
        served(tmp_path / "s.jsonl") as url,
        client_of(url) as client,
        pytest.raises(ConnectionFailedError),
        client.stream("lab/m", "hi") as again,
    ):
        list(again)


def test_a_recording_without_an_end_is_cut(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "s")
    writer = session.begin(request({"model": "m"}))
    writer.response(200, {"content-type": "application/x-ndjson"})
    write(writer, [step(0)])
    with (
        served(tmp_path / "s.jsonl") as url,
        httpx.Client(trust_env=False) as http,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        http.post(f"{url}/api/chat", json={"model": "m"})
    session.close()
    writer.end("complete")


def test_an_error_status_comes_with_its_body_and_its_headers(tmp_path: Path) -> None:
    body = b'{"error":"slow down"}'
    path = recorded(tmp_path, lambda talk: talk.whole(body, 429, retry_after="7"))
    with (
        served(path) as url,
        client_of(url) as client,
        pytest.raises(ProviderError, match="slow down") as caught,
    ):
        told(client, "hi")
    assert caught.value.status == 429
    assert caught.value.retry_after == 7.0


def test_an_error_in_band_ends_cleanly(tmp_path: Path) -> None:
    path = recorded(tmp_path, lambda talk: talk.stream([LINES[0], b'{"error":"boom"}\n']))
    with served(path) as url, client_of(url) as client:
        with pytest.raises(ProviderError, match="boom"), client.stream("lab/m", "hi") as stream:
            list(stream)
        assert stream.completion.text == "Hel"


def answers(*texts: str) -> list[Any]:
    def script(text: str) -> Any:
        return lambda talk: talk.stream(ollama_lines(text))

    return [script(text) for text in texts]


def test_one_request_gets_its_answers_in_recorded_order_then_none(tmp_path: Path) -> None:
    path = recorded(tmp_path, *answers("a", "x", "b"), prompts=("hi", "other", "hi"))
    with served(path) as url, client_of(url) as client:
        assert [told(client, "hi") for _ in range(2)] == ["a", "b"]
        with pytest.raises(ProviderError, match="has been given") as caught:
            told(client, "hi")
        assert caught.value.status == 404
        assert told(client, "other") == "x"


def test_an_unknown_request_is_a_miss_that_says_what_is_there(tmp_path: Path) -> None:
    path = recorded(tmp_path, *answers("a"))
    with served(path) as url, client_of(url) as client:
        with pytest.raises(
            ProviderError, match=r"call 1 of s\.jsonl, which differs in body\.messages"
        ):
            told(client, "never asked")
        with pytest.raises(ProviderError, match=r"recorded: POST /api/chat"):
            told(client, prompt="hi")
        assert told(client, "hi") == "a"


def test_by_route_any_request_gets_the_next_answer_round_and_round(tmp_path: Path) -> None:
    path = recorded(tmp_path, *answers("a", "b", "c"), prompts=("1", "2", "3"))
    with served(path, match="route", repeat=True) as url, client_of(url) as client:
        said = [told(client, "?") for _ in range(5)]
        assert said == ["a", "b", "c", "a", "b"]
        with pytest.raises(ProviderError, match="was not recorded"):
            told(client, prompt="another route")


def test_with_repeat_the_last_answer_is_given_again(tmp_path: Path) -> None:
    path = recorded(tmp_path, *answers("a", "b"), prompts=("hi", "hi"))
    with served(path, repeat=True) as url, client_of(url) as client:
        assert [told(client, "hi") for _ in range(4)] == ["a", "b", "b", "b"]
        with pytest.raises(ProviderError, match="differs in body"):
            told(client, "never asked")


async def test_what_is_missing_is_asked_of_another_application(tmp_path: Path) -> None:
    path = recorded(tmp_path, *answers("a"))
    asked: list[Any] = []

    async def upstream(scope: Any, receive: Any, send: Any) -> None:
        asked.append((scope["type"], scope.get("path"), (await receive()).get("body")))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"new"})

    app = replay_app([path], 0, fallback=upstream)
    known, new = Seat(), Seat()
    await known.ask(app, dumps(body_of(path)))
    assert asked == []
    await new.ask(app, b'{"model":"new"}')
    assert asked == [("http", "/api/chat", b'{"model":"new"}')]
    assert [what for _, what in new.sent] == ["start", "body"]


@pytest.mark.parametrize("prefix", ["", "/v1", "/lab/v1"])
def test_only_the_dialects_part_of_a_path_counts(tmp_path: Path, prefix: str) -> None:
    path = recorded(
        tmp_path, lambda talk: talk.stream(sse(*EVENTS), "text/event-stream"), model="open/m"
    )
    with served(path) as url, httpx.Client(trust_env=False) as http:
        answer = http.post(f"{url}{prefix}/chat/completions", json=body_of(path))
    assert answer.content == b"".join(sse(*EVENTS))


@pytest.mark.parametrize(
    ("route", "shape"),
    [
        ("/v1/chat/completions", "code"),
        ("/v1/messages", "type"),
        ("/v1beta/models/m:generateContent", "status"),
    ],
)
def test_a_miss_is_told_in_the_dialect_with_what_differs(
    tmp_path: Path, route: str, shape: str
) -> None:
    path = recorded(tmp_path, *answers("a"))
    with served(path) as url, httpx.Client(trust_env=False) as http:
        other = http.post(f"{url}{route}", json={"model": "m"})
        near = http.post(f"{url}/api/chat", json={**body_of(path), "model": "x" * 100})
    assert other.status_code == near.status_code == 404
    assert shape in other.json()["error"]
    assert 'body.model (recorded: "m", asked: "xxx' in near.json()["error"]
    assert "x" * 61 not in near.text


async def test_looking_for_an_answer_stops_neither_playing_nor_other_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last recording cannot be read on until the others were played."""
    for hour, model in enumerate(("played", "found", "looked for")):
        session = Session.open(tmp_path, f"s{hour}", clock=ManualClock(NOON + hour * 3_600 * 10**6))
        writer = session.begin(request({"model": model}))
        writer.response(200, {})
        write(writer, [step(0), step(1)])
        writer.end("complete")
        session.close()
    looking, go_on, playing, play_on = (threading.Event() for _ in range(4))

    def slow(path: Path, **more: Any) -> Iterator[ScannedLine]:
        if path.name == "s2.jsonl" and begun:
            looking.set()
            assert go_on.wait(PATIENCE)
        return scan(path, **more)

    async def sleep(_: float) -> None:
        playing.set()
        await asyncio.to_thread(play_on.wait, PATIENCE)

    begun = False
    monkeypatch.setattr(recorded_requests, "scan", slow)
    app = replay_app([tmp_path], sleep=sleep)
    one, two, three = Seat(), Seat(), Seat()
    plays = asyncio.create_task(one.ask(app, b'{"model":"played"}'))
    assert await asyncio.to_thread(playing.wait, PATIENCE)
    begun = True
    looks = asyncio.create_task(two.ask(app, b'{"model":"looked for"}'))
    assert await asyncio.to_thread(looking.wait, PATIENCE)
    play_on.set()
    await plays
    assert [what for _, what in one.sent] == ["start", "body", "body", "body"]
    assert not looks.done()
    go_on.set()
    await asyncio.gather(looks, three.ask(app, b'{"model":"found"}'))
    assert len(two.sent) == len(three.sent) == 4


def test_an_attempt_that_never_got_an_answer_is_left_out(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "s")
    for attempt in range(2):
        writer = session.begin(request({"model": "m"}))
        if attempt == 1:
            writer.response(200, {})
            write(writer, [step(0, raw=b'{"done":true}\n')])
        writer.end("complete" if attempt == 1 else "error")
    session.close()
    with served(tmp_path / "s.jsonl") as url, httpx.Client(trust_env=False) as http:
        statuses = [http.post(f"{url}/api/chat", json={"model": "m"}).status_code for _ in "ab"]
    assert statuses == [200, 404]


def test_what_a_miss_would_be_compared_with_may_be_gone(tmp_path: Path) -> None:
    path = recorded(tmp_path, *answers("a"))
    with served(path) as url, httpx.Client(trust_env=False) as http:
        body = body_of(path)
        assert http.get(f"{url}/api/tags").json()["models"], "all is read"
        path.unlink()
        missing = http.post(f"{url}/api/chat", json={**body, "model": "other"})
        assert (missing.status_code, missing.json()["error"]) == (
            404,
            "POST /api/chat was not recorded [not_recorded]",
        )
        gone = http.post(f"{url}/api/chat", json=body)
        assert (gone.status_code, "recording_unreadable" in gone.text) == (500, True)


def test_ollamas_programs_see_that_there_is_a_server(tmp_path: Path) -> None:
    with served(recorded(tmp_path, *answers("a"))) as url, httpx.Client(trust_env=False) as http:
        assert http.head(url).status_code == 200
        assert http.get(url).text == "Ollama is running"


def test_models_and_version_are_told_from_what_is_recorded(tmp_path: Path) -> None:
    lines = recorded(tmp_path / "a", *answers("a"))
    events = recorded(
        tmp_path / "b",
        lambda talk: talk.stream(sse(*EVENTS), "text/event-stream"),
        model="open/n",
    )
    with serve_in_thread(replay_app([lines, events], 0)) as url, client_of(url) as client:
        assert [model.name for model in client.models("lab")] == ["m"]
        assert [model.name for model in client.models("open")] == ["n"]
        assert "vesselog" in client.server_version("lab")


def test_the_models_of_a_provider_are_told_at_v1(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "s")
    for url in ("https://openrouter.ai/api/v1/chat/completions", "http://h/v1/messages"):
        writer = session.begin(request({"model": url[8]}, url=url, model=url[-1]))
        writer.response(200, {})
        writer.end("complete")
    session.close()
    with served(session.path) as url, httpx.Client(trust_env=False) as http:
        listed = http.get(f"{url}/v1/models").json()["data"]
    assert [each["id"] for each in listed] == ["s"]


@pytest.mark.parametrize("body", [b"{", b"[1]", b'"x"'])
def test_a_body_that_is_no_object_is_refused(tmp_path: Path, body: bytes) -> None:
    path = recorded(tmp_path, *answers("a"))
    with served(path) as url, httpx.Client(trust_env=False) as http:
        answer = http.post(f"{url}/api/chat", content=body)
    assert answer.status_code == 400
    assert "JSON" in answer.json()["error"]


def timed(folder: Path) -> Path:
    """One call: the response after 1 s, frames after 2, 2 and 5 s, the end after 6."""
    clock = ManualClock()
    session = Session.open(folder, "s", clock=clock)
    writer = session.begin(request({"model": "m"}))
    clock.pass_seconds(1)
    writer.response(200, {"content-type": "application/x-ndjson"})
    clock.pass_seconds(1)
    write(writer, [step(0), step(1)])
    clock.pass_seconds(3)
    write(writer, [step(2)])
    clock.pass_seconds(1)
    writer.end("complete")
    session.close()
    return session.path


class Seat:
    """A client of an ASGI application, without a network; its time is the application's own."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.sent: list[tuple[float, str]] = []
        self.sleeps: list[float] = []
        self.left = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.clock.pass_seconds(seconds)
        await asyncio.sleep(0)

    async def ask(self, app: Any, body: bytes = b'{"model":"m"}') -> None:
        asked = asyncio.Event()
        begun = self.clock.time

        async def receive() -> dict[str, Any]:
            if not asked.is_set():
                asked.set()
                return {"type": "http.request", "body": body, "more_body": False}
            await self.left.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            self.sent.append(((self.clock.time - begun) / 1e6, message["type"][14:]))

        scope = {"type": "http", "method": "POST", "path": "/api/chat", "headers": []}
        await app({**scope, "query_string": b"", "root_path": ""}, receive, send)


@pytest.mark.parametrize(("speed", "scale"), [(1.0, 1.0), (2.0, 0.5), (0.5, 2.0), (0.0, 0.0)])
async def test_everything_comes_at_its_recorded_time(
    tmp_path: Path, speed: float, scale: float
) -> None:
    seat = Seat()
    await seat.ask(replay_app([timed(tmp_path)], speed, clock=seat.clock, sleep=seat.sleep))
    times = [(1, "start"), (2, "body"), (2, "body"), (5, "body"), (5, "body")]
    assert seat.sent == [(time * scale, what) for time, what in times]
    assert len(seat.sleeps) == 4, "without a sleep for each frame nothing else would ever run"


async def test_no_wait_is_longer_than_the_longest(tmp_path: Path) -> None:
    """And what follows a wait that was cut short comes after it as it did then."""
    seat = Seat()
    app = replay_app([timed(tmp_path)], 0.5, longest_wait=2.5, clock=seat.clock, sleep=seat.sleep)
    await seat.ask(app)
    times = [(2, "start"), (4, "body"), (4, "body"), (6.5, "body"), (6.5, "body")]
    assert seat.sent == times


async def test_a_client_that_leaves_ends_the_playback(tmp_path: Path) -> None:
    seat = Seat()

    async def sleep(seconds: float) -> None:
        await seat.sleep(seconds)
        if len(seat.sleeps) == 2:
            seat.left.set()
            await asyncio.Event().wait()

    await seat.ask(replay_app([timed(tmp_path)], clock=seat.clock, sleep=sleep))
    assert [what for _, what in seat.sent] == ["start"]


def test_a_client_that_leaves_a_playback_at_full_speed_does_not_hang_the_server(
    tmp_path: Path,
) -> None:
    session = Session.open(tmp_path, "s")
    writer = session.begin(request({"model": "m"}))
    writer.response(200, {})
    with writer.write_lock as t:
        writer.frames([step(seq, "x" * 2000) for seq in range(3000)], t)
    writer.end("complete")
    session.close()
    with served(session.path, match="route") as url, httpx.Client(trust_env=False) as http:
        for _ in range(3):
            with http.stream("POST", f"{url}/api/chat", json={"model": "m"}) as answer:
                next(answer.iter_raw())
        assert http.get(f"{url}/api/tags").json() == {"models": [{"name": "m", "model": "m"}]}


def missing_asked() -> dict[str, Any]:
    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/api/chat", "headers": headers}
    return {**scope, "query_string": b""}


async def test_a_client_that_leaves_while_the_same_request_is_answered_asks_nothing() -> None:
    asked, answered, left = 0, asyncio.Event(), asyncio.Event()
    waits = asyncio.Event()

    async def upstream(scope: Any, receive: Any, send: Any) -> None:
        nonlocal asked
        asked += 1
        await answered.wait()

    async def body() -> Any:
        return {"type": "http.request", "body": b"{}"}

    def leaving() -> Any:
        messages = [body]

        async def receive() -> Any:
            if messages:
                return await messages.pop()()
            waits.set()
            await left.wait()
            return {"type": "http.disconnect"}

        return receive

    async def send(message: Any) -> None:
        raise AssertionError(message)

    server = ReplayServer(ReplayAnswers(keeps=True), 0, fallback=upstream)
    first = asyncio.create_task(server(missing_asked(), body, send))
    second = asyncio.create_task(server(missing_asked(), leaving(), send))
    await waits.wait()
    left.set()
    await second
    assert not first.done()
    answered.set()
    await first
    assert asked == 1


@pytest.mark.parametrize(
    ("query", "form"), [("", list), ("?alt=json", list), ("?alt=sse", dict), ("?%24alt=sse", dict)]
)
def test_an_error_for_a_list_of_geminis_is_in_a_list(
    tmp_path: Path, query: str, form: type
) -> None:
    path = recorded(tmp_path, lambda conversation: conversation.answer("a"))
    with served(path) as url, httpx.Client(trust_env=False) as http:
        answer = http.post(f"{url}/v1beta/models/g:streamGenerateContent{query}", json={})
    assert answer.status_code == 404
    told = answer.json()
    assert type(told) is form
    error = (told[0] if form is list else told)["error"]
    assert (error["code"], error["status"]) == (404, "NOT_FOUND")


def test_what_cannot_be_served_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="there is no recording"):
        replay_app([tmp_path / "none.jsonl"])
    foreign = tmp_path / "foreign.jsonl"
    foreign.write_text("hello\n")
    with pytest.raises(RecordingCorruptError, match="not a recording"):
        replay_app([foreign])
    for speed in (-1, float("nan"), float("inf")):
        with pytest.raises(ConfigurationError, match="speed"):
            replay_app([], speed)
    with pytest.raises(ConfigurationError, match="wait"):
        replay_app([], longest_wait=-1)
    with pytest.raises(ConfigurationError, match="match"):
        replay_app([], match="guess")  # type: ignore[arg-type]


def test_without_the_extra_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    sentence = r"pip install 'vesselog\[server\]'"
    with pytest.raises(ConfigurationError, match=sentence), serve_in_thread(replay_app([])):
        pass
