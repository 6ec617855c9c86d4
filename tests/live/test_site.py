"""The built documentation: its reference, and in a headless Chromium its search and its widths.

Needs the extra `docs`; the tests with a browser also need what the other pages need.
"""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import vesselog
from chromium import DESKTOP, PHONE, Visitor, picture
from pages import ROOT

pytestmark = pytest.mark.live

# Wider than the window is only what has a scroll bar of its own.
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


class Quiet(SimpleHTTPRequestHandler):
    """Serves files, without a log."""

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site, built from this checkout."""
    pytest.importorskip("mkdocs", reason="pip install '.[docs]': the site is not looked at")
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-P", "-m", "mkdocs", "build", "--strict", "--quiet"]
    build += ["--config-file", "scripts/site/mkdocs.yml", "--site-dir", str(folder)]
    settings = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}  # an advertisement
    done = subprocess.run(
        build, cwd=ROOT, env=settings, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def site(built: Path) -> Iterator[str]:
    """The address of the site."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(built)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


ENTRY = re.compile(r'<span title="(vesselog[\w.]+)\.(\w+)">(.*?)</li>', re.DOTALL)
DEFAULT = re.compile(r"Default: <code>(.*?)</code>")


def default_of(kind: Any, name: str) -> Any:
    """The default of an attribute of a model, a dataclass, a named tuple or another class."""
    fields = getattr(kind, "model_fields", None) or getattr(kind, "__pydantic_fields__", {})
    if name in fields:
        return fields[name].get_default(call_default_factory=True)
    if name in getattr(kind, "__dataclass_fields__", {}):
        return kind.__dataclass_fields__[name].default
    return getattr(kind, "_field_defaults", {}).get(name, getattr(kind, name, None))


def test_every_default_in_the_reference_is_the_code_s(built: Path) -> None:
    wrong: list[str] = []
    shown: set[str] = set()
    for page in sorted((built / "reference").glob("*.html")):
        for owner, name, text in ENTRY.findall(page.read_text("utf-8")):
            if (found := DEFAULT.search(text)) is None:
                continue
            module, _, kind = owner.rpartition(".")
            shown.add(f"{kind}.{name}")
            written = html.unescape(re.sub(r"<[^>]+>", "", found[1]))
            try:
                value = eval(written, {**vars(vesselog), "Metrics": vesselog.Metrics})
            except NameError:
                value = written
            if value != default_of(getattr(import_module(module), kind), name):
                wrong.append(f"{owner}.{name}: {written}")
    assert wrong == []
    assert shown >= {"Timeouts.first_chunk", "Limits.max_frame_bytes", "StreamChunk.text"}
    assert "VesselogError.message" not in shown


@pytest.mark.parametrize("settings", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("word", ["Last-Event-ID", "retry_after", "on_disconnect"])
def test_search_finds(browser: Any, site: str, settings: dict[str, Any], word: str) -> None:
    visitor = Visitor(browser, f"{site}/index.html", settings)
    page = visitor.page
    if settings is PHONE:
        page.locator("label[for=__search]").first.click()
    # Typed: the search listens to keys, and reads a text that is put in at once by chance only.
    page.locator("input[name=query]").press_sequentially(word)
    found = page.locator(".md-search-result__item", has_text=word).first
    found.wait_for()
    picture(page, f"search-{word}-{page.viewport_size['width']}")
    assert visitor.errors == []
    visitor.context.close()


@pytest.mark.parametrize("settings", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_no_page_is_wider_than_its_window(
    browser: Any, site: str, settings: dict[str, Any]
) -> None:
    visitor = Visitor(browser, f"{site}/index.html", settings)
    too_wide: dict[str, int] = {}
    for name in sorted(path.stem for path in Path(ROOT / "docs").glob("*.md")):
        visitor.page.goto(f"{site}/{'index' if name == 'README' else name}.html")
        if over := visitor.page.evaluate(OVERFLOW):
            too_wide[name] = over
        picture(visitor.page, f"{name}-{visitor.page.viewport_size['width']}")
    assert too_wide == {}
    visitor.context.close()
