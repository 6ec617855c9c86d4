"""The page of repairs: every name in the code stands there, with a body that brings it about."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from commands import json_lines
from decoding import Decoded, decode
from house import ROOT, sources
from loopback import LoopbackServer, openai_events
from pages import blocks
from vesselog import Client
from vesselog.cli import main
from vesselog.vessels import BUILT_IN, OpenAI

PAGE = ROOT / "docs/repairs.md"
# What the page says is asked for, and what is raised.
ASKED: dict[str, dict[str, Any]] = {
    "think-tags": {"split_think": True},
    "fewer-choices": {"n": 2},
    "usage-missing": {"usage": True},
}
RAISED = {"error-as-field": "ProviderError"}


def in_the_code() -> set[str]:
    """The names that the decoders and the core give, from their source."""
    found: set[str] = set()
    for path in sources("core", "vessels"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(attr="repair"), args=[ast.Constant(value=name)]):
                    found.add(name)
                case ast.Call(
                    func=ast.Attribute(value=ast.Attribute(attr="repairs"), attr="append"),
                    args=[ast.Constant(value=name)],
                ):
                    found.add(name)
                case ast.Call(func=ast.Attribute(attr="repair"), args=[_]):
                    pytest.fail(f"{path.name}:{node.lineno}: a repair without a name of its own")
                case _:
                    pass
    return found


def examples() -> dict[str, tuple[str, bytes]]:
    """The bodies on the page with their vessels, by the headings above them."""
    headings = re.findall(r"^### (\S+)$", PAGE.read_text("utf-8"), re.MULTILINE)
    bodies = [
        (block.language, re.sub(r"<([0-9A-F]{2}(?: [0-9A-F]{2})*)>", r"\\x{\1}", block.code))
        for block in blocks(pages=[PAGE])
    ]
    return {
        name: (vessel, _bytes(body)) for name, (vessel, body) in zip(headings, bodies, strict=True)
    }


def _bytes(body: str) -> bytes:
    parts = re.split(r"\\x\{([0-9A-F ]+)\}", body)
    return b"".join(
        bytes.fromhex(part) if number % 2 else part.encode() for number, part in enumerate(parts)
    )


def repaired(name: str) -> Decoded:
    vessel, body = examples()[name]
    return decode(BUILT_IN[vessel](), body, **ASKED.get(name, {}))


def test_the_page_names_every_repair_and_no_other() -> None:
    assert set(examples()) == in_the_code()


@pytest.mark.parametrize("name", examples())
def test_the_example_brings_it_about(name: str) -> None:
    found = repaired(name)
    assert name in found.repairs
    assert found.outcome == RAISED.get(name, "complete")
    assert found.raw == examples()[name][1]


def test_names_are_words_with_hyphens() -> None:
    assert [
        name for name in in_the_code() if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
    ] == []


def test_show_counts_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a recording of a server that repeats its finish reason and leaves an index out."""
    *_, finish, usage, done = frames = openai_events("Hi")
    body = [frame.replace(b'"index": 0, ', b"") for frame in frames[:2]]
    with LoopbackServer(
        [lambda talk: talk.stream([*body, finish, finish, usage, done], "text/event-stream")]
    ) as server:
        vessel = OpenAI(base_url=server.url)
        with Client(vessels={"lab": vessel}, recordings=tmp_path) as client:
            client.complete("lab/m", "hi", session="s")
    assert main(["show", str(tmp_path / "s.jsonl")]) == 0
    shown = capsys.readouterr().out
    assert "  repaired    missing-choice-index (2), repeated-finish-reason (1)\n" in shown
    assert main(["show", str(tmp_path / "s.jsonl"), "--json"]) == 0
    (call,) = json_lines(capsys.readouterr().out)
    assert call["repairs"] == {"missing-choice-index": 2, "repeated-finish-reason": 1}
