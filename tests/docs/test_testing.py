"""docs/testing.md: its tests run, recorded and then replayed without a model."""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from inner_runs import OPTIONS
from loopback import Conversation, LoopbackServer
from pages import ROOT, blocks
from vesselog import verify
from vesselog.testing.faults import faulty
from vesselog.testing.ground_truth import Settings

pytest_plugins = ["pytester"]

PAGE = ROOT / "docs/testing.md"
FILE = re.compile(r"# (\w+\.py)\n")


def model(conversation: Conversation) -> None:
    conversation.answer("Scattered ", "light.")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackServer]:
    monkeypatch.delenv("CI", raising=False)
    with LoopbackServer([model] * 8) as server:
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        yield server


def test_the_tests_of_the_page_are_recorded_and_replayed(
    server: LoopbackServer, pytester: pytest.Pytester
) -> None:
    tests = 0
    for block in blocks("python", pages=[PAGE]):
        if found := FILE.match(block.code):
            Path(found[1]).write_text(block.code, "utf-8")
            tests += len(re.findall(r"^(?:async )?def test_", block.code, re.MULTILINE))
    assert tests == 7
    pytester.runpytest_inprocess(*OPTIONS).assert_outcomes(passed=tests)
    asked = len(server.requests)
    assert asked == 5
    pytester.runpytest_inprocess(*OPTIONS, "--ground-truth=none").assert_outcomes(passed=tests)
    assert len(server.requests) == asked
    recorded = sorted(Path("recordings").glob("test_*/*.jsonl"))
    assert [path.relative_to("recordings").as_posix() for path in recorded][:2] == [
        "test_answers/test_its_chunks.jsonl",
        "test_answers/test_the_sky.jsonl",
    ]
    assert [verify(path).findings for path in recorded] == [[]] * asked


def test_what_a_miss_tells_is_what_the_page_shows(
    server: LoopbackServer, pytester: pytest.Pytester
) -> None:
    code = blocks("python", pages=[PAGE])[0].code
    test = re.sub(r"\n\n\nasync.*", "\n", code, flags=re.DOTALL)
    pytester.makepyfile(test_answers=test)
    pytester.runpytest_inprocess(*OPTIONS).assert_outcomes(passed=1)
    pytester.makepyfile(test_answers=test.replace("blue", "red"))
    result = pytester.runpytest_inprocess(*OPTIONS)
    result.assert_outcomes(failed=1)
    (shown,) = blocks("text", pages=[PAGE])
    said = "\n".join(line.removeprefix("E").removeprefix("   ") for line in result.outlines)
    for line in shown.code.splitlines():
        assert line.strip() in said


def test_it_works_without_pytest(server: LoopbackServer, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = [each for each in blocks("python", pages=[PAGE]) if not FILE.match(each.code)]
    printed: list[str] = []
    monkeypatch.setattr(builtins, "print", lambda value: printed.append(str(value)))
    exec(compile(block.code, str(block), "exec"), {})
    assert printed == re.findall(r"print\(.*\)  # (.+)$", block.code, re.MULTILINE)
    assert len(server.requests) == 1


def test_the_page_names_every_setting_and_every_fault() -> None:
    text = PAGE.read_text("utf-8")
    parameters = set(faulty.__kwdefaults__ or {}) - {"call", "error"}
    for name in {*Settings.__slots__, *parameters}:
        assert re.search(rf"\b{name}\b", text), name
