"""The conversation in a recording: the request of a call, and its answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sessions import request, step, write
from vesselog import ChatRequest, Message, Recording, RecordingError, UnknownVesselError
from vesselog.core.completion import Outcome
from vesselog.core.errors import ProviderError
from vesselog.core.truth.session import Session
from vesselog.vessels import OpenAI, Vessel, chat_request

HELLO = {"role": "user", "content": "Hello"}
HI = {"role": "assistant", "content": "Hi!"}
OPENAI = "http://127.0.0.1:8000/v1/chat/completions"


@contextmanager
def session(folder: Path) -> Iterator[Session]:
    opened = Session.open(folder, "chat")
    yield opened
    opened.close()


def ask(
    opened: Session,
    *messages: dict[str, Any],
    answer: str | None = "Hi!",
    outcome: Outcome | None = "complete",
    native: dict[str, Any] | None = None,
    body: dict[str, Any] | None = None,
    chunk: dict[str, Any] | None = None,
    **line: Any,
) -> None:
    """Record a call. answer: its text, None for an error. outcome: None leaves it running."""
    writer = opened.begin(request(body or {"model": "m", "messages": list(messages)}, **line))
    if answer is None:
        writer.end("error", error=ProviderError("no", status=503))
        return
    writer.response(200, {})
    write(writer, [step(0, answer, **(chunk or {}))])
    if outcome is not None:
        writer.end(outcome, natives=None if native is None else {0: native})


def said(path: Path, call: int | None = None) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in Recording(path).messages(call)]


def test_the_last_request_and_its_answer_are_the_conversation(tmp_path: Path) -> None:
    with session(tmp_path) as opened:
        ask(opened, HELLO)
        ask(opened, HELLO, HI, {"role": "user", "content": "More."}, answer="Ahoy!")
    turns = [("user", "Hello"), ("assistant", "Hi!"), ("user", "More."), ("assistant", "Ahoy!")]
    assert said(opened.path) == turns
    assert said(opened.path, 2) == turns
    assert said(opened.path, 1) == turns[:2]


def test_what_a_later_request_leaves_out_is_not_there(tmp_path: Path) -> None:
    with session(tmp_path) as opened:
        ask(opened, HELLO)
        ask(opened, {"role": "user", "content": "Only this."}, answer="Yes.")
    assert said(opened.path) == [("user", "Only this."), ("assistant", "Yes.")]


def test_a_question_without_an_answer_stays(tmp_path: Path) -> None:
    with session(tmp_path) as opened:
        ask(opened, HELLO, answer=None)
        ask(opened, HELLO, answer=None, retry_of=1)
    assert said(opened.path) == [("user", "Hello")]


def test_the_answer_of_a_retry_counts(tmp_path: Path) -> None:
    with session(tmp_path) as opened:
        ask(opened, HELLO, answer=None)
        ask(opened, HELLO, retry_of=1)
    assert said(opened.path) == [("user", "Hello"), ("assistant", "Hi!")]


@pytest.mark.parametrize("outcome", ["truncated", "cancelled", "abandoned", "error", None])
def test_an_answer_that_was_cut_is_there_as_far_as_it_came(
    tmp_path: Path, outcome: Outcome | None
) -> None:
    native = {"role": "assistant", "content": "Hi", "thinking": "Greet."}
    with session(tmp_path) as opened:
        ask(opened, HELLO, answer="Hi", outcome=outcome, native=native)
        question, answer = Recording(opened.path).messages()
    assert (question.text, answer.text) == ("Hello", "Hi")
    assert answer.native == (None if outcome is None else {"ollama": native})


@pytest.mark.parametrize("text", ["", "I look it up."])
def test_calls_of_tools_in_an_answer_that_was_cut_are_left_out(tmp_path: Path, text: str) -> None:
    call = {"slot": "0", "id": "c1", "name": "weather", "arguments": '{"ci'}
    native = {
        "role": "assistant",
        "content": text,
        "tool_calls": [{"function": {"name": "weather"}}],
    }
    with session(tmp_path) as opened:
        chunk = {"tool_calls": [call]}
        ask(opened, HELLO, answer=text, outcome="truncated", native=native, chunk=chunk)
    messages = Recording(opened.path).messages()
    assert [message.role for message in messages] == ["user", "assistant"][: 1 + bool(text)]
    assert all(message.tool_calls is None and message.native is None for message in messages)


def test_calls_of_tools_in_a_whole_answer_wait_for_their_results(tmp_path: Path) -> None:
    call = {"slot": "0", "id": "c1", "name": "weather", "arguments": '{"city":"Oslo"}'}
    with session(tmp_path) as opened:
        ask(opened, HELLO, answer="", chunk={"tool_calls": [call]})
    messages = Recording(opened.path).messages()
    assert messages[-1].tool_calls is not None
    result = Message(role="tool", tool_call_id="c1", content="cold")
    chat = chat_request("m", [*messages, result])
    body = OpenAI().request(chat).body
    assert body is not None
    assert [each["role"] for each in body["messages"]] == ["user", "assistant", "tool"]


def test_a_prompt_is_a_message_of_the_user(tmp_path: Path) -> None:
    with session(tmp_path) as opened:
        ask(
            opened,
            body={"model": "m", "prompt": "Once"},
            answer=" upon a time",
            url="http://127.0.0.1:11434/api/generate",
        )
    assert said(opened.path) == [("user", "Once"), ("assistant", " upon a time")]


def test_each_message_has_the_form_of_the_vessel_that_was_asked(tmp_path: Path) -> None:
    """Also of a vessel that is not installed, whose server speaks the OpenAI dialect."""
    before = {"role": "assistant", "content": "Hi!", "reasoning_content": "Greet."}
    native = {"role": "assistant", "content": "Ahoy!", "reasoning_content": "Again."}
    for name in ("openai", "lab-of-mine"):
        with session(tmp_path / name) as opened:
            ask(
                opened, HELLO, before, HELLO, answer="Ahoy!", native=native, vessel=name, url=OPENAI
            )
        _, first, _, second = Recording(opened.path).messages()
        assert (first.native, second.native) == ({name: before}, {name: native})


def test_a_vessel_that_is_not_installed_can_be_given(tmp_path: Path) -> None:
    class Lab(OpenAI):
        name = "lab-of-mine"

        def read_request(self, route: str, body: Any) -> ChatRequest:
            return super().read_request(route.replace("/speak", "/chat/completions"), body)

    with session(tmp_path) as opened:
        ask(opened, HELLO, vessel="lab-of-mine", url="http://127.0.0.1/v1/speak")
    with pytest.raises(UnknownVesselError, match="lab-of-mine"):
        Recording(opened.path).messages()
    question, answer = Recording(opened.path).messages(vessel=Lab())
    assert (question.text, answer.text) == ("Hello", "Hi!")


def test_a_vessel_that_reads_no_requests_is_named(tmp_path: Path) -> None:
    class Deaf(OpenAI):
        name = "deaf"
        read_request = Vessel.read_request

    with session(tmp_path) as opened:
        ask(opened, HELLO)
    with pytest.raises(UnknownVesselError, match="'deaf' does not read requests"):
        Recording(opened.path).messages(vessel=Deaf())


def test_requests_without_a_body_are_passed_over(tmp_path: Path) -> None:
    with session(tmp_path) as opened:
        ask(opened, HELLO)
        listed = {**request(url="http://127.0.0.1:11434/api/tags", method="GET"), "body": None}
        opened.begin(listed).end("complete")
    assert said(opened.path) == [("user", "Hello"), ("assistant", "Hi!")]


def test_no_call_is_no_conversation_and_a_wrong_number_an_error(tmp_path: Path) -> None:
    with session(tmp_path) as opened:
        opened.begin({**request(method="GET"), "body": None}).end("complete")
    assert Recording(opened.path).messages() == []
    with pytest.raises(RecordingError, match="has no call 3"):
        Recording(opened.path).messages(3)
