"""What a page is told of a session's calls."""

from __future__ import annotations

from pathlib import Path

import vesselog
from sessions import request, step, write
from vesselog.core.truth.session import Session
from vesselog.server.session_calls import calls_in


def chat(*texts: str) -> dict[str, object]:
    """A request with these messages, of the user and the model in turn."""
    roles = ("user", "assistant")
    messages = [{"role": roles[place % 2], "content": text} for place, text in enumerate(texts)]
    return request({"model": "m", "messages": messages})


def told(path: Path) -> list[tuple[int, list[str], str, str]]:
    return [
        (
            each["call"],
            [message["content"] for message in each["question"]],
            each["answer"].get("text", ""),
            each["outcome"],
        )
        for each in calls_in(vesselog.Recording(path))
    ]


def test_each_question_comes_with_its_answer_and_how_that_ended(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "s")
    first = session.begin(chat("Hello"))
    write(first, [step(0, "Ahoy")])
    first.end("complete")
    second = session.begin(chat("Hello", "Ahoy", "And then?"))
    write(second, [step(0, "I s")])
    second.end("cancelled")
    running = session.begin(chat("Hello", "Ahoy", "And then?", "I s", "Well?"))
    write(running, [step(0, "Hm")])
    assert told(session.path) == [
        (1, ["Hello"], "Ahoy", "complete"),
        (2, ["And then?"], "I s", "cancelled"),
        (3, ["Well?"], "Hm", "interrupted"),
    ]
    assert "error" not in calls_in(vesselog.Recording(session.path))[-1], "it may still run"
    session.close()


def test_of_a_question_that_was_tried_again_the_last_attempt_is_told(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "s")
    failure = vesselog.ConnectionFailedError("to http://10.0.0.7")
    session.begin(chat("Hello")).end("error", error=failure, retry_in=0)
    session.begin({**chat("Hello"), "retry_of": 1}).end("error", error=failure)
    (only,) = calls_in(vesselog.Recording(session.path))
    assert (only["call"], only["outcome"]) == (2, "error")
    assert only["error"] == {
        "code": "connection_failed",
        "message": "The model could not be reached.",
    }
    session.close()


def test_a_crashed_answer_is_told_as_interrupted(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "s")
    session.begin(chat("Hello")).end("crashed")
    session.close()
    (only,) = calls_in(vesselog.Recording(session.path))
    assert only["error"]["code"] == "interrupted"


def test_what_is_no_chat_has_no_question(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "s")
    session.begin(request({"model": "m", "input": ["x"]}, url="http://h/api/embed")).end("complete")
    session.begin(chat("Hello") | {"vessel": "strange"}).end("complete")
    session.close()
    assert [each["question"] for each in calls_in(vesselog.Recording(session.path))] == [[], []]
