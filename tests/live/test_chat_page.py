"""The page of examples/fastapi_chat in a headless Chromium, with scripted models.

What it needs is in tests/support/chromium.py.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from chat_page import served_by_command
from chromium import DESKTOP, PHONE, Visitor, picture
from loopback import Conversation, LoopbackServer, ollama_lines
from patience import PATIENCE

pytestmark = pytest.mark.live

TOLD = "The old vessel left the harbour at dawn with salt and rope"
WORDS = [f"{word} " for word in TOLD.split(" ")]
STORY = "".join(WORDS)
CUT = 6  # after so many words a model waits for the test

Script = Callable[[Conversation], None]


@contextmanager
def visiting(
    browser: Any, folder: Path, script: Script, settings: dict[str, Any] = DESKTOP
) -> Iterator[tuple[Visitor, LoopbackServer]]:
    with LoopbackServer([script]) as model, serving(folder, model) as (_, url):
        visitor = Visitor(browser, url, settings)
        try:
            yield visitor, model
            assert visitor.errors == []
        finally:
            visitor.context.close()


def serving(folder: Path, model: LoopbackServer, port: int = 0) -> Any:
    variables = {"OLLAMA_HOST": model.url, "CHAT_MODEL": "ollama/m"}
    return served_by_command(folder, port=port, **variables)


def says(page: Any, text: str, place: int = 0) -> None:
    """Wait until an answer's text is this one."""
    page.wait_for_function(
        "([n, text]) => document.querySelectorAll('.answer .text')[n]?.textContent === text",
        arg=[place, text],
    )


def ends(page: Any, outcome: str, place: int = 0) -> None:
    """Wait until an answer has ended like that."""
    page.wait_for_selector(f"article >> nth={place} >> xpath=self::*[@data-outcome='{outcome}']")


def in_two_halves(go_on: threading.Event) -> Script:
    """Tell half of the story, then wait for the test."""

    def script(talk: Conversation) -> None:
        lines = ollama_lines(*WORDS)
        talk.head()
        for line in lines[:CUT]:
            talk.chunk(line)
        assert go_on.wait(PATIENCE)
        for line in lines[CUT:]:
            talk.chunk(line)
        talk.end()

    return script


def at_once(talk: Conversation) -> None:
    talk.stream(ollama_lines(*WORDS))


def ollama_line(**message: Any) -> bytes:
    said = {"model": "m", "message": {"role": "assistant", "content": "", **message}, "done": False}
    return json.dumps(said).encode() + b"\n"


HALF = "".join(WORDS[:CUT])


@pytest.mark.parametrize("settings", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_first_words_thinking_and_tool_calls_show_while_it_streams(
    browser: Any, tmp_path: Path, settings: dict[str, Any]
) -> None:
    go_on = threading.Event()
    hostile = "<img src=x onerror=alert(1)> & <b>bold</b>"

    def script(talk: Conversation) -> None:
        talk.head()
        talk.chunk(ollama_line(thinking="A vessel. "))
        talk.chunk(ollama_line(thinking=hostile))
        arguments = {"city": "Rostock", "unit": hostile}
        call = {"function": {"name": "get_weather", "arguments": arguments}}
        talk.chunk(ollama_line(tool_calls=[call]))
        talk.chunk(ollama_line(content=hostile))
        assert go_on.wait(PATIENCE)
        talk.chunk(ollama_lines(*WORDS)[0])
        for line in ollama_lines("\n", *WORDS * 12):
            talk.chunk(line)
        talk.end()

    name = "desktop" if settings is DESKTOP else "phone"
    with visiting(browser, tmp_path, script, settings) as (visitor, _):
        page = visitor.page
        picture(page, f"{name}-empty")
        visitor.ask("How is the weather, and what did the old vessel carry?")
        says(page, hostile)
        assert page.get_attribute("article", "aria-busy") == "true"
        assert page.text_content("[data-part=reasoning]") == f"A vessel. {hostile}"
        assert page.text_content(".tool code") == "get_weather"
        assert json.loads(page.text_content(".tool pre"))["city"] == "Rostock"
        page.click(".tool summary")
        picture(page, f"{name}-streaming")
        go_on.set()
        ends(page, "complete")
        assert page.get_attribute("article", "aria-busy") == "false"
        assert page.locator("#log img, #log b").count() == 0
        width = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(width) == 0, "it scrolls sideways"
        at_the_end = "scrollY + innerHeight >= document.documentElement.scrollHeight - 2"
        assert page.evaluate(at_the_end), "the end of the answer is out of view"
        picture(page, f"{name}-complete")
        if settings is PHONE:
            assert not page.is_visible("#conversations")
            page.tap("#menu")
        assert page.inner_text("#conversations").startswith("How is the weather")
        picture(page, f"{name}-list")


def test_a_reload_in_mid_answer_goes_on(browser: Any, tmp_path: Path) -> None:
    """Nothing is missing, nothing comes twice, and the model is asked once."""
    go_on = threading.Event()
    with visiting(browser, tmp_path, in_two_halves(go_on)) as (visitor, model):
        visitor.ask("Tell")
        says(visitor.page, HALF)
        for _ in range(3):
            visitor.page.reload()
            says(visitor.page, HALF)
        assert visitor.page.is_visible("#stop")
        go_on.set()
        ends(visitor.page, "complete")
        says(visitor.page, STORY)
        visitor.page.reload()
        ends(visitor.page, "complete")
        says(visitor.page, STORY)
        assert len(model.requests) == 1
        visitor.ask("And then?")
        ends(visitor.page, "complete", 1)
        assert [each["content"] for each in model.requests[1].json["messages"]] == [
            "Tell",
            STORY,
            "And then?",
        ]


def test_a_reload_in_the_middle_of_a_long_answer_shows_it_soon(
    browser: Any, tmp_path: Path
) -> None:
    """Nothing is laid out for each chunk: of so many, that would take minutes."""
    go_on = threading.Event()
    words = [f"word{number} " for number in range(12_000)]

    def script(talk: Conversation) -> None:
        *lines, last = ollama_lines(*words)
        talk.head()
        for begin in range(0, len(lines), 100):
            talk.chunk(b"".join(lines[begin : begin + 100]))
        assert go_on.wait(PATIENCE)
        talk.chunk(last)
        talk.end()

    with visiting(browser, tmp_path, script) as (visitor, model):
        visitor.ask("Tell me all")
        says(visitor.page, "".join(words))
        visitor.page.set_default_timeout(60_000)  # it takes about a second
        visitor.page.reload()
        says(visitor.page, "".join(words))
        go_on.set()
        ends(visitor.page, "complete")
        visitor.page.wait_for_selector("#conversations a:not(.running)")
        assert len(model.requests) == 1


def test_offline_and_online_again(browser: Any, tmp_path: Path) -> None:
    go_on = threading.Event()
    with visiting(browser, tmp_path, in_two_halves(go_on)) as (visitor, model):
        visitor.ask("Tell")
        says(visitor.page, HALF)
        visitor.context.set_offline(True)
        visitor.page.wait_for_selector("text=Reconnecting")
        picture(visitor.page, "desktop-offline")
        go_on.set()
        visitor.context.set_offline(False)
        ends(visitor.page, "complete")
        says(visitor.page, STORY)
        assert len(model.requests) == 1


def test_a_question_that_did_not_arrive_is_in_the_field_again(browser: Any, tmp_path: Path) -> None:
    with visiting(browser, tmp_path, at_once) as (visitor, model):
        visitor.ask("One")
        ends(visitor.page, "complete")
        visitor.context.set_offline(True)
        visitor.ask("Two")
        visitor.page.wait_for_selector("#notice:not(:empty)")
        visitor.context.set_offline(False)
        visitor.page.wait_for_function("() => document.querySelectorAll('.question').length === 1")
        assert visitor.page.input_value("#message") == "Two"
        visitor.page.click("#send")
        ends(visitor.page, "complete", 1)
        assert len(model.requests) == 2


def test_stop_ends_the_answer_and_the_model(browser: Any, tmp_path: Path) -> None:
    left = threading.Event()

    def script(talk: Conversation) -> None:
        talk.head()
        for line in ollama_lines(*WORDS)[:CUT]:
            talk.chunk(line)
        talk.wait_for_hangup()
        left.set()

    with visiting(browser, tmp_path, script) as (visitor, _):
        visitor.ask("Tell")
        says(visitor.page, HALF)
        visitor.page.click("#stop")
        ends(visitor.page, "cancelled")
        assert left.wait(PATIENCE), "the model still generates"
        assert visitor.page.is_visible("#send")
        assert visitor.page.inner_text("footer").startswith("Stopped")
        visitor.page.reload()
        ends(visitor.page, "cancelled")
        says(visitor.page, HALF)


@pytest.mark.parametrize("begun", [False, True])
def test_an_error_is_told_and_one_may_ask_again(
    browser: Any, tmp_path: Path, *, begun: bool
) -> None:
    def script(talk: Conversation) -> None:
        if len(talk.server.requests) > 1:
            at_once(talk)
        elif begun:
            talk.stream([*ollama_lines(*WORDS)[:CUT], b'{"error": "gpu 7 of host-3 burns"}\n'])
        else:
            talk.whole(b'{"error": "gpu 7 of host-3 burns"}', 500)

    with visiting(browser, tmp_path, script) as (visitor, _):
        visitor.ask("Tell")
        visitor.page.wait_for_selector("footer:has-text('The model failed')")
        says(visitor.page, HALF if begun else "")
        assert "host-3" not in visitor.page.content()
        picture(visitor.page, f"desktop-error-{begun}")
        visitor.page.reload()
        visitor.page.wait_for_selector("footer:has-text('The model failed')")
        visitor.page.click("text=Ask again")
        ends(visitor.page, "complete", 1)
        says(visitor.page, STORY, 1)


def test_two_tabs_on_one_answer(browser: Any, tmp_path: Path) -> None:
    go_on = threading.Event()
    with visiting(browser, tmp_path, in_two_halves(go_on)) as (visitor, model):
        visitor.ask("Tell")
        says(visitor.page, HALF)
        other = visitor.tab(visitor.page.url)
        says(other, HALF)
        go_on.set()
        for tab in (visitor.page, other):
            ends(tab, "complete")
            says(tab, STORY)
        visitor.ask("Again")
        ends(other, "complete", 1)
        says(other, STORY, 1)
        assert len(model.requests) == 2
        stranger = Visitor(browser, visitor.page.url, DESKTOP)
        assert stranger.page.locator(".answer").count() == 0
        assert stranger.page.locator("#conversations li").count() == 0
        stranger.context.close()


def test_an_answer_whose_server_was_killed_shows_as_interrupted(
    browser: Any, tmp_path: Path
) -> None:
    """The page finds the new server by itself; the conversation goes on there."""
    never = threading.Event()

    def script(talk: Conversation) -> None:
        (in_two_halves(never) if len(talk.server.requests) == 1 else at_once)(talk)

    with LoopbackServer([script]) as model:
        with serving(tmp_path, model) as (process, url):
            visitor = Visitor(browser, url, DESKTOP)
            visitor.ask("Tell")
            says(visitor.page, HALF)
            process.kill()
            visitor.page.wait_for_selector("text=Reconnecting")
        port = int(url.rpartition(":")[2])
        with serving(tmp_path, model, port):
            visitor.page.wait_for_selector("footer:has-text('Interrupted')")
            says(visitor.page, HALF)
            picture(visitor.page, "desktop-interrupted")
            visitor.page.reload()
            visitor.page.wait_for_selector("footer:has-text('Interrupted')")
            says(visitor.page, HALF)
            visitor.ask("Go on")
            ends(visitor.page, "complete", 1)
            visitor.page.reload()
            ends(visitor.page, "crashed")
            says(visitor.page, STORY, 1)
        never.set()
        assert visitor.errors == []
        visitor.context.close()


def test_an_old_answer_is_replayed_at_its_pace_and_stopped(browser: Any, tmp_path: Path) -> None:
    """The recorded times say when each word comes: here the second half an hour later."""
    with visiting(browser, tmp_path, at_once) as (visitor, model):
        visitor.ask("Tell")
        ends(visitor.page, "complete")
        visitor.page.click("text=Replay")
        ends(visitor.page, "complete")
        says(visitor.page, STORY)
        (path,) = (tmp_path / "recordings").glob("*.jsonl")
        lines = path.read_text("utf-8").splitlines(keepends=True)
        frames = [place for place, line in enumerate(lines) if line.startswith('{"type":"frame"')]
        for place in range(frames[CUT], len(lines)):
            lines[place] = re.sub(
                r'"t":(\d+)', lambda t: f'"t":{int(t[1]) + 3_600_000_000}', lines[place], count=1
            )
        path.write_text("".join(lines), "utf-8")
        visitor.page.click("text=Replay")
        says(visitor.page, HALF)
        assert visitor.page.get_attribute("article", "aria-busy") == "true"
        visitor.page.click("#stop")
        ends(visitor.page, "complete")
        says(visitor.page, STORY)
        assert len(model.requests) == 1
