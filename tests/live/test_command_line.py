"""`vesselog chat`, as a new user would type it, against real servers."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from commands import command, json_lines, start
from model_servers import GREETING, STORY, ModelServer
from terminal import terminal
from vesselog import Recording, verify

pytestmark = pytest.mark.live


def only_call() -> str:
    """The outcome of the only recorded call."""
    (path,) = Path("recordings").glob("*.jsonl")
    assert verify(path).ok
    (call,) = Recording(path).calls()
    return call.outcome


def test_ollama_is_found_by_its_variable(ollama: ModelServer) -> None:
    env = {"OLLAMA_HOST": ollama.url.removeprefix("http://")}
    done = command("chat", "ollama/story", "Tell me a story.", env=env)
    assert (done.returncode, done.stdout) == (0, f"{STORY.rstrip()}\n")
    assert done.stderr.startswith("complete, stop · ")
    assert only_call() == "complete"


@pytest.mark.parametrize("route", ["--generate", "--completion"])
def test_prompts(ollama: ModelServer, route: str) -> None:
    for model, url in (("ollama/story", ollama.url), ("openai/story", f"{ollama.url}/v1")):
        done = command("chat", model, route, "Once", "--base-url", url, "--no-record", "--json")
        assert done.returncode == 0
        assert json_lines(done.stdout)[-1]["text"]


def test_reasoning_goes_to_stderr(ollama: ModelServer) -> None:
    done = command("chat", "ollama/think", "--think", "Hello", "--base-url", ollama.url)
    assert done.returncode == 0
    assert done.stdout.startswith("Hello!")
    assert done.stderr.startswith("The user says hello")


def test_a_model_that_is_not_pulled(ollama: ModelServer) -> None:
    done = command("chat", "ollama/nowhere:7b", "Hello", "--base-url", ollama.url)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.count("\n") == 1
    assert "`ollama pull nowhere:7b`" in done.stderr
    assert "story:latest" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c(ollama: ModelServer) -> None:
    process = start("chat", "ollama/endless", "Go on", "--base-url", ollama.url)
    assert process.stdout is not None
    assert process.stdout.read(100)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert only_call() == "cancelled"


def test_a_server_that_dies_in_mid_answer(own_llama: ModelServer) -> None:
    process = start("chat", "openai/endless", "Go on", "--base-url", own_llama.url)
    assert process.stdout is not None
    assert process.stdout.read(100)
    own_llama.kill()
    _, err = process.communicate(timeout=20)
    assert process.returncode == 1
    told, _path, complaint = err.decode().splitlines()
    assert told.startswith("error · ")
    assert "broke in the middle of the answer" in complaint
    assert only_call() == "error"


@pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals of POSIX")
def test_a_conversation_with_one_model_and_then_another(ollama: ModelServer) -> None:
    """A stopped answer is part of what the next model is told."""
    named = ("--session", "talk", "--base-url", ollama.url)
    with terminal("chat", "ollama/endless", *named) as screen:
        screen.expect(">>> ")
        screen.type("Go on\n")
        screen.expect("An endless answer: one, two")
        screen.press_ctrl_c()
        assert "cancelled · " in screen.expect(">>> ")
        screen.type("/bye\n")
        assert screen.ended() == 0
    with terminal("chat", "openai/think", *named) as screen:
        screen.expect("1 earlier question")
        screen.expect(">>> ")
        screen.type("Hello\n")
        screen.expect(GREETING)
        screen.expect(">>> ")
        screen.type("/bye\n")
        assert screen.ended() == 0
    first, second = Recording("recordings/talk.jsonl").calls()
    assert (first.outcome, second.outcome) == ("cancelled", "complete")
    sent = second.request["body"]["messages"]
    assert [each["role"] for each in sent] == ["user", "assistant", "user"]
    assert sent[1]["content"] == first.completion().text
