"""The sessions over HTTP: resuming at every event, other processes, stopping, and who may do it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
from starlette.requests import Request
from starlette.routing import Mount

import vesselog
from asgi_server import served_by_uvicorn
from chat_backend import app_of, hangs, streaming
from loopback import Conversation, LoopbackServer, ollama_lines
from patience import PATIENCE
from resuming import Answer, Visitor
from sessions import record, request, step, write
from vesselog.core.truth.session import Session
from vesselog.server import sessions_app
from vesselog.server import stop_elsewhere as stopping

TEXTS = ("Hel", "lo", ", wor", "ld", "!")


def everyone(_: Request, __: str) -> bool:
    return True


@contextmanager
def backend(
    folder: Path,
    script: Callable[[Conversation], None] | None = None,
    authorize: Any = everyone,
    **settings: Any,
) -> Iterator[httpx.Client]:
    """`POST /` asks, detached; `/sessions` is what is tested."""
    with LoopbackServer([script or (lambda talk: talk.answer(*TEXTS))]) as model:
        app = app_of(
            model,
            folder,
            streaming(on_disconnect="detach"),
            lambda client: [
                Mount("/sessions", sessions_app(client, authorize=authorize, **settings))
            ],
        )
        with served_by_uvicorn(app) as client:
            yield client


def events_of(body: str) -> list[tuple[str, str, Any]]:
    """Id, name and data of each event."""
    found: list[tuple[str, str, Any]] = []
    for block in body.split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.split("\n") if line != ":")
        data = fields["data"]
        value = data if data == "[DONE]" else json.loads(data)
        found.append((fields["id"], fields.get("event", ""), value))
    return found


def text_of(events: list[tuple[str, str, Any]]) -> str:
    return "".join(data.get("text", "") for _, _, data in events)


def said(events: list[tuple[str, str, Any]]) -> list[tuple[str, str]]:
    """Id and text of each event, in either of two protocols."""

    def text(data: Any) -> str:
        choices = data.get("choices", ()) if isinstance(data, dict) else ()
        given = [choice["delta"].get("content", "") for choice in choices]
        return "".join(given) or (data.get("text", "") if isinstance(data, dict) else "")

    return [(position, text(data)) for position, _, data in events]


@pytest.mark.parametrize("protocol", ["vesselog", "openai"])
def test_a_client_that_drops_after_any_event_ends_with_the_same_text(
    tmp_path: Path, protocol: Any
) -> None:
    record(tmp_path, "s", TEXTS)
    with backend(tmp_path, protocol=protocol) as client:
        whole = said(events_of(client.get("/sessions/s?after=-1").text))
        assert "".join(text for _, text in whole) == "".join(TEXTS)
        assert whole[-1][0] == "s:1:end"
        for count in range(1, len(whole)):
            last = whole[count - 1][0]
            rest = client.get("/sessions/s", headers={"last-event-id": last})
            assert said(events_of(rest.text)) == whole[count:]
        done = client.get("/sessions/s", headers={"last-event-id": "s:1:end"})
        assert (done.status_code, done.content) == (204, b"")


@pytest.mark.parametrize("damaged", [b"no recording\n", None], ids=["damaged", "a folder"])
@pytest.mark.parametrize("route", ["", "/messages", "/calls"])
def test_a_recording_that_cannot_be_read_is_not_said_to_be_missing(
    tmp_path: Path, route: str, damaged: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "s.jsonl"
    if damaged is None:
        path.mkdir()
    else:
        path.write_bytes(damaged)
    with backend(tmp_path) as client:
        told = client.get(f"/sessions/s{route}")
    assert (told.status_code, told.json()) == (500, {"error": {"code": "recording_failed"}})
    assert "recording_failed" in caplog.text


def test_a_running_answer_goes_on_where_the_browser_was(tmp_path: Path) -> None:
    """Nothing is missing and nothing comes twice, and the model is asked once."""
    left = threading.Event()

    def script(talk: Conversation) -> None:
        first, *rest = ollama_lines(*TEXTS)
        talk.head()
        talk.chunk(first)
        assert left.wait(PATIENCE)
        for line in rest:
            talk.chunk(line)
        talk.end()

    with backend(tmp_path, script) as client:
        with client.stream("POST", "/") as response:
            seen = events_of(next(response.iter_text()))
        with (
            client.stream("GET", "/sessions/s", headers={"last-event-id": seen[-1][0]}) as resumed,
            client.stream("GET", "/sessions/s") as other_tab,
        ):
            left.set()
            rest = events_of(resumed.read().decode())
            both = events_of(other_tab.read().decode())
        assert text_of(seen + rest) == "".join(TEXTS)
        assert both == seen + rest
        assert client.get("/sessions/s").status_code == 204, "the answer has ended"


async def test_clients_that_drop_after_every_kth_event_of_a_running_answer_have_all_of_it(
    tmp_path: Path,
) -> None:
    """The model says the next word when some client has one more."""
    words = [f"word{number} " for number in range(8)]
    received = threading.Semaphore(2)

    def script(talk: Conversation) -> None:
        talk.head()
        for line in ollama_lines(*words):
            assert received.acquire(timeout=PATIENCE)
            talk.chunk(line)
        talk.end()

    with backend(tmp_path, script) as client:
        with client.stream("POST", "/") as response:
            next(response.iter_bytes())
        async with aiohttp.ClientSession() as http:
            visitor = Visitor(http, str(client.base_url), "s", {})

            async def drop(protocol: str, every: int) -> None:
                answer = Answer()
                while not answer.ended:
                    await visitor.read(answer, every, f"call=1&after=-1&protocol={protocol}")
                    received.release()
                ids = [event.id for event in answer.events]
                assert ids == [*(f"s:1:{seq}" for seq in range(len(words) + 1)), "s:1:end"]
                parts = [str(event.data) for event in answer.events]
                assert [any(word in part for part in parts) for word in words] == [True] * 8

            counts = range(1, len(words) + 3)
            ways = [(name, count) for name in ("vesselog", "openai") for count in counts]
            await asyncio.gather(*(drop(*way) for way in ways))


@pytest.mark.parametrize("protocol", ["openai", "ai-sdk", "ag-ui", "ollama", "text"])
def test_every_protocol_resumes(tmp_path: Path, protocol: str) -> None:
    record(tmp_path, "s", TEXTS)
    with backend(tmp_path) as client:
        body = client.get(f"/sessions/s?after=1&protocol={protocol}").text
    assert "ld" in body
    # Protocols of parts need their beginning.
    assert ("Hel" in body) == (protocol in {"ai-sdk", "ag-ui"})


@pytest.mark.parametrize("protocol", ["openai", "ollama"])
def test_an_answer_that_is_sent_from_its_middle_names_the_same_model(
    tmp_path: Path, protocol: str
) -> None:
    session = Session.open(tmp_path, "s")
    for _ in range(2):
        call = session.begin(request())
        write(call, [step(0, "One ", model="m"), step(1, "two "), step(2, "three")])
        call.end("complete")
    session.close()
    ids: list[set[str]] = []
    with backend(tmp_path) as client:
        for call in (1, 2):
            for after in (-1, 1):
                query = f"call={call}&after={after}&protocol={protocol}"
                body = client.get(f"/sessions/s?{query}").text
                found = re.findall(r"^(?:data: )?({.*)$", body, re.MULTILINE)
                values = [json.loads(each) for each in found]
                assert {value["model"] for value in values} == {"m"}
                ids.append({value.get("id") for value in values})
    assert ids[0] == ids[1]
    assert ids[2] == ids[3]
    assert all(len(each) == 1 for each in ids)
    assert (ids[0] == ids[2]) == (protocol == "ollama"), "an id is of one answer"


def test_an_answer_of_another_process_is_followed_and_its_death_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "_PATIENCE", 0.1)
    program = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from sessions import request, step, write
from vesselog.core.truth.session import Session
session = Session.open(Path(sys.argv[1]), "s")
writer = session.begin(request())
writer.response(200, {})
write(writer, [step(0, "half")])
print("written", flush=True)
sys.stdin.read()
"""
    support = Path(__file__).parents[1] / "support"
    with (
        backend(tmp_path) as client,
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path), str(support)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        with client.stream("GET", "/sessions/s") as response:
            parts = response.iter_text()
            first = next(parts)
            assert client.post("/sessions/s/stop").status_code == 409
            process.kill()
            rest = "".join(parts)
        events = events_of(first + rest)
        assert text_of(events) == "half"
        assert (events[-1][1], events[-1][2]["code"]) == ("error", "interrupted")


def test_a_stop_ends_the_answer_for_everyone(tmp_path: Path) -> None:
    begun, gone = threading.Event(), threading.Event()
    with (
        backend(tmp_path, hangs(begun, gone)) as client,
        client.stream("POST", "/") as own,
        client.stream("GET", "/sessions/s") as other_tab,
    ):
        assert begun.wait(PATIENCE)
        assert client.post("/sessions/s/stop").status_code == 204
        assert gone.wait(PATIENCE), "the model still generates"
        for response in (own, other_tab):
            assert events_of(response.read().decode())[-1][2]["outcome"] == "cancelled"
        assert client.post("/sessions/s/stop").status_code == 409


def test_a_stop_reaches_an_answer_that_another_worker_writes(tmp_path: Path) -> None:
    begun, gone = threading.Event(), threading.Event()
    with (
        backend(tmp_path, hangs(begun, gone)) as writer,
        backend(tmp_path) as reader,
        writer.stream("POST", "/") as own,
    ):
        assert begun.wait(PATIENCE)
        assert reader.post("/sessions/s/stop").status_code == 204
        assert gone.wait(PATIENCE), "the model still generates"
        assert events_of(own.read().decode())[-1][2]["outcome"] == "cancelled"
        assert reader.post("/sessions/s/stop").status_code == 409
    assert list((tmp_path / ".stop").iterdir()) == []


def test_a_stop_that_nobody_waits_for_any_more_stops_nothing(tmp_path: Path) -> None:
    """It was left by a process that died; the answer began later."""
    left = tmp_path / ".stop" / "s"
    left.parent.mkdir()
    left.touch()
    os.utime(left, (1, 1))

    def script(talk: Conversation) -> None:
        first, *rest = ollama_lines(*TEXTS)
        talk.head()
        talk.chunk(first)
        while left.exists():
            pass
        for line in rest:
            talk.chunk(line)
        talk.end()

    with backend(tmp_path, script) as client:
        assert events_of(client.post("/").text)[-1][2]["outcome"] == "complete"


def test_the_conversation_and_the_list(tmp_path: Path) -> None:
    with backend(tmp_path) as client:
        client.post("/")
        assert client.get("/sessions/s/messages").json()[:2] == [
            {"role": "user", "content": "hi"},
            {**client.get("/sessions/s/messages").json()[1], "content": "".join(TEXTS)},
        ]
        (listed,) = client.get("/sessions/").json()
        (told,) = client.get("/sessions/s/calls").json()
    assert (told["question"], told["answer"]["text"]) == (
        [{"role": "user", "content": "hi"}],
        "".join(TEXTS),
    )
    assert listed["session"] == "s"
    assert listed["title"] is None
    assert listed["outcomes"] == ["complete"]
    assert "path" not in listed


def test_the_list_has_titles_and_nothing_else_of_meta(tmp_path: Path) -> None:
    meta = {"title": "Hello", "tenant": "t-7"}
    session = Session.open(tmp_path, "s", meta=meta)
    session.begin(request()).end("complete")
    session.close()
    with backend(tmp_path) as client:
        (listed,) = client.get("/sessions/").json()
    assert listed["title"] == "Hello"
    assert "t-7" not in json.dumps(listed)


def test_an_answer_is_sent_at_its_pace_in_every_protocol_and_may_be_taken_up(
    tmp_path: Path,
) -> None:
    record(tmp_path, "s", TEXTS)
    with backend(tmp_path) as client:
        whole = client.get("/sessions/s?after=-1&call=1&speed=1")
        assert whole.text == client.get("/sessions/s?after=-1").text
        rest = client.get("/sessions/s?speed=1.5", headers={"last-event-id": "s:1:2"})
        assert text_of(events_of(rest.text)) == "".join(TEXTS[3:])
        parts = client.get("/sessions/s?after=2&speed=1&protocol=ai-sdk").text
        assert parts == client.get("/sessions/s?after=-1&protocol=ai-sdk").text


@pytest.mark.parametrize("asynchronous", [False, True])
def test_every_route_goes_through_authorize(tmp_path: Path, *, asynchronous: bool) -> None:
    record(tmp_path, "mine", TEXTS)
    record(tmp_path, "theirs", TEXTS)
    asked: list[str] = []

    def verdict(request: Request, session: str) -> bool:
        asked.append(session)
        return request.headers.get("x-user") == session

    async def later(request: Request, session: str) -> bool:
        return verdict(request, session)

    with backend(tmp_path, authorize=later if asynchronous else verdict) as client:
        client.headers["x-user"] = "mine"
        for route in ("/sessions/{}?after=-1", "/sessions/{}/messages", "/sessions/{}/calls"):
            assert client.get(route.format("mine")).status_code == 200
            refused = client.get(route.format("theirs"))
            missing = client.get(route.format("nothing"))
            assert (refused.status_code, refused.text) == (missing.status_code, missing.text)
            assert refused.status_code == 404
        assert client.post("/sessions/theirs/stop").status_code == 404
        assert [each["session"] for each in client.get("/sessions/").json()] == ["mine"]
    assert {"mine", "theirs", "nothing"} <= set(asked)


@pytest.mark.parametrize(
    ("path", "last", "status"),
    [
        ("/sessions/s?after=x", None, 400),
        ("/sessions/s?call=0", None, 400),
        ("/sessions/s?after=-1&speed=-1", None, 400),
        ("/sessions/s?after=-1&speed=fast", None, 400),
        ("/sessions/s?speed=fast", None, 400),
        ("/sessions/s?call=9", None, 404),
        ("/sessions/s?protocol=grpc", None, 400),
        ("/sessions/s", "other:1:0", 400),
        ("/sessions/s", "s:1", 400),
        ("/sessions/s", "s:one:0", 400),
        ("/sessions/%2e%2e%2fs", None, 404),
        ("/sessions/a%20b", None, 404),
        ("/sessions/none", None, 404),
    ],
)
def test_what_cannot_be_is_refused(
    tmp_path: Path, path: str, last: str | None, status: int
) -> None:
    record(tmp_path, "s", TEXTS)
    headers = {} if last is None else {"last-event-id": last}
    with backend(tmp_path) as client:
        response = client.get(path, headers=headers)
    assert response.status_code == status
    assert str(tmp_path) not in response.text
    if status == 400:
        told = response.json()["error"]
        assert told["code"] == "invalid_request"
        assert len(told["message"]) > 10, "it does not say what is wrong"


def test_a_session_whose_attempt_failed_and_goes_on_has_not_ended(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "s")
    session.begin(request()).end("error", error=vesselog.ConnectionFailedError("x"), retry_in=30)
    second = session.begin({**request(), "retry_of": 1})
    with backend(tmp_path) as client, client.stream("GET", "/sessions/s") as response:
        second.end("complete")
        assert events_of(response.read().decode())[-1][0] == "s:2:end"
    session.close()
