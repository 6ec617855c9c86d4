"""`vesselog chat` on a terminal: a conversation, typed into a pseudo-terminal."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from commands import json_lines, start
from loopback import Conversation, LoopbackServer, Script, openai_events, sse
from patience import PATIENCE
from terminal import CTRL_D, UP, Terminal, terminal
from vesselog import Recording, verify

PROMPT = ">>> "


def answering(*texts: str) -> list[Script]:
    def script(text: str) -> Script:
        return lambda talk: talk.answer(*text)

    return [script(text) for text in texts]


def unfinished(talk: Conversation) -> None:
    talk.begin()
    talk.chunk(talk.frames("Half an ")[0])
    talk.wait_for_hangup()


def refused(talk: Conversation) -> None:
    talk.whole(b'{"error":"too long"}', 400)


def cut(talk: Conversation) -> None:
    talk.begin()
    talk.chunk(talk.frames("Broken")[0])
    talk.end()


def chat(
    server: LoopbackServer, *arguments: str, model: str = "ollama/m", **settings: Any
) -> AbstractContextManager[Terminal]:
    return terminal("chat", model, "--base-url", server.url, *arguments, **settings)


def ask(screen: Terminal, question: str, answer: str) -> None:
    """Type a question; read until the answer and the next prompt are there."""
    screen.type(question + "\n")
    screen.expect(answer)
    screen.expect(PROMPT)


def said(server: LoopbackServer) -> list[list[tuple[str, Any]]]:
    """What each request's messages say."""
    return [
        [(each["role"], each["content"]) for each in request.json["messages"]]
        for request in server.requests
    ]


def only_recording() -> Recording:
    (path,) = Path("recordings").glob("*.jsonl")
    assert verify(path).ok
    return Recording(path)


def test_each_question_is_sent_with_what_was_said_before() -> None:
    with LoopbackServer(answering("One", "Two", "Three")) as server:
        with chat(server, "--system", "Be brief") as screen:
            screen.expect(PROMPT)
            ask(screen, "first", "One")
            ask(screen, "second", "Two")
            screen.type(CTRL_D)
            assert screen.ended() == 0
        assert said(server)[1] == [
            ("system", "Be brief"),
            ("user", "first"),
            ("assistant", "One"),
            ("user", "second"),
        ]
    recording = only_recording()
    assert [call.outcome for call in recording.calls()] == ["complete", "complete"]
    assert f"{recording.path.absolute()}\n" in screen.screen
    assert (
        f" chat ollama/m --session {recording.session} --base-url {server.url}\n" in screen.screen
    )


def test_a_session_is_continued_with_its_history() -> None:
    with LoopbackServer(answering("One", "Two", "Three", "Four")) as server:
        named = ("--session", "talk")
        with chat(server, *named) as screen:
            screen.expect(PROMPT)
            ask(screen, "first", "One")
            screen.type("/bye\n")
            assert screen.ended() == 0
        done = start("chat", "ollama/m", "second", *named, "--base-url", server.url)
        out, _ = done.communicate(timeout=PATIENCE)
        assert out == b"Two\n"
        with chat(server, "--session", "last", "--system", "Be brief") as screen:
            screen.expect("2 earlier questions")
            screen.expect(PROMPT)
            screen.type(UP)  # the earlier questions are in the history
            screen.expect("second")
            ask(screen, " again", "Three")
            screen.type("/exit\n")
            assert screen.ended() == 0
        history = [
            ("user", "first"),
            ("assistant", "One"),
            ("user", "second"),
            ("assistant", "Two"),
        ]
        assert said(server) == [
            history[:1],
            history[:3],
            [("system", "Be brief"), *history, ("user", "second again")],
        ]
    assert only_recording().session == "talk"
    assert len(list(only_recording().calls())) == 3


def test_ctrl_c_stops_the_answer_and_not_the_conversation() -> None:
    """What had come of the answer stays in the history."""
    with LoopbackServer([unfinished, *answering("Done")]) as server, chat(server) as screen:
        screen.expect(PROMPT)
        screen.type("first\n")
        screen.expect("Half an ")
        screen.press_ctrl_c()
        assert "cancelled · 1 chunk" in screen.expect(PROMPT)
        ask(screen, "second", "Done")
        screen.type(CTRL_D)
        assert screen.ended() == 0
        assert "Traceback" not in screen.screen
        assert said(server)[1] == [
            ("user", "first"),
            ("assistant", "Half an "),
            ("user", "second"),
        ]
    assert [call.outcome for call in only_recording().calls()] == ["cancelled", "complete"]


@pytest.mark.parametrize(
    ("failing", "told"), [(refused, "400: too long"), (cut, "ended before the answer did")]
)
def test_a_question_that_failed_can_be_asked_again(failing: Script, told: str) -> None:
    with (
        LoopbackServer([*answering("One"), failing, *answering("Two")]) as server,
        chat(server) as screen,
    ):
        screen.expect(PROMPT)
        ask(screen, "first", "One")
        ask(screen, "second", told)
        screen.type(UP)
        screen.expect("second")
        ask(screen, "", "Two")
        screen.type(CTRL_D)
        assert screen.ended() == 0
        first, _, again = said(server)
        assert again == [*first, ("assistant", "One"), ("user", "second")]


def test_a_server_that_is_away_can_come_back() -> None:
    with LoopbackServer(answering("One")) as server:
        server.stop_listening()
        with chat(server) as screen:
            screen.expect(PROMPT)
            ask(screen, "first", "start it with `ollama serve`")
            screen.type(CTRL_D)
            assert screen.ended() == 0


def test_a_server_that_does_not_answer_can_be_given_up() -> None:
    def silent(talk: Conversation) -> None:
        talk.wait_for_hangup()

    with LoopbackServer([silent, *answering("One")]) as server, chat(server) as screen:
        screen.expect(PROMPT)
        screen.type("first\n")
        server.wait_until(lambda: len(server.requests) == 1)
        screen.press_ctrl_c()
        assert "cancelled" in screen.expect(PROMPT)
        ask(screen, "second", "One")
        screen.type(CTRL_D)
        assert screen.ended() == 0
        assert said(server)[1] == [("user", "second")]
    assert [call.outcome for call in only_recording().calls()] == ["cancelled", "complete"]


def test_a_terminal_that_is_closed_ends_the_answer_as_cancelled() -> None:
    with LoopbackServer([unfinished]) as server, chat(server) as screen:
        screen.expect(PROMPT)
        screen.type("first\n")
        screen.expect("Half an ")
        screen.close()
        server.wait_until(lambda: server.open_connections == 0)
        screen.process.wait(PATIENCE)
    assert [call.outcome for call in only_recording().calls()] == ["cancelled"]


def test_bytes_that_are_no_text_are_refused() -> None:
    with LoopbackServer(answering("One")) as server, chat(server) as screen:
        screen.expect(PROMPT)
        screen.type_bytes(b"caf\xff x\n")
        screen.expect("the input is not UTF-8")
        screen.expect(PROMPT)
        ask(screen, "café", "One")
        screen.type(CTRL_D)
        assert screen.ended() == 0
        assert said(server) == [[("user", "café")]]


def test_at_an_empty_prompt_ctrl_c_twice_ends_it() -> None:
    with LoopbackServer(answering("One")) as server, chat(server) as screen:
        screen.expect(PROMPT)
        screen.type("given up")
        screen.expect("given up")
        screen.press_ctrl_c()
        assert "again" not in screen.expect(PROMPT)
        screen.press_ctrl_c()
        screen.expect("Ctrl-C again, ends the conversation")
        screen.expect(PROMPT)
        ask(screen, "something in between", "One")
        screen.press_ctrl_c()
        screen.expect(PROMPT)
        screen.press_ctrl_c()
        assert screen.ended() == 0
        assert said(server) == [[("user", "something in between")]]


def test_sigterm_ends_the_conversation_at_the_prompt_and_in_an_answer() -> None:
    with LoopbackServer([unfinished]) as server:
        with chat(server) as screen:
            screen.expect(PROMPT)
            assert not screen.echoes  # readline does it
            screen.terminate()
            assert screen.ended() == 143
            assert screen.echoes
        with chat(server) as screen:
            screen.expect(PROMPT)
            screen.type("first\n")
            screen.expect("Half an ")
            screen.terminate()
            assert screen.ended() == 143
        assert "cancelled · 1 chunk" in screen.screen
        assert "Traceback" not in screen.screen
    assert [call.outcome for call in only_recording().calls()] == ["cancelled"]


def test_several_lines_are_one_question_and_blank_ones_are_none() -> None:
    with LoopbackServer(answering("One")) as server, chat(server) as screen:
        screen.expect(PROMPT)
        screen.type("\n")
        screen.expect(PROMPT)
        screen.type("one \\\n")
        screen.expect("... ")
        ask(screen, "two", "One")
        screen.type("   \n")
        screen.expect(PROMPT)
        screen.type(CTRL_D)
        assert screen.ended() == 0
        assert said(server) == [[("user", "one \ntwo")]]


def test_commands_are_not_sent() -> None:
    with LoopbackServer(answering("One")) as server, chat(server) as screen:
        screen.expect(PROMPT)
        ask(screen, "/help", "Ctrl-C       stop the answer")
        ask(screen, "/hepl", "there is no command /hepl; /help lists them")
        ask(screen, "/etc/hosts has what in it?", "One")
        screen.type("/bye\n")
        assert screen.ended() == 0
        assert said(server) == [[("user", "/etc/hosts has what in it?")]]


def test_the_results_of_tools_are_typed() -> None:
    call = {"index": 0, "id": "c1", "function": {"name": "get_weather", "arguments": "{}"}}
    asking = sse({"choices": [{"delta": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]})
    scripts: list[Script] = [
        lambda talk: talk.stream(asking, "text/event-stream"),
        lambda talk: talk.stream(openai_events("Sunny"), "text/event-stream"),
        lambda talk: talk.stream(asking, "text/event-stream"),
        lambda talk: talk.stream(openai_events("Fine"), "text/event-stream"),
    ]
    with LoopbackServer(scripts) as server, chat(server, model="openai/m") as screen:
        screen.expect(PROMPT)
        screen.type("Weather?\n")
        screen.expect("get_weather({})")
        screen.expect("get_weather: ")
        ask(screen, "22 C", "Sunny")
        screen.type("And now?\n")
        screen.expect("get_weather: ")
        screen.type(CTRL_D)
        screen.expect(PROMPT)
        ask(screen, "Never mind", "Fine")
        screen.type(CTRL_D)
        assert screen.ended() == 0
        _, second, _, fourth = (request.json["messages"] for request in server.requests)
        assert second[1]["tool_calls"][0]["id"] == "c1"
        assert second[2] == {"role": "tool", "tool_call_id": "c1", "content": "22 C"}
        # The question that was given up is forgotten, with the call that it led to.
        assert [each["role"] for each in fourth] == [
            "user",
            "assistant",
            "tool",
            "assistant",
            "user",
        ]
        assert fourth[-1]["content"] == "Never mind"


def test_an_image_goes_with_the_first_question() -> None:
    png = b"\x89PNG\r\n\x1a\n" + bytes(8)
    Path("a.png").write_bytes(png)
    with (
        LoopbackServer([refused, *answering("A cat", "Two")]) as server,
        chat(server, "--image", "a.png") as screen,
    ):
        screen.expect(PROMPT)
        ask(screen, "What is it?", "too long")
        ask(screen, "What is it?", "A cat")
        ask(screen, "Sure?", "Two")
        screen.type(CTRL_D)
        assert screen.ended() == 0
        images = [
            [len(message.get("images", ())) for message in request.json["messages"]]
            for request in server.requests
        ]
        assert images == [[1], [1], [1, 0, 0]]


def test_a_wrong_request_is_refused_before_the_first_question() -> None:
    with LoopbackServer([]) as server:
        with chat(server, model="olama/m") as screen:
            assert screen.ended() == 2
        assert "did you mean ollama/m?" in screen.screen.replace("\n", "")
        with chat(server, "--set", "temperature=warm") as screen:
            assert screen.ended() == 2
        assert "temperature" in screen.screen
        assert PROMPT not in screen.screen
    assert not Path("recordings").exists()


def test_the_prompt_is_not_among_the_results() -> None:
    reader, writer = os.pipe()
    with (
        LoopbackServer(answering("One")) as server,
        chat(server, "--json", stdout=writer) as screen,
    ):
        os.close(writer)
        screen.expect(PROMPT)
        screen.type("first\n")
        screen.expect(PROMPT)
        screen.type(CTRL_D)
        assert screen.ended() == 0
    with os.fdopen(reader, encoding="utf-8") as results:
        *_, completion = json_lines(results.read())
    assert completion["text"] == "One"


def test_unrecorded_it_remembers_all_the_same() -> None:
    with LoopbackServer(answering("One", "Two")) as server, chat(server, "--no-record") as screen:
        screen.expect(PROMPT)
        ask(screen, "first", "One")
        ask(screen, "second", "Two")
        screen.type(CTRL_D)
        assert screen.ended() == 0
        assert "to go on" not in screen.screen
        assert len(said(server)[1]) == 3
    assert not Path("recordings").exists()
