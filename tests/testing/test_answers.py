"""Which recorded answer a request of a test gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loopback import Conversation, LoopbackServer
from vesselog import RecordingError, ReplayMissError, Retries, VesselogError
from vesselog.testing import recording
from vesselog.testing.answers import TestAnswers
from vesselog.testing.matching import Matching

FILE = Path("answers.jsonl")


def line(question: str, **more: Any) -> dict[str, Any]:
    body = {"model": "m", "messages": [{"role": "user", "content": question}], **more}
    return {"vessel": "ollama", "method": "POST", "url": "http://h/api/chat", "body": body}


@pytest.fixture
def recorded() -> None:
    """Two questions, the first of them twice, the second after a refusal."""

    def answer(conversation: Conversation) -> None:
        conversation.answer("Yes.")

    def refuse(conversation: Conversation) -> None:
        conversation.whole(b'{"error": "busy"}', status=503)

    with LoopbackServer([answer, answer, refuse, answer]) as server:
        settings: dict[str, Any] = {"environment": {"OLLAMA_HOST": server.url}}
        with recording(FILE, retries=Retries(backoff=0), **settings) as client:
            for question in ("one", "one", "two"):
                client.complete("ollama/m", question)


def answers(**settings: Any) -> TestAnswers:
    return TestAnswers(FILE, Matching(), **settings)


def test_the_same_request_gets_its_answers_in_recorded_order(recorded: None) -> None:
    found = answers()
    given = [found.answer(line(each)).number for each in ("two", "one", "one")]
    assert given == [4, 1, 2]  # of a request and its retries the last attempt
    assert found.unasked() == []
    with pytest.raises(ReplayMissError, match=r"was recorded 2 times .* once more"):
        found.answer(line("one"))
    assert len(found.misses) == 1


def test_in_order_only_the_next_request_is_answered(recorded: None) -> None:
    found = answers(order=True)
    with pytest.raises(ReplayMissError, match=r"the next one is call 1 of answers\.jsonl"):
        found.answer(line("two"))
    assert [found.answer(line(each)).number for each in ("one", "one", "two")] == [1, 2, 4]
    with pytest.raises(ReplayMissError, match=r"but all answers of answers\.jsonl were given"):
        found.answer(line("two"))


def test_on_the_wire_each_attempt_is_an_answer(recorded: None) -> None:
    found = answers()
    assert [found.attempt(line("two"), streams=False).number for _ in range(2)] == [3, 4]
    assert [told[:7] for told in found.unasked()] == ["call 1:", "call 2:"]
    with pytest.raises(ReplayMissError, match=r"stream\n    recorded: false\n    asked:    true"):
        found.attempt(line("one"), streams=True)


def test_a_retried_request_is_left_over_until_its_last_attempt_is_asked_for(recorded: None) -> None:
    found = answers()
    found.attempt(line("two"), streams=False)
    assert len(found.unasked()) == 3


def test_repeated_requests_get_the_last_answer(recorded: None) -> None:
    found = answers(repeat=True)
    assert [found.answer(line("one")).number for _ in range(4)] == [1, 2, 2, 2]


def test_reserved_answers_are_counted(recorded: None) -> None:
    found = answers()
    assert [found.reserve(line("one")) for _ in range(3)] == [True, True, False]
    assert not found.reserve(line("three"))
    assert found.answer(line("one")).number == 1


def test_a_call_without_a_response_cannot_be_served() -> None:
    settings: dict[str, Any] = {"environment": {"OLLAMA_HOST": "http://127.0.0.1:9"}}
    retries = Retries(count=0)
    with recording(FILE, retries=retries, **settings) as client, pytest.raises(VesselogError):
        client.complete("ollama/m", "one")
    found = answers()
    with pytest.raises(RecordingError, match=r"call 1 of answers\.jsonl got no response"):
        found.attempt(line("one"), streams=False)
    assert found.unasked() == []
    assert answers().answer(line("one")).outcome == "error"


def test_advice_ends_a_miss(recorded: None) -> None:
    with pytest.raises(ReplayMissError, match=r"\n\(record it\)\Z"):
        answers(advice="record it").answer(line("three"))
