"""`vesselog demo`: works in ten seconds, in any environment, and its checks can fail."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from commands import command
from lateness import Lateness
from vesselog import Recording, verify
from vesselog.cli import demo, main
from vesselog.cli.demo_gateway import Passed
from vesselog.core.chunk import StreamChunk

HOSTILE = {
    "HTTP_PROXY": "http://127.0.0.1:1",
    "ALL_PROXY": "nonsense::",
    "SSL_CERT_FILE": "/nowhere",
    "OLLAMA_HOST": "http://192.0.2.1:1",
    "OPENAI_BASE_URL": "http://192.0.2.1:1",
    "OPENAI_API_KEY": "sk-0123456789abcdef",
    "COLUMNS": "90",
}


def test_it_runs_from_anywhere_in_any_environment_within_15_seconds() -> None:
    with Lateness() as lateness:
        begun = time.monotonic()
        done = command("demo", env=HOSTILE)
        took = time.monotonic() - begun
    assert took < 15 + lateness.seconds
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    (path,) = Path("recordings").glob("demo-*.jsonl")
    assert verify(path).ok
    assert str(path) in done.stdout
    calls = list(Recording(path).calls())
    assert [call.request["vessel"] for call in calls] == ["ollama", "openai", "openai"]
    assert all(call.outcome == "complete" for call in calls)
    total = sum(len(list(call.chunks())) for call in calls[:2])
    assert f"ok     {total} of {total} chunks were in the file before they were" in done.stdout
    assert f"ok     {total} of {total} chunks are equal when the file is replayed" in done.stdout
    assert "ok     2 of 2 answers have the same bytes as the original" in done.stdout
    pieces = sum(bool(chunk.text) for chunk in calls[2].chunks())
    assert f"ok     {pieces} of {pieces} pieces were in the file before the program" in done.stdout
    events = len(list(calls[2].chunks())) + 1
    assert f"ok     the browser has the whole answer: {events} events, each once" in done.stdout
    assert f"Last-Event-ID: {path.stem}:3:7 (the other {events - 8} events)" in done.stdout
    assert "FAILED" not in done.stdout
    assert "sk-0123456789abcdef" not in path.read_text("utf-8")
    last = done.stdout.splitlines()[-1]
    assert last.endswith(' -m vesselog chat ollama/qwen3:1.7b "Why is the sky blue?"')
    assert "\x1b" not in done.stdout
    shown = [line for line in done.stdout.splitlines() if sys.executable not in line]
    assert all(len(line) < 110 for line in shown)


def test_a_finding_of_the_gateway_can_be_bad() -> None:
    seen = [("s:3:0", "Hel"), ("s:3:1", "lo"), ("s:3:end", "")]
    good = Passed(pieces=2, late=0, text="Hello", seen=seen)
    assert [kept for kept, _ in good.checks()] == [True, True]
    bad = (
        good._replace(late=1),
        good._replace(seen=seen[1:]),
        good._replace(text="Hellolo", seen=[*seen[:2], *seen[1:]]),
    )
    assert [[kept for kept, _ in each.checks()] for each in bad] == [
        [False, True],
        [True, False],
        [True, False],
    ]


def test_the_answers_are_there_to_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--speed", "max", "--recordings", "elsewhere"]) == 0
    out = capsys.readouterr().out
    (path,) = Path("elsewhere").iterdir()
    words = {word for line in out.splitlines() for word in line.partition("│")[0].split()}
    for call in Recording(path).calls():
        answer = call.completion()
        assert set(answer.text.split()) <= words
        assert set(answer.reasoning.split()) <= words


def played(path: Path) -> list[demo.Played]:
    """The demo streams that would have written this recording."""
    return [
        demo.Played(call, list(call.chunks()), call.number, 0)
        for call in Recording(path).calls()
        if call.number <= 2
    ]


@pytest.fixture
def path() -> Path:
    assert main(["demo", "--speed", "max"]) == 0
    (path,) = Path("recordings").iterdir()
    return path


def findings(path: Path, played: list[demo.Played]) -> list[tuple[bool, str]]:
    """The four checks (late, equal, same bytes, verified): passed or not, and the counts."""
    return [(kept, " ".join(claim.split()[:3])) for kept, claim in demo._checks(path, played)]


def test_every_finding_can_be_bad(path: Path) -> None:
    first, second = played(path)
    total = len(first.chunks) + len(second.chunks)
    first.chunks[3] = first.chunks[3].model_copy(update={"text": "other"})
    late, equal, same, sound = findings(path, [first, second._replace(late=2, original=first[0])])
    assert late == (False, f"{total - 2} of {total}")
    assert equal == (False, f"{total - 1} of {total}")
    assert same == (False, "1 of 2")
    assert sound[0]
    path.write_bytes(path.read_bytes().replace(b'"text":"A ves"', b'"text":"A cat"'))
    assert [kept for kept, _ in findings(path, played(path))] == [True, True, True, False]


def test_a_finding_that_fails_fails_the_demo(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("vesselog.core.chunk.StreamChunk.__eq__", lambda *_: False)
    assert main(["demo", "--speed", "max"]) == 1
    out = capsys.readouterr().out
    assert "FAILED 0 of " in out
    assert StreamChunk() != StreamChunk()


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_without_the_extra_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    monkeypatch.setattr(demo, "find_spec", lambda name: None if name == missing else name)
    assert main(["demo"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert missing in err
    assert "pip install 'vesselog[server]'" in err
    assert not Path("recordings").exists()


def test_a_folder_that_cannot_be_written_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(["demo", "--recordings", str(tmp_path / "file")]) == 2
    assert "is not a folder" in capsys.readouterr().err
