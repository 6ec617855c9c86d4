"""The FastAPI example, tested as docs/testing.md shows: recorded once, replayed without a model.

Recorded by hand, with an Ollama that has the model `story`:

    OLLAMA_HOST=… scripts/test tests/examples/test_chat_backend.py --ground-truth=rewrite
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from house import ROOT
from vesselog import Recording, ReplayMissError, verify
from vesselog.testing import GroundTruth, replaying
from vesselog.testing.secret_check import secrets_of

HOST = os.environ.get("OLLAMA_HOST")
FOLDER = Path(__file__).parent / "recordings/test_chat_backend"
EXAMPLE = next(
    path
    for path in (ROOT / "examples/fastapi_chat/app.py", ROOT / "examples/fastapi_chat.py")
    if path.exists()
)


@pytest.fixture(autouse=True)
def _model_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server that answers are recorded from."""
    if HOST is not None:
        monkeypatch.setenv("OLLAMA_HOST", HOST)


@pytest.fixture
def backend(ground_truth: GroundTruth, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """The example, unchanged: its own client finds the fixture's address in the environment."""
    ground_truth.patch_environment()
    monkeypatch.setenv("CHAT_MODEL", "ollama/story")
    spec = importlib.util.spec_from_file_location("chat_backend", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "chat_backend", module)
    spec.loader.exec_module(module)
    with TestClient(module.app) as client:
        yield client


def ask(backend: TestClient, question: str) -> list[tuple[str, Any]]:
    """The events of an answer."""
    body = backend.post("/chat", json={"message": question}).text
    return [
        (found[1], json.loads(found[2]))
        for found in re.finditer(r"^event: (\w+)\n(?:id: .*\n)?data: (.*)$", body, re.MULTILINE)
    ]


def text_of(events: list[tuple[str, Any]]) -> str:
    return "".join(data.get("text", "") for event, data in events if event == "chunk")


def test_an_answer_arrives_in_pieces(backend: TestClient) -> None:
    events = ask(backend, "Tell me a story")
    assert len([event for event, _ in events if event == "chunk"]) > 10
    assert text_of(events).startswith("A vessel leaves the harbour at dawn.")
    assert events[-1][0] == "end"
    assert events[-1][1]["outcome"] == "complete"


def test_questions_are_independent(backend: TestClient) -> None:
    first, second = (ask(backend, question) for question in ("A story", "Another one"))
    assert text_of(first) == text_of(second)
    assert first[-1][1]["session"] != second[-1][1]["session"]


@pytest.mark.ground_truth(recording="test_an_answer_arrives_in_pieces", fault={"cut_at": 5})
def test_a_cut_answer_ends_with_an_error(backend: TestClient) -> None:
    events = ask(backend, "Tell me a story")
    assert 0 < len(text_of(events)) < 50
    assert events[-1][0] == "error"
    assert events[-1][1]["retryable"] is True


@pytest.mark.ground_truth(recording="test_an_answer_arrives_in_pieces", fault={"status": 404})
def test_an_unknown_model_is_an_error(backend: TestClient) -> None:
    answer = backend.post("/chat", json={"message": "Tell me a story"})
    assert "fault" not in answer.text  # what the provider said is not passed on
    assert answer.status_code >= 400 or "event: error" in answer.text


def test_nothing_is_asked_for_an_empty_question(backend: TestClient) -> None:
    assert backend.post("/chat", json={"message": ""}).status_code == 422


def test_a_changed_question_and_what_is_left_over_are_told() -> None:
    path = FOLDER / "test_an_answer_arrives_in_pieces.jsonl"
    with (
        pytest.raises(AssertionError) as raised,
        replaying(path) as client,
        pytest.raises(ReplayMissError),
    ):
        client.complete("ollama/story", "Tell me a joke")
    told = str(raised.value)
    assert 'recorded: "Tell me a story"\n    asked:    "Tell me a joke"' in told
    assert "and not asked for:\ncall 1: POST http" in told


def test_the_recordings_are_sound_and_hold_no_secret() -> None:
    paths = sorted(FOLDER.iterdir())
    assert len(paths) == 2
    for path in paths:
        assert verify(path).findings == []
        assert {call.vessel for call in Recording(path).calls()} == {"ollama"}
        content = path.read_text("utf-8")
        assert not any(secret in content for secret in secrets_of(os.environ))
