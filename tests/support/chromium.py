"""A headless Chromium, driven by Playwright, and the people who look at a page in it.

Needs Debian's `chromium`, or what `VESSELOG_CHROMIUM` names, and Playwright for Python.
`VESSELOG_SCREENSHOTS` may name a folder for pictures of the pages.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from patience import PATIENCE

__all__ = ["DESKTOP", "PHONE", "Visitor", "chromium", "picture"]

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
DESKTOP = {"viewport": {"width": 1200, "height": 800}}
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
    "color_scheme": "dark",
}


@contextmanager
def chromium() -> Iterator[Any]:
    """The browser; what is missing skips the test."""
    program = os.environ.get("VESSELOG_CHROMIUM") or shutil.which("chromium")
    if program is None:
        pytest.skip("there is no chromium: the pages of the examples are not tested")
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="pip install playwright: the pages are not tested"
    )
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


class Visitor:
    """A browser of its own, with a page that must not log errors."""

    def __init__(self, browser: Any, url: str, settings: dict[str, Any]) -> None:
        self.context = browser.new_context(**settings)
        self.context.set_default_timeout(PATIENCE * 1000)
        self.errors: list[str] = []
        self.context.on("weberror", lambda error: self.errors.append(str(error.error)))
        self.url = url
        self.page = self.tab(url)

    def tab(self, url: str) -> Any:
        page = self.context.new_page()
        page.goto(url)
        return page

    def ask(self, message: str) -> None:
        self.page.fill("#message", message)
        self.page.click("#send")


def picture(page: Any, name: str) -> None:
    if folder := os.environ.get("VESSELOG_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/{name}.png")
