"""The built documentation, in a headless Chromium: its search, at the width of a phone and a desk.

Needs the extra `docs` beside what the other pages need.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

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
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the site, built from this checkout."""
    pytest.importorskip("mkdocs", reason="pip install '.[docs]': the site is not looked at")
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-P", "-m", "mkdocs", "build", "--strict", "--quiet"]
    build += ["--config-file", "scripts/site/mkdocs.yml", "--site-dir", str(folder)]
    settings = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}  # an advertisement
    done = subprocess.run(
        build, cwd=ROOT, env=settings, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("settings", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("word", ["Last-Event-ID", "retry_after", "on_disconnect"])
def test_search_finds(browser: Any, site: str, settings: dict[str, Any], word: str) -> None:
    visitor = Visitor(browser, f"{site}/index.html", settings)
    page = visitor.page
    if settings is PHONE:
        page.locator("label[for=__search]").first.click()
    page.locator("input[name=query]").fill(word)
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
