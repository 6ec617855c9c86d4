"""examples/flask_chat.py under Flask's own server, with a scripted model server."""

from __future__ import annotations

import runpy
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import httpx
import pytest
from werkzeug.serving import make_server

import vesselog
from loopback import Conversation, LoopbackServer, ollama_lines
from pages import ROOT
from patience import PATIENCE

Backend = Callable[[Callable[[Conversation], None]], AbstractContextManager[httpx.Client]]


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Backend:
    """Run the example with a model that answers like this."""

    @contextmanager
    def serve(script: Callable[[Conversation], None]) -> Iterator[httpx.Client]:
        with LoopbackServer([script]) as model:
            monkeypatch.setenv("OLLAMA_HOST", model.url)
            example: dict[str, Any] = runpy.run_path(str(ROOT / "examples" / "flask_chat.py"))
            server = make_server("127.0.0.1", 0, example["app"], threaded=True)
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            url = f"http://127.0.0.1:{server.port}"
            try:
                with httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False) as client:
                    yield client
            finally:
                server.shutdown()
                thread.join(PATIENCE)
                server.server_close()
                example["client"].close()

    return serve


def test_flask_streams_each_piece_as_it_comes(backend: Backend) -> None:
    seen = threading.Event()

    def script(conversation: Conversation) -> None:
        first, *rest = ollama_lines("One ", "two")
        conversation.head()
        conversation.chunk(first)
        assert seen.wait(PATIENCE)
        for line in rest:
            conversation.chunk(line)
        conversation.end()

    with (
        backend(script) as client,
        client.stream("POST", "/chat", json={"message": "count"}) as response,
    ):
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["x-accel-buffering"] == "no"
        parts = response.iter_text()
        assert '"text":"One "' in next(parts)
        seen.set()
        rest = "".join(parts)
    assert '"text":"two"' in rest
    assert rest.endswith("\n\n")
    assert "event: end\n" in rest


def test_an_error_has_a_status(backend: Backend) -> None:
    headers = {"retry_after": "9", "x_should_retry": "false"}
    with backend(lambda talk: talk.whole(b"{}", 429, **headers)) as client:
        response = client.post("/chat", json={"message": "x"})
    assert (response.status_code, response.headers["retry-after"]) == (429, "9")
    assert response.json()["error"]["code"] == "rate_limited"


def test_generation_is_cancelled_once_the_server_notices_that_the_browser_left(
    backend: Backend,
) -> None:
    """It does so when it sends."""
    left = threading.Event()

    def script(conversation: Conversation) -> None:
        conversation.head()
        try:
            while True:
                conversation.chunk(ollama_lines("x" * 1000)[0])
        finally:
            left.set()

    with backend(script) as client:
        with client.stream("POST", "/chat", json={"message": "x"}) as response:
            next(response.iter_bytes())
        assert left.wait(PATIENCE)
        (path,) = (ROOT.cwd() / "recordings").glob("*.jsonl")
        followed = vesselog.follow(path)
        for _ in followed:
            pass
        assert followed.outcome == "cancelled"


def test_an_answer_is_stopped_and_read_again(backend: Backend) -> None:
    left = threading.Event()

    def script(conversation: Conversation) -> None:
        conversation.head()
        for line in ollama_lines("One ", "two ", "three")[:-1]:
            conversation.chunk(line)
        conversation.wait_for_hangup()
        left.set()

    with (
        backend(script) as client,
        client.stream("POST", "/chat", json={"message": "count"}) as response,
    ):
        parts = response.iter_text()
        begun = ""
        while '"text":"three"' not in begun:
            begun += next(parts)
        session = begun.partition("id: ")[2].partition(":")[0]
        assert client.post(f"/sessions/{session}/stop").status_code == 204
        assert left.wait(PATIENCE), "the model still generates"
        whole = begun + "".join(parts)
        assert '"outcome":"cancelled"' in whole
        assert client.post(f"/sessions/{session}/stop").status_code == 409
        assert client.get(f"/sessions/{session}").text == whole
        events = whole.split("\n\n")[:-1]
        for place, event in enumerate(events):
            last = event.partition("id: ")[2].partition("\n")[0]
            rest = client.get(f"/sessions/{session}", headers={"last-event-id": last})
            assert rest.text == "".join(f"{each}\n\n" for each in events[place + 1 :])
        assert rest.status_code == 204


@pytest.mark.parametrize("body", [{}, [], {"message": ""}, {"message": None}])
def test_a_missing_message_is_422(backend: Backend, body: object) -> None:
    with backend(lambda talk: talk.answer("x")) as client:
        assert client.post("/chat", json=body).status_code == 422


def test_what_cannot_be_resumed_is_refused(backend: Backend) -> None:
    with backend(lambda talk: talk.answer("x")) as client:
        assert client.get("/sessions/none").status_code == 404
        assert client.get("/sessions/a%20b").status_code == 400
        assert client.get("/sessions/x", headers={"last-event-id": "x:y"}).status_code == 400
