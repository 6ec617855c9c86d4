"""The page with the fixtures, markers and options of the pytest plugin, read from the plugin."""

from __future__ import annotations

import inspect
from typing import Any

from vesselog.testing import plugin

__all__ = ["page"]

_HEADING = """# Fixtures, markers and options of the pytest plugin

pytest loads the plugin in every environment in which vesselog is installed.

## Fixtures

"""


class _Options:
    """Notes what a plugin adds to pytest's command line, configuration file and markers."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []
        self.markers: list[str] = []

    def getgroup(self, *_: Any, **__: Any) -> _Options:
        return self

    def addoption(self, *names: str, help: str = "", **_: Any) -> None:  # noqa: A002 - pytest's name
        self.found.append((", ".join(names), help))

    def addini(self, name: str, help: str, *_: Any, **__: Any) -> None:  # noqa: A002 - the same
        self.found.append((f"{name} (in the configuration file)", help))

    def addinivalue_line(self, name: str, line: str) -> None:
        if name == "markers":
            self.markers.append(line)


def page() -> str:
    """The text of the page."""
    options = _Options()
    if (add := getattr(plugin, "pytest_addoption", None)) is not None:
        add(options)
    if (configure := getattr(plugin, "pytest_configure", None)) is not None:
        configure(options)
    parts = [_HEADING]
    for name in sorted(plugin.__all__):
        fixture = getattr(plugin, name)
        function = getattr(fixture, "_fixture_function", fixture)
        if not hasattr(fixture, "_fixture_function"):
            continue
        parts.append(f"### {name}\n\n{inspect.getdoc(function)}\n\n")
    if options.markers:
        parts.append("## Markers\n\n`pytest --markers` shows the same.\n\n")
        parts += [f"```text\n@pytest.mark.{text.strip()}\n```\n\n" for text in options.markers]
    if options.found:
        parts.append("## Options\n\n")
        parts += [f"`{name}`\n:   {text}\n\n" for name, text in options.found]
    return "".join(parts)
