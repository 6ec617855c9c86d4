"""`vesselog show`: prints the calls of a recording."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from commands import command, json_lines, recording
from loopback import LoopbackServer, ollama_lines
from vesselog import ProviderError, Recording
from vesselog.cli import main
from vesselog.core.jsontext import dumps

LINES = ollama_lines("Hel", "lo \u0085wörld")


def test_each_call_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording(tmp_path, "Hello\nworld", prompt="Greet me")
    path = recording(tmp_path, "", outcome="error", error=ProviderError("out of memory"))
    assert main(["show", str(path)]) == 0
    out = capsys.readouterr().out
    assert out.count("\ncall 2  ollama/m\n") == 1
    for line in (
        "call 1  ollama/m",
        "  request     POST http://127.0.0.1:11434/api/chat",
        "  prompt      Greet me",
        "  response    200 application/x-ndjson",
        "  text        Hello",
        "              world",
        "  ended       complete",
        "  error       ProviderError: out of memory",
    ):
        assert f"{line}\n" in out


def test_one_call_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording(tmp_path, "one")
    path = recording(tmp_path, "two")
    assert main(["show", str(path), "--call", "2"]) == 0
    out = capsys.readouterr().out
    assert "two" in out
    assert "one" not in out
    assert main(["show", str(path), "--call", "3"]) == 1
    assert "has no call 3" in capsys.readouterr().err


def test_as_json_a_call_is_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording(tmp_path, "one")
    path = recording(tmp_path, "two", outcome=None)
    assert main(["show", str(path), "--json"]) == 0
    first, second = json_lines(capsys.readouterr().out)
    assert first["completion"]["text"] == "one"
    assert first["request"]["body"]["model"] == "m"
    assert first["end"]["outcome"] == first["outcome"] == "complete"
    assert (second["outcome"], second["end"]) == ("interrupted", None)


def test_the_raw_bytes_decode_to_the_same_chunks(tmp_path: Path) -> None:
    with LoopbackServer([lambda talk: talk.stream(LINES)]) as server:
        folder = ("--recordings", str(tmp_path), "--session", "s")
        assert main(["chat", "ollama/m", "hi", "--base-url", server.url, *folder]) == 0
    shown = command("show", str(tmp_path / "s.jsonl"), "--raw")
    assert shown.stdout.encode() == b"".join(LINES)
    decoded = command("decode", "--vessel", "ollama", "-", stdin=shown.stdout.encode())
    assert decoded.returncode == 0
    *chunks, _ = json_lines(decoded.stdout)
    stored = [chunk.text for chunk in Recording(tmp_path / "s.jsonl").chunks()]
    assert [chunk.get("text", "") for chunk in chunks] == stored


def test_the_bytes_of_several_calls_are_not_glued_together(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    recording(tmp_path, "one")
    path = str(recording(tmp_path, "two"))
    assert main(["show", path, "--raw"]) == 2
    out, err = capfdbinary.readouterr()
    assert out == b""
    assert b"has 2 calls: give the one to print with --call N (1 to 2)" in err
    assert main(["show", path, "--raw", "--call", "2"]) == 0
    assert capfdbinary.readouterr().out == b'{"message":{"content":"two"}}\n'


def test_meta_of_the_session_and_of_its_calls_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recording(tmp_path, "one")
    header, *lines = path.read_bytes().split(b"\n")
    head = json.loads(header) | {"meta": {"user": "ada\x1b"}}
    request = json.loads(lines[1]) | {"meta": {"trace": [1]}}
    path.write_bytes(b"\n".join([dumps(head), lines[0], dumps(request), *lines[2:]]))
    assert main(["show", str(path)]) == 0
    out = capsys.readouterr().out
    assert out.startswith('session s\n  meta        {"user":"ada\\u001b"}\n\ncall 1  ollama/m\n')
    assert '  meta        {"trace":[1]}\n' in out
    assert main(["show", str(path), "--json"]) == 0
    (call,) = json_lines(capsys.readouterr().out)
    assert call["session_meta"] == {"user": "ada\x1b"}
    assert call["request"]["meta"] == {"trace": [1]}


def test_without_meta_nothing_is_said_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(recording(tmp_path, "one"))
    assert main(["show", path]) == 0
    assert "meta" not in capsys.readouterr().out
    assert main(["show", path, "--json"]) == 0
    assert "meta" not in capsys.readouterr().out


def test_a_recording_without_calls_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new.jsonl"
    path.touch()
    assert main(["show", str(path)]) == 0
    assert capsys.readouterr() == ("", f"{path} has no calls\n")
