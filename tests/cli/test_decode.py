"""`vesselog decode`: decodes a captured body; the exit status tells how the answer ended."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from commands import json_lines, start
from house import ROOT
from loopback import LoopbackServer, ollama_lines, sse
from patience import PATIENCE
from vesselog import Recording
from vesselog.cli import main

LINES = ollama_lines("Hel", "lo")
CUT = b"".join(LINES)[:-20]
FIRST_CHOICE, DONE = sse(
    {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]}
)
EVENTS = FIRST_CHOICE + DONE
WHOLE = b'{"choices":[{"index":0,"message":{"content":"Hi"},"finish_reason":"stop"}]}'


class Case(NamedTuple):
    vessel: str
    body: bytes
    arguments: tuple[str, ...]
    status: int
    text: str
    outcome: str


@pytest.mark.parametrize(
    "case",
    [
        Case("ollama", b"".join(LINES), (), 0, "Hello", "complete"),
        Case("ollama", b"".join(LINES), ("--content-type", "text/html"), 0, "Hello", "complete"),
        Case("openai", EVENTS, (), 0, "Hi", "complete"),
        Case("openai", WHOLE, ("--no-stream",), 0, "Hi", "complete"),
        Case("openai", WHOLE, ("--content-type", "application/json"), 0, "Hi", "complete"),
        Case("ollama", CUT, (), 3, "Hello", "truncated"),
        Case("ollama", b"", (), 3, "", "truncated"),
        Case("openai", FIRST_CHOICE, ("--choices", "2"), 3, "Hi", "truncated"),
        Case("openai", FIRST_CHOICE, (), 0, "Hi", "complete"),
        Case("ollama", LINES[0] + b'{"error":"boom"}\n', (), 4, "Hel", "error"),
        Case("ollama", b'{"error":"boom"}', ("--status", "500"), 4, "", "error"),
        Case("openai", b"<html>Bad gateway</html>", ("--status", "502"), 4, "", "error"),
        Case("ollama", LINES[0] + b"not json\n" + LINES[1], (), 5, "Hel", "error"),
    ],
    ids=lambda case: f"{case.vessel} {case.body[-20:]!r} {' '.join(case.arguments)}",
)
def test_chunks_then_the_completion(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], case: Case
) -> None:
    path = tmp_path / "body"
    path.write_bytes(case.body)
    assert main(["decode", "--vessel", case.vessel, str(path), *case.arguments]) == case.status
    out, err = capsys.readouterr()
    *chunks, completion = json_lines(out)
    assert [chunk["seq"] for chunk in chunks] == list(range(len(chunks)))
    assert "".join(chunk.get("text", "") for chunk in chunks) == case.text
    assert completion["type"] == "completion"
    assert completion["text"] == case.text
    assert completion["outcome"] == case.outcome
    assert ("error" in completion) == (case.status != 0)
    assert err.count("\n") == (case.status != 0)
    assert "metrics" not in completion, "nothing was measured"


def test_the_repairs_are_named_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A token told at two places of one choice is one token."""
    body = tmp_path / "body"
    twice = {"index": 0, "text": "Hi", "delta": {"content": "Hi"}, "finish_reason": None}
    body.write_bytes(
        b"".join([*sse({"choices": [twice]}, {"choices": [twice]}, done=False), EVENTS])
    )
    assert main(["decode", "--vessel", "openai", str(body)]) == 0
    *_, completion = json_lines(capsys.readouterr().out)
    assert completion["text"] == "HiHiHi"
    assert completion["repairs"] == ["text-beside-delta"]


def test_think_tags_may_be_taken_for_reasoning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "body"
    path.write_bytes(b"".join(ollama_lines("<think>hm</think>", "Hi")))
    assert main(["decode", "--vessel", "ollama", str(path), "--split-think"]) == 0
    completion = json_lines(capsys.readouterr().out)[-1]
    assert (completion["reasoning"], completion["text"]) == ("hm", "Hi")


def test_a_body_is_decoded_while_it_arrives() -> None:
    process = start("decode", "--vessel", "ollama", "-", stdin=-1)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(LINES[0])
    process.stdin.flush()
    assert b'"text":"Hel"' in process.stdout.readline()
    out, _ = process.communicate(b"".join(LINES[1:]), timeout=PATIENCE)
    assert process.returncode == 0
    assert json_lines(out.decode())[-1]["text"] == "Hello"


def test_a_recorded_answer_is_decoded_by_its_own_vessel(capsys: pytest.CaptureFixture[str]) -> None:
    path = ROOT / "recordings/samples/ollama-story.jsonl"
    assert main(["decode", str(path)]) == 0
    *chunks, completion = json_lines(capsys.readouterr().out)
    (call,) = Recording(path).calls()
    assert [chunk.get("text", "") for chunk in chunks] == [chunk.text for chunk in call.chunks()]
    assert completion["text"] == call.completion().text
    assert completion["outcome"] == "complete"
    assert main(["decode", str(path), "--vessel", "openai"]) == 4
    assert json_lines(capsys.readouterr().out)[-1]["vessel"] == "openai"


def test_a_recorded_answer_that_ended_early_ends_as_it_did(
    capsys: pytest.CaptureFixture[str],
) -> None:
    samples = ROOT / "recordings/samples"
    for name, outcome, status in (
        ("ollama-cancelled", "cancelled", 0),
        ("llama-killed", "error", 1),
        ("ollama-error", "error", 4),
    ):
        assert main(["decode", str(samples / f"{name}.jsonl")]) == status
        out, err = capsys.readouterr()
        assert json_lines(out)[-1]["outcome"] == outcome
        assert err.count("\n") == (status != 0)


def test_of_several_recorded_calls_one_must_be_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    with LoopbackServer(
        [lambda talk: talk.answer("one"), lambda talk: talk.answer("two")]
    ) as server:
        for _ in range(2):
            session = ("--session", "s", "--base-url", server.url)
            assert main(["chat", "ollama/m", "hi", *session]) == 0
    capsys.readouterr()
    assert main(["decode", "s"]) == 2
    assert "2 calls: give the one to decode with --call N (1 to 2)" in capsys.readouterr().err
    assert main(["decode", "s", "--call", "2"]) == 0
    assert json_lines(capsys.readouterr().out)[-1]["text"] == "two"
    assert main(["decode", "s", "--call", "3"]) == 1
    assert "has no call 3" in capsys.readouterr().err


def test_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", str(tmp_path)]) == 2
    assert "--vessel" in capsys.readouterr().err
    (tmp_path / "body").write_bytes(CUT)
    body = str(tmp_path / "body")
    assert main(["decode", "--vessel", "ollama", body, "--call", "1"]) == 2
    assert "is a body, not a recording" in capsys.readouterr().err
    assert main(["decode", "--vessel", "nope", body]) == 2
    assert "known are " in capsys.readouterr().err
    assert main(["decode", "--vessel", "ollama", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err == f"vesselog: there is no recording {tmp_path / 'none'}\n"
