"""What `vesselog serve` serves, in this process: recordings, upstreams, and both together."""

from __future__ import annotations

import argparse
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from asgi_server import served_by_uvicorn
from loopback import Conversation, LoopbackServer, ollama_lines
from patience import PATIENCE
from sessions import ManualClock, request, step, write
from vesselog.cli.entry import parser
from vesselog.cli.serve_application import make_application
from vesselog.cli.serve_settings import read_settings
from vesselog.core.truth.session import Session
from vesselog.server.operations import Operations

HELLO = [{"role": "user", "content": "x"}]
# Requests of each dialect for the same, as streams.
ASKED: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"model": "m", "stream": True, "messages": HELLO},
    "/v1/messages": {"model": "m", "max_tokens": 9, "stream": True, "messages": HELLO},
    "/api/chat": {"model": "m", "stream": True, "messages": HELLO},
}
OPENAI, ANTHROPIC, OLLAMA = ASKED


@contextmanager
def served(*arguments: str) -> Iterator[httpx.Client]:
    parsed: argparse.Namespace = parser().parse_args(["serve", *arguments])
    app, metrics, stop = make_application(read_settings(parsed))

    async def stoppable(scope: Any, receive: Any, send: Any) -> None:
        if scope.get("path") == "/stop":
            await stop()
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        else:
            await app(scope, receive, send)

    with served_by_uvicorn(Operations(stoppable, metrics.text), log_level="critical") as http:
        yield http


def asked(http: httpx.Client, path: str, **more: Any) -> httpx.Response:
    """What is asked at this path in its dialect."""
    known = ASKED["/" + path.removeprefix("/").split("up/")[-1]]
    return http.post(path, json={**known, **more})


def texts_in(answer: httpx.Response) -> str:
    """The text of an answer in any of the dialects."""
    assert answer.status_code == 200, answer.text
    return "".join(re.findall(r'"(?:content|text)": ?"([^"]*)"', answer.text))


def say(*texts: str) -> list[Callable[[Conversation], None]]:
    return [lambda talk, text=text: talk.answer(text) for text in texts]  # type: ignore[misc]


@contextmanager
def recorded(folder: Path, *paths: str, texts: str = "abcdef") -> Iterator[LoopbackServer]:
    """An upstream of all dialects, after each of these paths was asked for an answer of its own."""
    with LoopbackServer(say(*texts)) as upstream:
        with served(
            f"--upstream=open=openai@{upstream.url}/v1",
            f"--upstream=local=ollama@{upstream.url}",
            *("--recordings", str(folder)),
        ) as http:
            for path in paths:
                texts_in(asked(http, path))
        yield upstream


def figures(http: httpx.Client, name: str) -> dict[str, float]:
    """The samples of this name by their labels."""
    found = re.findall(rf"^{name}{{(.*)}} (\S+)$", http.get("/metrics").text, re.MULTILINE)
    return {labels: float(value) for labels, value in found}


COUNTED = (
    *("vesselog_requests_total", "vesselog_running", "vesselog_chunks_total"),
    *("vesselog_bytes_total", "vesselog_first_chunk_seconds_count"),
)


@pytest.mark.parametrize("named", [False, True])
def test_answers_from_recordings_are_counted_as_those_of_upstreams_are(
    tmp_path: Path,
    named: bool,  # noqa: FBT001 - a case
) -> None:
    """By the upstream if it is named, or else by the vessel in the recording."""
    with LoopbackServer(say("a")) as upstream:
        lab = [f"--upstream=lab=openai@{upstream.url}/v1"]
        with served(*lab, "--recordings", str(tmp_path)) as http:
            asked(http, OPENAI)
            while not figures(http, "vesselog_requests_total"):
                pass  # a gateway counts a call when it has closed it
            live = {name: figures(http, name) for name in COUNTED}
        with served("--replay", str(tmp_path), "--speed=0", *(lab if named else [])) as http:
            asked(http, OPENAI)
            replayed = {name: figures(http, name) for name in COUNTED}
            assert asked(http, OPENAI).status_code == 404
            missed = f'upstream="{"lab" if named else "unknown"}",dialect="openai",outcome="error"'
            assert figures(http, "vesselog_requests_total")[missed] == 1
    assert all(live.values())
    label = "lab" if named else "openai"
    assert replayed == {
        name: {labels.replace('"lab"', f'"{label}"'): value for labels, value in samples.items()}
        for name, samples in live.items()
    }


def test_in_order_a_client_of_another_dialect_gets_the_next_answer_translated(
    tmp_path: Path,
) -> None:
    with recorded(tmp_path, OPENAI, OLLAMA, OPENAI, OLLAMA) as upstream:
        with served(
            *("--replay", str(tmp_path), "--speed=0", "--match=order"),
            f"--upstream=open=openai@{upstream.url}/v1",
            f"--upstream=local=ollama@{upstream.url}",
        ) as http:
            assert http.get("/v1/models").json()["data"][0]["id"] == "m", "not one of the sequence"
            got = [
                asked(http, path, messages=[{"role": "user", "content": "other"}])
                for path in (OLLAMA, OPENAI, OPENAI, ANTHROPIC)
            ]
            assert [texts_in(each) for each in got] == ["a", "b", "c", "d"]
            assert got[0].headers["content-type"] == "application/x-ndjson"
            assert got[3].text.startswith("event: message_start")
            assert asked(http, OPENAI).status_code == 404
        assert len(upstream.requests) == 4


def test_in_order_no_client_gets_bytes_that_it_cannot_read(tmp_path: Path) -> None:
    """Without the upstream that would translate it, and where a whole body was asked for."""
    with (
        recorded(tmp_path, OLLAMA, OPENAI),
        served(*("--replay", str(tmp_path), "--speed=0", "--match=order")) as http,
    ):
        refused = asked(http, ANTHROPIC)
        assert refused.status_code == 404
        assert refused.json()["error"]["type"] == "not_found_error"
        message = refused.json()["error"]["message"]
        assert "call 1 of" in message
        assert "was to POST /api/chat for a stream" in message
        assert "with --upstream NAME=ollama it is translated" in message
        whole = asked(http, OLLAMA, stream=False)
        assert "cannot be given to POST /api/chat for a whole body" in whole.json()["error"]
        assert "--upstream" not in whole.text
        assert texts_in(asked(http, OLLAMA)) == "a", "a refusal takes no answer"
        assert texts_in(asked(http, OPENAI)) == "b"


def test_in_order_with_repeat_all_answers_begin_again(tmp_path: Path) -> None:
    with (
        recorded(tmp_path, OPENAI, OLLAMA) as upstream,
        served(
            *("--replay", str(tmp_path), "--speed=0", "--match=order", "--repeat"),
            f"--upstream=local=ollama@{upstream.url}",
            f"--upstream=open=openai@{upstream.url}/v1",
        ) as http,
    ):
        assert [texts_in(asked(http, OPENAI)) for _ in range(5)] == ["a", "b", "a", "b", "a"]


@pytest.mark.parametrize("path", [OPENAI, OLLAMA, "/up/v1/chat/completions"])
def test_what_was_missing_once_is_answered_from_the_recording(tmp_path: Path, path: str) -> None:
    """Translated or not, in this run and in the next one; the folder need not be there."""
    folder = tmp_path / "new"
    with LoopbackServer(say("a", "b")) as upstream:
        options = [f"--upstream=up=ollama@{upstream.url}", "--replay", str(folder)]
        for run in range(2):
            with served(*options, "--record-missing", "--speed=0") as http:
                assert [texts_in(asked(http, path)) for _ in range(3)] == ["a", "a", "a"]
                other = [{"role": "user", "content": f"other {run}"}]
        with served(*options, "--record-missing", "--speed=0") as http:
            assert texts_in(asked(http, path, messages=other)) == "b"
        assert len(upstream.requests) == 2
    assert len(list(folder.glob("*.jsonl"))) == 2


@pytest.mark.parametrize("path", [OPENAI, OLLAMA])
def test_the_same_missing_request_at_once_is_asked_for_once(tmp_path: Path, path: str) -> None:
    """Translated or not: the others wait, but not those that ask for something else."""
    other_answered = threading.Event()

    def slow(talk: Conversation) -> None:
        assert other_answered.wait(PATIENCE)
        talk.answer("a")

    with (
        LoopbackServer([slow, *say("b", "c")]) as upstream,
        served(
            *("--replay", str(tmp_path / "new"), "--record-missing", "--speed=0"),
            f"--upstream=up=ollama@{upstream.url}",
        ) as http,
        ThreadPoolExecutor() as threads,
    ):
        same = [threads.submit(asked, http, path)]
        upstream.wait_until(lambda: bool(upstream.requests))
        same += [threads.submit(asked, http, path) for _ in range(3)]
        other = [{"role": "user", "content": "other"}]
        assert texts_in(asked(http, path, messages=other)) == "b"
        other_answered.set()
        assert [texts_in(each.result()) for each in same] == ["a"] * 4
        assert len(upstream.requests) == 2


@pytest.mark.parametrize("match", ["strict", "messages"])
def test_the_same_missing_request_in_two_dialects_at_once_is_asked_for_once(
    tmp_path: Path, match: str
) -> None:
    """Each gets the answer in its own dialect, whichever came first."""
    for first, second in ((OPENAI, OLLAMA), (OLLAMA, OPENAI), (OPENAI, ANTHROPIC)):
        if match == "strict" and ANTHROPIC in (first, second):
            continue  # whose max_tokens makes another request of it
        waits = threading.Event()

        def slow(talk: Conversation, waits: threading.Event = waits) -> None:
            assert waits.wait(PATIENCE)
            talk.answer("a")

        folder = tmp_path / f"{first}-{second}".replace("/", "_")
        with (
            LoopbackServer([slow, *say("b")]) as upstream,
            served(
                *("--replay", str(folder), "--record-missing", "--speed=0", f"--match={match}"),
                f"--upstream=up=ollama@{upstream.url}",
            ) as http,
            ThreadPoolExecutor() as threads,
        ):
            begun = threads.submit(asked, http, first)
            upstream.wait_until(lambda upstream=upstream: bool(upstream.requests))
            other = threads.submit(asked, http, second)
            # Answered at once, and asked after `other`, which by then waits or has been passed on.
            different = [{"role": "user", "content": "different"}]
            assert texts_in(asked(http, second, messages=different)) == "b"
            waits.set()
            assert [texts_in(each.result()) for each in (begun, other)] == ["a", "a"]
            assert len(upstream.requests) == 2
            kind = "x-ndjson" if second == OLLAMA else "event-stream"
            assert kind in other.result().headers["content-type"]


def test_opposite_translations_of_the_same_missing_request_do_not_block_each_other(
    tmp_path: Path,
) -> None:
    """Each is translated to the other's dialect, and so concerns the same two recordings."""
    with (
        LoopbackServer(say("a", "a", "a", "a")) as upstream,
        served(
            *("--replay", str(tmp_path / "new"), "--record-missing", "--speed=0"),
            f"--upstream=open=openai@{upstream.url}/v1",
            f"--upstream=local=ollama@{upstream.url}",
        ) as http,
        ThreadPoolExecutor() as threads,
    ):
        paths = [f"/local{OPENAI}", f"/open{OLLAMA}"] * 4
        answers = [
            threads.submit(http.post, path, json=ASKED["/" + path.split("/", 2)[2]])
            for path in paths
        ]
        assert [texts_in(each.result(PATIENCE)) for each in answers] == ["a"] * 8
        assert len(upstream.requests) <= 2


def test_recorded_answers_are_translated_for_several_clients_at_once(tmp_path: Path) -> None:
    """None waits until the one before has all of it, though a missing answer would be awaited."""
    half_recorded(tmp_path)
    with (
        served(
            *("--replay", str(tmp_path), "--record-missing"),
            "--upstream=up=ollama@http://127.0.0.1:1",
        ) as http,
        http.stream("POST", OPENAI, json=ASKED[OPENAI]) as one,
        http.stream("POST", OPENAI, json=ASKED[OPENAI]) as other,
    ):
        for answer in (one, other):
            assert any(b"first" in part for part in answer.iter_raw())
        assert http.get("/stop").status_code == 204


def test_a_missing_answer_that_failed_is_asked_for_again(tmp_path: Path) -> None:
    def refuse(talk: Conversation) -> None:
        talk.whole(b'{"error":"busy"}', 503)

    with LoopbackServer([refuse, *say("a")]) as upstream:
        options = [f"--upstream=up=ollama@{upstream.url}", "--replay", str(tmp_path)]
        with served(*options, "--record-missing", "--speed=0") as http:
            assert asked(http, OLLAMA).status_code == 503
            assert [texts_in(asked(http, OLLAMA)) for _ in range(2)] == ["a", "a"]
        with served(*options, "--speed=0") as http:
            assert [asked(http, OLLAMA).status_code for _ in range(3)] == [503, 200, 404]


def test_by_order_what_comes_after_the_recorded_answers_is_asked_for(tmp_path: Path) -> None:
    with (
        recorded(tmp_path, OLLAMA, texts="abc") as upstream,
        served(
            *("--replay", str(tmp_path), "--match=order", "--record-missing", "--speed=0"),
            f"--upstream=up=ollama@{upstream.url}",
        ) as http,
    ):
        assert [texts_in(asked(http, OLLAMA)) for _ in range(3)] == ["a", "b", "c"]


def test_each_answer_is_given_once_also_where_an_upstream_is_named(tmp_path: Path) -> None:
    """And a stream is no answer to who asks for a whole body."""
    with (
        recorded(tmp_path, OLLAMA) as upstream,
        served(
            *("--replay", str(tmp_path), "--speed=0", f"--upstream=up=ollama@{upstream.url}")
        ) as http,
    ):
        whole = asked(http, OLLAMA, stream=False)
        assert whole.status_code == 404
        assert "body.stream (recorded: true, asked: false)" in whole.json()["error"]
        assert [asked(http, OLLAMA).status_code for _ in range(2)] == [200, 404]


def test_several_folders_are_replayed_translated(tmp_path: Path) -> None:
    with recorded(tmp_path / "one", OLLAMA):
        pass
    with (
        recorded(tmp_path / "two", OLLAMA, texts="z") as upstream,
        served(
            *("--replay", str(tmp_path / "one"), "--replay", str(tmp_path / "two"), "--speed=0"),
            *("--match=messages", f"--upstream=up=ollama@{upstream.url}"),
        ) as http,
    ):
        assert [texts_in(asked(http, ANTHROPIC)) for _ in range(2)] == ["a", "z"]


def half_recorded(folder: Path) -> None:
    """A stream of Ollama's whose second frame comes after a long time."""
    clock = ManualClock()
    session = Session.open(folder, "s", clock=clock)
    writer = session.begin(request(ASKED[OLLAMA]))
    writer.response(200, {"content-type": "application/x-ndjson"})
    lines = ollama_lines("first", "second")
    write(writer, [step(0, "first", raw=lines[0])])
    clock.pass_seconds(1_000)
    write(writer, [step(1, "second", raw=b"".join(lines[1:]))])
    writer.end("complete")
    session.close()


@pytest.mark.parametrize("path", [OPENAI, OLLAMA, ANTHROPIC])
def test_when_it_stops_a_replayed_stream_ends_with_an_error_of_its_dialect(
    tmp_path: Path, path: str
) -> None:
    """Translated or not; cleanly, and nothing is answered any more."""
    half_recorded(tmp_path)
    with (
        served(
            *("--replay", str(tmp_path), "--match=route", "--repeat"),
            "--upstream=up=ollama@http://127.0.0.1:1",
        ) as http,
        ThreadPoolExecutor() as threads,
    ):
        received = b""
        with http.stream("POST", path, json=ASKED[path]) as answer:
            for part in answer.iter_raw():
                received += part
                if b"first" in part:
                    threads.submit(http.get, "/stop")
        assert b"second" not in received
        assert b"server_stopping" in received or b"The server is stopping" in received
        assert asked(http, path).status_code == 503
        outcome = 'outcome="cancelled"'
        ended = figures(http, "vesselog_requests_total")
        assert [value for labels, value in ended.items() if outcome in labels] == [1]
