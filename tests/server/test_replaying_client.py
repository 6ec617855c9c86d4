"""The client of a gateway that has recorded answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from asgi_server import served_by_uvicorn
from loopback import LoopbackServer, ollama_lines
from sessions import request, step, write
from vesselog.core.completion import Outcome
from vesselog.core.replay.compare_requests import Match
from vesselog.core.settings import Retries
from vesselog.core.truth.session import Session
from vesselog.server import Gateway, gateway_vessels
from vesselog.server.replay_answers import ReplayAnswers
from vesselog.server.replaying_client import ReplayingClient
from vesselog.vessels import Ollama, Vessel

ASKED = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "x"}]}


def recorded(
    folder: Path, status: int = 200, outcome: Outcome = "complete", **headers: str
) -> bytes:
    """One answer; gives its bytes."""
    lines = ollama_lines("known") if status == 200 else [b'{"error":"busy"}\n']
    session = Session.open(folder, "s")
    writer = session.begin(request(ASKED))
    writer.response(status, {"content-type": "application/x-ndjson", **headers})
    write(writer, [step(seq, raw=line) for seq, line in enumerate(lines)])
    writer.end(outcome)
    session.close()
    return b"".join(lines)


@contextmanager
def gateway(
    folder: Path, url: str, *, asks: bool = False, match: Match = "strict"
) -> Iterator[httpx.Client]:
    """It has an upstream at this URL, and answers recorded in this folder."""
    vessels: dict[str, Vessel] = {"up": Ollama(base_url=url)}
    client = ReplayingClient(
        ReplayAnswers(folder, match=match),
        0,
        vessels=gateway_vessels(vessels, {}),
        retries=Retries(count=0),
        environment={},
        **({"recordings": folder} if asks else {"replay": folder}),
    )
    app = Gateway(client, vessels, environment={})
    with served_by_uvicorn(app, log_level="critical") as http:
        yield http


@pytest.mark.parametrize("status", [200, 503])
def test_a_recorded_answer_has_its_bytes_status_and_headers(tmp_path: Path, status: int) -> None:
    known = recorded(tmp_path, status, **{"retry-after": "7"})
    with gateway(tmp_path, "http://127.0.0.1:1") as http:
        answer = http.post("/api/chat", json=ASKED)
        assert (answer.status_code, answer.content) == (status, known)
        assert answer.headers["content-type"] == "application/x-ndjson"
        assert answer.headers["retry-after"] == "7"
        missing = http.post("/api/chat", json=ASKED)
        assert missing.status_code == 404
        assert "has been given" in missing.json()["error"]


@pytest.mark.parametrize("outcome", ["cancelled", "abandoned"])
def test_an_answer_that_its_client_left_is_no_whole_one_when_it_is_translated(
    tmp_path: Path, outcome: Outcome
) -> None:
    recorded(tmp_path, outcome=outcome)
    with (
        gateway(tmp_path, "http://127.0.0.1:1", match="route") as http,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        http.post("/v1/chat/completions", json=ASKED)


def test_only_what_is_not_recorded_is_asked_for(tmp_path: Path) -> None:
    known = recorded(tmp_path)
    with (
        LoopbackServer([lambda talk: talk.answer("new")]) as upstream,
        gateway(tmp_path, upstream.url, asks=True) as http,
    ):
        assert http.post("/api/chat", json=ASKED).content == known
        assert upstream.requests == []
        assert "new" in http.post("/api/chat", json=ASKED).text
        assert len(upstream.requests) == 1
