"""Which recorded answer a replay server gives, whatever dialect it is of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sessions import request, step, write
from vesselog import ReplayMissError
from vesselog.core.completion import Outcome
from vesselog.core.truth.session import Session
from vesselog.server.replay_answers import ReplayAnswers

CHAT = {"url": "http://h/api/chat", "body": {"model": "m", "stream": True}}
OPENAI = {"url": "http://h/openai/v1/chat/completions", "body": {"model": "m", "stream": True}}
MODELS = {"method": "GET", "url": "http://h/v1/models", "body": None}
GEMINI = {"url": "http://h/v1beta/models/g:streamGenerateContent?alt=sse", "body": {}}


def recorded(folder: Path, *asked: dict[str, Any], outcome: Outcome = "complete") -> Path:
    session = Session.open(folder, "s")
    for each in asked:
        writer = session.begin(request(**each))
        writer.response(200, {})
        write(writer, [step(0)])
        writer.end(outcome)
    session.close()
    return session.path


def given(answers: ReplayAnswers, *asked: dict[str, Any]) -> list[int | None]:
    """The numbers of the calls that answer these requests."""
    found = [answers.take(each) for each in asked]
    return [None if each is None else each.number for each in found]


def test_in_order_the_answers_of_models_are_one_sequence_and_lists_no_part_of_it(
    tmp_path: Path,
) -> None:
    answers = ReplayAnswers(recorded(tmp_path, MODELS, CHAT, OPENAI, CHAT), match="order")
    other = {**CHAT, "body": {"model": "other", "stream": True}}
    assert given(answers, other, CHAT, OPENAI, MODELS, MODELS, CHAT) == [2, None, 3, 1, None, 4]


def test_in_order_a_refused_request_takes_nothing_and_is_told_what_is_next(tmp_path: Path) -> None:
    answers = ReplayAnswers(recorded(tmp_path, CHAT), match="order")
    for asked, told in (
        (OPENAI, "with --upstream NAME=ollama it is translated"),
        ({**CHAT, "body": {"stream": False}}, "POST /api/chat for a whole body"),
        ({**CHAT, "url": "/api/generate"}, "cannot be given to POST /api/generate for a stream"),
    ):
        with pytest.raises(ReplayMissError, match=told) as caught:
            answers.answer(asked)
        assert (caught.value.session, caught.value.call) == ("s", 1)
    following = answers.next_in_order(OPENAI)
    assert following is not None
    assert answers.answer(CHAT).number == following.number == 1
    with pytest.raises(ReplayMissError, match="every answer has been given"):
        answers.answer(CHAT)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("/v1beta/models/other:streamGenerateContent?alt=sse", 1),
        ("/v1/projects/p/models/other:streamGenerateContent?alt=sse", 1),
        ("/v1beta/models/g:streamGenerateContent", None),  # which is one JSON array
        ("/v1beta/models/g:generateContent", None),
    ],
)
def test_geminis_stream_is_one_of_events(tmp_path: Path, asked: str, found: int | None) -> None:
    answers = ReplayAnswers(recorded(tmp_path, GEMINI), match="order")
    assert given(answers, {"url": asked, "body": {}}) == [found]


def test_only_in_order_is_something_next(tmp_path: Path) -> None:
    assert ReplayAnswers(recorded(tmp_path, CHAT)).next_in_order(CHAT) is None


@pytest.mark.parametrize(
    ("outcome", "expected"), [("complete", [1, 1]), ("error", [None, None]), ("cancelled", [None])]
)
def test_what_was_recorded_of_a_missing_answer_is_given_if_it_is_complete(
    tmp_path: Path, outcome: Outcome, expected: list[int | None]
) -> None:
    answers = ReplayAnswers(keeps=True)
    assert given(answers, CHAT) == [None]
    path = recorded(tmp_path, CHAT, outcome=outcome)
    answers.keep(path, 1)
    answers.keep(path, 1)
    assert given(answers, *[CHAT] * len(expected)) == expected
    assert len(answers.requests()) == (expected[0] or 0), "a second time it is known already"


def test_a_request_whose_last_answer_failed_is_missing(tmp_path: Path) -> None:
    path = recorded(tmp_path, CHAT, outcome="error")
    assert given(ReplayAnswers(path, keeps=True), CHAT, CHAT) == [1, None]


def test_in_order_what_was_recorded_of_a_missing_answer_counts_as_given(tmp_path: Path) -> None:
    path = recorded(tmp_path, CHAT)
    once = ReplayAnswers(match="order", keeps=True)
    once.keep(path, 1)
    assert given(once, CHAT) == [None]
    again = ReplayAnswers(match="order", keeps=True, repeat=True)
    again.keep(path, 1)
    assert given(again, CHAT, CHAT) == [1, 1]
