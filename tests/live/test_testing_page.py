"""docs/testing.md: its tests, taken from the page, record a real Ollama and replay without it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from inner_runs import OPTIONS
from model_servers import ModelServer
from pages import ROOT, blocks
from vesselog import Recording, verify

pytest_plugins = ["pytester"]

PAGE = ROOT / "docs/testing.md"
FILE = re.compile(r"# (\w+\.py)\n")
SECRETS = {
    "OLLAMA_API_KEY": "canary-of-ollama-0123456789abcdef",
    "OPENAI_API_KEY": "sk-canary-0123456789abcdefghijklmnop",
}


def of_the_page() -> dict[str, str]:
    """The files of the page, with the model that there is."""
    return {
        found[1]: block.code.replace("qwen3:1.7b", "story")
        for block in blocks("python", pages=[PAGE])
        if (found := FILE.match(block.code))
    }


@pytest.mark.live
def test_the_tests_of_the_page_record_once_and_replay_with_the_network_cut(
    ollama: ModelServer,
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    files = of_the_page()
    for name, code in files.items():
        Path(name).write_text(code, "utf-8")
    tests = sum(
        len(re.findall(r"^(?:async )?def test_", code, re.MULTILINE)) for code in files.values()
    )
    assert tests >= 5
    monkeypatch.delenv("CI", raising=False)
    for name, value in {**SECRETS, "OLLAMA_HOST": ollama.url}.items():
        monkeypatch.setenv(name, value)
    pytester.runpytest_inprocess(*OPTIONS).assert_outcomes(passed=tests)
    recorded = sorted(Path("recordings").glob("test_*/*.jsonl"))
    assert len(recorded) >= 5
    for path in recorded:
        assert verify(path).findings == []
        assert ollama.url in str(next(iter(Recording(path).calls())).request["url"])
        assert not [name for name, value in SECRETS.items() if value in path.read_text("utf-8")]

    for name in (*SECRETS, "OLLAMA_HOST"):
        monkeypatch.delenv(name)
    replay = (*OPTIONS, "--ground-truth=none")
    pytester.runpytest_inprocess(*replay).assert_outcomes(passed=tests)

    backend = Path("test_backend.py")
    changed = files[backend.name].replace('"message": "Why?"', '"message": "Why now?"')
    assert changed != files[backend.name]
    backend.write_text(changed, "utf-8")
    drift = pytester.runpytest_inprocess(*replay, backend)
    drift.assert_outcomes(failed=1)
    drift.stdout.fnmatch_lines(['*recorded: "Why?"', '*asked:    "Why now?"'])

    idle = re.sub(r"    events = .*", "    return", files[backend.name], flags=re.DOTALL)
    backend.write_text(idle, "utf-8")
    leftover = pytester.runpytest_inprocess(*replay, backend)
    leftover.assert_outcomes(passed=1, errors=1)
    leftover.stdout.fnmatch_lines(["recorded in test_the_answer_is_streamed.jsonl and not asked*"])
