"""All that is done with a recording, for files that say anything."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sessions import request
from vesselog import Recording, diff, follow, recover, rederive, replay, salvage, verify
from vesselog.core.replay.answer_index import AnswerIndex
from vesselog.core.truth.session_list import list_sessions, summarize
from vesselog.server import replay_app

__all__ = ["DEEP", "uses"]

DEEP: list[Any] = []
for _ in range(260):
    DEEP = [DEEP]


def read_all(path: Path) -> None:
    for call in Recording(path).calls():
        told = (call.outcome, call.error, call.metrics, call.response, call.retry_of)
        assert told, list(call.frames())
        assert call.completion().call == call.number


def sleep(seconds: float) -> None:
    """As time.sleep, which takes no more than this."""
    assert seconds <= 2**63 / 1e9


async def async_sleep(seconds: float) -> None:
    sleep(seconds)


async def play(path: Path) -> None:
    """As the replay server does."""
    asked: list[bool] = []
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        if asked:
            await asyncio.Event().wait()
        asked.append(True)
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    app = replay_app([path], match="route", sleep=async_sleep)
    scope = {"type": "http", "method": "POST", "path": "/api/chat", "query_string": b""}
    await app({**scope, "headers": [], "http_version": "1.1"}, receive, send)
    assert all(100 <= status <= 599 for status in statuses)


def salvaged(path: Path, out: Path) -> None:
    json.dumps(salvage(path, out).to_dict())
    report = verify(out)
    assert report.ok, report.findings


def uses(whole: Path) -> dict[str, Callable[[Path, Path], object]]:
    """All that is done with recordings, by name."""
    return {
        "verify": lambda path, _: json.dumps(verify(path).to_dict()),
        "read": lambda path, _: read_all(path),
        "frames": lambda path, _: [*Recording(path).frames(), *Recording(path).chunks()],
        "replay": lambda path, _: list(replay(path, "max")),
        "replay at its pace": lambda path, _: list(replay(path, 0.01, sleep=sleep)),
        "follow": lambda path, _: list(follow(path)),
        "play": lambda path, _: asyncio.run(play(path)),
        "diff": lambda path, _: [each.to_dict() for each in diff(path, whole)],
        "diff, the other way": lambda path, _: [each.to_dict() for each in diff(whole, path)],
        "summarize": lambda path, _: json.dumps(summarize(path).to_dict()),
        "list": lambda path, _: list(list_sessions(path.parent)),
        "match": lambda path, _: AnswerIndex(path).answer({**request(), "key": ""}),
        "salvage": salvaged,
        "rederive": rederive,
        "recover": lambda path, _: recover(path),
    }
