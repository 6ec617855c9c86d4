"""examples/react_chat, built, on the FastAPI example: the AI SDK's useChat resumes in Chromium."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from chat_page import served_by_command
from chromium import DESKTOP, PHONE, Visitor, picture
from loopback import Conversation, LoopbackServer, ollama_lines
from pages import ROOT
from patience import PATIENCE

pytestmark = pytest.mark.live

WORDS = [f"{word} " for word in ("The", "old", "vessel", "left", "the", "harbour")]
HALF, STORY = "".join(WORDS[:3]), "".join(WORDS)


@pytest.fixture(scope="module")
def built(npm_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built page."""
    if not (npm_folder / "node_modules" / "vite").exists():
        pytest.skip("VESSELOG_NPM_DIR has no vite: the React page is not tested")
    folder = tmp_path_factory.mktemp("react") / "react_chat"
    left_out = shutil.ignore_patterns("node_modules", "dist")
    shutil.copytree(ROOT / "examples" / "react_chat", folder, ignore=left_out)
    (folder / "node_modules").symlink_to(npm_folder / "node_modules")
    subprocess.run(["npm", "run", "build"], cwd=folder, check=True, capture_output=True)
    return folder / "dist"


@contextmanager
def visiting(
    browser: Any,
    built: Path,
    folder: Path,
    script: Callable[[Conversation], None],
    settings: dict[str, Any] = DESKTOP,
) -> Iterator[tuple[Visitor, LoopbackServer]]:
    with (
        LoopbackServer([script]) as model,
        served_by_command(
            folder, OLLAMA_HOST=model.url, CHAT_MODEL="ollama/m", CHAT_PAGE=str(built)
        ) as (_, url),
    ):
        visitor = Visitor(browser, url, settings)
        try:
            yield visitor, model
            assert visitor.errors == []
        finally:
            visitor.context.close()


def ask(page: Any, message: str) -> None:
    page.fill("input", message)
    page.click("text=Send")


def says(page: Any, *texts: str) -> None:
    """Wait until these are all messages."""
    page.wait_for_function(
        "(texts) => JSON.stringify([...document.querySelectorAll('article .text')]"
        ".map((part) => part.textContent)) === JSON.stringify(texts)",
        arg=list(texts),
    )


def in_two_halves(go_on: threading.Event) -> Callable[[Conversation], None]:
    def script(talk: Conversation) -> None:
        lines = ollama_lines(*WORDS)
        talk.head()
        for line in lines[:3]:
            talk.chunk(line)
        assert go_on.wait(PATIENCE)
        for line in lines[3:]:
            talk.chunk(line)
        talk.end()

    return script


@pytest.mark.parametrize("settings", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_an_answer_streams_and_goes_on_after_a_reload(
    browser: Any, built: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    go_on = threading.Event()
    script = in_two_halves(go_on)
    with visiting(browser, built, tmp_path, script, settings) as (visitor, model):
        page = visitor.page
        ask(page, "Tell")
        says(page, "Tell", HALF)
        for _ in range(2):
            page.reload()
            says(page, "Tell", HALF)
        picture(page, "react-phone" if settings is PHONE else "react-desktop")
        other = visitor.tab(page.url)
        says(other, "Tell", HALF)
        go_on.set()
        says(page, "Tell", STORY)
        says(other, "Tell", STORY)
        page.wait_for_selector("text=Send")
        page.reload()
        says(page, "Tell", STORY)
        ask(page, "And then?")
        says(page, "Tell", STORY, "And then?", STORY)
        assert len(model.requests) == 2
        assert len(model.requests[1].json["messages"]) == 3


def test_an_answer_that_ends_between_loading_and_resuming(
    browser: Any, built: Path, tmp_path: Path
) -> None:
    go_on = threading.Event()

    def late(route: Any) -> None:
        """What the backend said before the answer ended, told behind its end."""
        loaded = route.fetch()
        go_on.set()
        while route.fetch().json()[-1]["outcome"] == "interrupted":
            pass
        route.fulfill(response=loaded)

    with visiting(browser, built, tmp_path, in_two_halves(go_on)) as (visitor, model):
        page = visitor.page
        ask(page, "Tell")
        says(page, "Tell", HALF)
        page.route("**/calls", late, times=1)
        page.reload()
        says(page, "Tell", STORY)
        assert len(model.requests) == 1


def test_offline_and_online_again(browser: Any, built: Path, tmp_path: Path) -> None:
    go_on = threading.Event()
    with visiting(browser, built, tmp_path, in_two_halves(go_on)) as (visitor, model):
        page = visitor.page
        ask(page, "Tell")
        says(page, "Tell", HALF)
        visitor.context.set_offline(True)
        page.wait_for_selector("text=Offline.")
        go_on.set()
        visitor.context.set_offline(False)
        says(page, "Tell", STORY)
        page.wait_for_selector("text=Send")
        assert page.text_content("[role=status]") == ""
        ask(page, "And then?")
        says(page, "Tell", STORY, "And then?", STORY)
        assert len(model.requests) == 2


def test_stop_ends_the_answer_and_an_error_is_shown(
    browser: Any, built: Path, tmp_path: Path
) -> None:
    left = threading.Event()

    def script(talk: Conversation) -> None:
        talk.head()
        for line in ollama_lines(*WORDS)[:3]:
            talk.chunk(line)
        if len(talk.server.requests) == 1:
            talk.wait_for_hangup()
            left.set()
        else:
            talk.cut()

    with visiting(browser, built, tmp_path, script) as (visitor, _):
        ask(visitor.page, "Tell")
        says(visitor.page, "Tell", HALF)
        visitor.page.click("text=Stop")
        assert left.wait(PATIENCE), "the model still generates"
        visitor.page.wait_for_selector("text=Send")
        ask(visitor.page, "Again")
        visitor.page.wait_for_selector("text=The answer failed.")
        says(visitor.page, "Tell", HALF, "Again", HALF)
