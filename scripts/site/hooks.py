"""What the documentation site needs beside docs/: generated pages, links, and the sources.

mkdocs calls the functions whose names begin with `on_`. A warning fails the build (`--strict`).
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

sys.path.insert(0, str(Path(__file__).parent))

import links
import reference

ROOT = Path(__file__).resolve().parents[2]
_sources = tempfile.TemporaryDirectory(prefix="vesselog-docs-")


@event_priority(100)  # before mkdocstrings reads where the sources are
def on_config(config: Any) -> Any:
    """Complete the navigation, and give mkdocstrings the folder in which the package is whole."""
    for entry in config.nav:
        if isinstance(entry, dict) and "Reference" in entry:
            entry["Reference"] = [*reference.pages(), *entry["Reference"]]
        elif isinstance(entry, dict) and "Project" in entry:
            entry["Project"] = [{title: there} for title, there in links.TITLES.items()]
    python = config.plugins["mkdocstrings"].config.handlers["python"]
    python["paths"] = [_package()]
    python["options"]["extensions"] = [str(Path(__file__).parent / "defaults.py")]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that no file in docs/ holds."""
    made = {**reference.pages(), **links.outside_pages()}
    for address, text in made.items():
        files.append(File.generated(config, address, content=text))
    for path, address in links.FILES.items():
        files.append(File.generated(config, address, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Lead links that leave docs/ to the page of the site that shows the file."""
    return links.rewritten(markdown, page.file.src_uri)


def _package() -> str:
    """A folder in which `vesselog` is one package: its rooms are folders of their own here."""
    tables = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    home = Path(_sources.name) / "vesselog"
    shutil.rmtree(home, ignore_errors=True)
    for package, folder in tables["tool"]["setuptools"]["package-dir"].items():
        here = home.joinpath(*package.split(".")[1:])
        here.mkdir(parents=True, exist_ok=True)
        for path in (ROOT / folder).glob("*.py"):
            shutil.copy(path, here)
    return _sources.name
