"""`vesselog replay`: prints a recording again and ends as the recorded call did."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from commands import json_lines, recording
from sessions import ManualClock, request, step, write
from vesselog import ProviderError, Recording, StreamChunk, TruncatedError, VesselogError
from vesselog.cli import main
from vesselog.core.truth.session import Session


def test_the_chunks_come_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = recording(tmp_path, "Hel", "lo")
    assert main(["replay", str(path), "--speed", "max"]) == 0
    out, err = capsys.readouterr()
    assert out == "Hello\n"
    assert err.splitlines() == ['call 1 · ollama/m · "Say hello"', "complete"]


def test_as_json_they_are_those_that_are_stored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recording(tmp_path, "Hel", "lo")
    assert main(["replay", str(path), "--json", "--speed", "0"]) == 0
    *chunks, completion = json_lines(capsys.readouterr().out)
    stored = [chunk.model_copy(update={"raw": ""}) for chunk in Recording(path).chunks()]
    assert [StreamChunk.model_validate(chunk) for chunk in chunks] == stored
    assert (completion["text"], completion["outcome"]) == ("Hello", "complete")


def test_calls_are_played_one_after_the_other_or_one_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording(tmp_path, "one", prompt="first")
    path = recording(tmp_path, "two", prompt="second")
    assert main(["replay", str(path), "--speed", "max"]) == 0
    out, err = capsys.readouterr()
    assert out == "one\ntwo\n"
    assert "first" in err
    assert main(["replay", str(path), "--speed", "max", "--call", "2"]) == 0
    out, err = capsys.readouterr()
    assert out == "two\n"
    assert "first" not in err


@pytest.mark.parametrize(
    ("error", "outcome", "status"),
    [
        (TruncatedError("the body ended early"), "truncated", 3),
        (ProviderError("ollama failed"), "error", 4),
        (None, "cancelled", 0),
        (None, None, 3),
    ],
)
def test_it_ends_as_the_call_did(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    error: VesselogError | None,
    outcome: str | None,
    status: int,
) -> None:
    path = recording(tmp_path, "Hel", outcome=outcome, error=error)  # type: ignore[arg-type]
    assert main(["replay", str(path), "--speed", "max"]) == status
    out, err = capsys.readouterr()
    assert out == "Hel\n"
    assert (outcome or "interrupted") in err
    if error is not None:
        assert err.endswith(f"vesselog: {error.message}\n")


def test_the_pace_is_that_of_then_scaled(tmp_path: Path) -> None:
    """The recording took 2 seconds of a fake clock; the replay takes a twentieth of that."""
    clock = ManualClock()
    session = Session.open(tmp_path, "s", clock=clock)
    writer = session.begin(request())
    clock.pass_seconds(2)
    write(writer, [step(0)])
    writer.end("complete")
    session.close()
    begun = time.monotonic()
    assert main(["replay", str(session.path), "--speed", "20"]) == 0
    assert time.monotonic() - begun >= 0.1


@pytest.mark.parametrize("speed", ["-1", "nan", "inf", "fast"])
def test_a_bad_speed_is_wrong_usage(capsys: pytest.CaptureFixture[str], speed: str) -> None:
    assert main(["replay", "x", f"--speed={speed}"]) == 2
    assert "is not a speed" in capsys.readouterr().err


def test_an_unreadable_recording_is_an_error_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recording(tmp_path, "Hel")
    foreign = tmp_path / "foreign"
    foreign.write_text("hello\n")
    for arguments, words in (
        ([str(tmp_path / "none")], "there is no recording"),
        ([str(tmp_path)], "is a folder"),
        ([str(foreign)], "is not a recording"),
        ([str(path), "--call", "7"], "has no call 7"),
    ):
        assert main(["replay", *arguments]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("\n") == 1
        assert words in err


def test_it_may_begin_after_a_chunk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording(tmp_path, "a", "b", "c")
    path = recording(tmp_path, "d", "e")
    for arguments, text in (
        (["--call", "1", "--after", "0"], "bc\n"),
        (["--after", "0"], "e\n"),
        (["--call", "2", "--after", "7"], ""),
    ):
        assert main(["replay", str(path), "--speed", "0", *arguments]) == 0
        assert capsys.readouterr().out == text
    for arguments in (["--call", "0"], ["--after", "-2"]):
        assert main(["replay", str(path), *arguments]) == 2
        assert "no c" in capsys.readouterr().err


def test_json_names_the_call_of_each_chunk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording(tmp_path, "a")
    path = recording(tmp_path, "b")
    assert main(["replay", str(path), "--speed", "0", "--json"]) == 0
    lines = json_lines(capsys.readouterr().out)
    assert [line["call"] for line in lines if line["type"] == "chunk"] == [1, 2]
