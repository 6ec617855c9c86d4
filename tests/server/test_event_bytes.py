"""EventBytes in a WSGI server, and by itself."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import httpx
import pytest

import vesselog
from loopback import Conversation, LoopbackServer, ollama_lines
from patience import PATIENCE
from sessions import record
from vesselog import Client, Recording, Retries, StreamChunk
from vesselog.server import EventBytes
from vesselog.vessels import Ollama

ALL = ("vesselog", "openai", "ai-sdk", "ag-ui", "ollama", "text")


@contextmanager
def asking(
    script: Callable[[Conversation], None], folder: Path | None
) -> Iterator[Callable[[], vesselog.Stream]]:
    with (
        LoopbackServer([script]) as model,
        Client(
            recordings=folder,
            environment={},
            retries=Retries(count=0),
            vessels={"lab": Ollama(base_url=model.url)},
        ) as client,
    ):
        yield lambda: client.stream("lab/m", "hi", session="s")


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.0"

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def served_by_wsgi(respond: Callable[[], EventBytes]) -> Iterator[str]:
    """A WSGI application as Flask and Django make one of such a body."""

    def app(_: Any, start_response: Any) -> Any:
        body = respond()
        start_response(f"{body.status} -", list(body.headers.items()))
        return body

    with make_server("127.0.0.1", 0, app, WSGIServer, Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(PATIENCE)


def whole(talk: Conversation) -> None:
    talk.stream(ollama_lines("Hel", "lo"))


def cut(talk: Conversation) -> None:
    talk.stream(ollama_lines("Hel", "lo")[:1])


@pytest.mark.parametrize("protocol", ALL)
def test_a_wsgi_server_sends_it(tmp_path: Path, protocol: Any) -> None:
    with (
        asking(whole, tmp_path) as ask,
        served_by_wsgi(lambda: EventBytes(ask(), protocol)) as url,
    ):
        response = httpx.get(url, trust_env=False)
    assert response.status_code == 200
    assert response.headers["x-accel-buffering"] == "no"
    assert "lo" in response.text
    assert Recording(tmp_path / "s.jsonl").session == "s"


def test_it_is_what_was_recorded(tmp_path: Path) -> None:
    with asking(whole, tmp_path) as ask:
        body = b"".join(EventBytes(ask()))
    *chunks, end = [line[6:] for line in body.split(b"\n") if line.startswith(b"data: ")]
    recorded = Recording(tmp_path / "s.jsonl").chunks()
    assert [StreamChunk.model_validate_json(each) for each in chunks] == [
        chunk.model_copy(update={"raw": ""}) for chunk in recorded
    ]
    assert json.loads(end)["outcome"] == "complete"


def test_each_read_is_one_piece_and_comes_at_once(tmp_path: Path) -> None:
    read = threading.Event()

    def script(talk: Conversation) -> None:
        lines = ollama_lines("a", "b", "c")
        talk.head()
        talk.chunk(lines[0] + lines[1])
        assert read.wait(PATIENCE)
        talk.chunk(lines[2] + lines[3])
        talk.end()

    with asking(script, tmp_path) as ask:
        body = EventBytes(ask(), "text")
        assert next(body) == b"ab"
        read.set()
        assert list(body) == [b"c"]


def test_an_error_before_the_first_byte_has_a_status(tmp_path: Path) -> None:
    with asking(lambda talk: talk.whole(b"{}", 429, retry_after="3"), tmp_path) as ask:
        body = EventBytes(ask())
        assert body.status == 429
        assert body.headers["content-type"] == "application/json"
        assert body.headers["retry-after"] == "3"
        assert json.loads(b"".join(body))["error"]["code"] == "rate_limited"


@pytest.mark.parametrize("protocol", [name for name in ALL if name != "text"])
def test_an_error_in_mid_stream_is_the_last_event(tmp_path: Path, protocol: Any) -> None:
    with asking(cut, tmp_path) as ask:
        body = b"".join(EventBytes(ask(), protocol))
    assert b"Hel" in body
    assert b"truncated" in body


def test_a_text_that_fails_raises_which_cuts_the_connection(tmp_path: Path) -> None:
    with asking(cut, tmp_path) as ask:
        body = EventBytes(ask(), "text")
        assert next(body) == b"Hel"
        with pytest.raises(vesselog.TruncatedError):
            next(body)


def test_a_stopped_text_raises_too(tmp_path: Path) -> None:
    with asking(hangs(threading.Event()), tmp_path) as ask:
        stream = ask()
        body = EventBytes(stream, "text")
        assert next(body) == b"Hel"
        stream.cancel()
        with pytest.raises(ConnectionAbortedError):
            next(body)


def test_a_text_that_was_stopped_before_its_first_byte_has_a_status(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with asking(hangs(threading.Event()), tmp_path) as ask, ask() as stream:
        stream.cancel()
        body = EventBytes(stream, "text")
        assert body.status == 503
        assert json.loads(b"".join(body))["error"]["code"] == "cancelled"
    assert caplog.text == ""


def hangs(left: threading.Event) -> Callable[[Conversation], None]:
    def script(talk: Conversation) -> None:
        talk.head()
        talk.chunk(ollama_lines("Hel")[0])
        talk.wait_for_hangup()
        left.set()

    return script


@pytest.mark.parametrize("read", [0, 1])
def test_closing_it_cancels_the_model(tmp_path: Path, read: int) -> None:
    left = threading.Event()
    with asking(hangs(left), tmp_path) as ask:
        body = EventBytes(ask())
        for _ in range(read):
            next(body)
        body.close()
        assert left.wait(PATIENCE)
        assert list(body) == []
    (call,) = Recording(tmp_path / "s.jsonl").calls()
    assert call.outcome == "cancelled"


def test_recordings_are_sent_too(tmp_path: Path) -> None:
    path = record(tmp_path, "s", ("Hel", "lo"))
    assert b"".join(EventBytes(vesselog.replay(path, "max"), "text")) == b"Hello"
    assert b"".join(EventBytes(vesselog.follow(path, after=0), "text")) == b"lo"
