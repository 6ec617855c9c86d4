"""Checks CONTRIBUTING: the files that it names exist, and a chunk passes those of its table."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import FrameType

from house import PACKAGES, ROOMS, ROOT, module_name
from loopback import LoopbackServer
from vesselog import AsyncClient
from vesselog.vessels import BUILT_IN

TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
NAMED = re.compile(r"`([\w./-]+)`")
A_PATH = re.compile(r"/|\.(md|py|toml)$")


def section(heading: str) -> str:
    return TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def rows(heading: str) -> list[list[str]]:
    """The cells of a section's table, without the table's own headings."""
    lines = [line for line in section(heading).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def paths_in(text: str) -> set[str]:
    return {name for name in NAMED.findall(text) if A_PATH.search(name)}


def test_every_file_named_exists() -> None:
    commands = re.findall(r"^    ([\w./-]+)", TEXT, re.MULTILINE)
    assert commands
    named = {*paths_in(TEXT), *commands}
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


def test_every_room_is_in_the_table() -> None:
    told = {row[0].strip("`/"): row[1].strip("`") for row in rows("Where things are")}
    assert {name: told.get(name) for name in ROOMS} == {
        folder: package for package, folder in PACKAGES.items() if folder in ROOMS
    }
    inside = {folder for folder in PACKAGES.values() if folder.startswith("core/")}
    assert inside <= set(told)


async def test_a_chunk_passes_the_files_of_the_table(tmp_path: Path) -> None:
    """From asking to the caller's chunk, on httpx's own transport and with `fast`."""
    passed: set[str] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            passed.add(frame.f_globals.get("__name__", ""))

    with LoopbackServer([lambda conversation: conversation.answer("Hi")]) as server:
        vessels = {"lab": BUILT_IN["ollama"](base_url=server.url)}
        sys.setprofile(note)
        try:
            for fast in (False, True):
                async with (
                    AsyncClient(vessels=vessels, recordings=tmp_path, fast=fast) as client,
                    client.stream("lab/m", "Hi") as stream,
                ):
                    assert [chunk.text async for chunk in stream if chunk.text] == ["Hi"]
        finally:
            sys.setprofile(None)
    told = {name for row in rows("What happens to a chunk") for name in paths_in(" ".join(row))}
    assert len(told) >= 15
    assert sorted(name for name in told if module_name(ROOT / name) not in passed) == []
