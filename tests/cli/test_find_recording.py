"""Recordings are named by path, by session name, by how that begins, or as `last`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from commands import recording
from house import ROOT
from vesselog import RecordingError
from vesselog.cli import main
from vesselog.cli.find_recording import find_recording

FOLDER = Path("recordings")
SAMPLE = ROOT / "recordings/samples/ollama-story.jsonl"
GENERATED = "20261121T071700Z-" + "0123456789abcdef" * 2


def test_a_session_is_found_by_its_name_or_how_that_begins() -> None:
    recording(FOLDER, "a", name=GENERATED)
    recording(FOLDER, "b", name="chat")
    recording(FOLDER, "c", name="chat-42")
    for name in (GENERATED, GENERATED[:12], f"{GENERATED}.jsonl", f"{GENERATED[:20]}…"):
        assert find_recording(name, FOLDER) == FOLDER / f"{GENERATED}.jsonl"
    assert find_recording("chat", FOLDER) == FOLDER / "chat.jsonl"
    assert find_recording("chat-", FOLDER) == FOLDER / "chat-42.jsonl"


def test_the_last_recording_is_the_one_that_was_written_to_last() -> None:
    for name in ("a", "c", "b"):
        recording(FOLDER, name, name=name)
        os.utime(FOLDER / f"{name}.jsonl", ns=(0, 0))
    os.utime(FOLDER / "c.jsonl", ns=(5, 5))
    assert find_recording("last", FOLDER) == FOLDER / "c.jsonl"


def test_a_file_that_exists_is_meant_itself() -> None:
    """A folder is not: it cannot be a recording."""
    for name in ("last", "s"):
        recording(FOLDER, "a", name=name)
        Path(name).write_text("x", "utf-8")
        assert find_recording(name, FOLDER) == Path(name)
    Path("s").unlink()
    Path("s").mkdir()
    assert find_recording("s", FOLDER) == FOLDER / "s.jsonl"
    assert find_recording("s", FOLDER, folders=True) == Path("s")


@pytest.mark.parametrize("name", ["", "-", "/dev/null", "."])
def test_what_exists_or_is_no_name_stays_as_it_is(name: str) -> None:
    recording(FOLDER, "a", name="s")
    assert find_recording(name, FOLDER, folders=True) == Path(name)


def test_a_path_is_not_looked_up_but_gets_the_nearest_name() -> None:
    recording(FOLDER, "a", name="harbour")
    for name in ("recordings/harbuor.jsonl", "./recordings/harbou"):
        with pytest.raises(RecordingError, match=f"no recording {name}; did you mean 'harbour'"):
            find_recording(name, Path("elsewhere"))
    with pytest.raises(RecordingError, match=r"no recording \./harbour$"):
        find_recording("./harbour", FOLDER)
    with pytest.raises(RecordingError, match=r"no recording nowhere/harbour$"):
        find_recording("nowhere/harbour", FOLDER)
    found = find_recording("recordings/harb…", Path("elsewhere"))
    assert found == FOLDER / "harbour.jsonl"


def test_a_misspelt_name_is_answered_with_the_nearest() -> None:
    for name in ("harbour", "vessel"):
        recording(FOLDER, "a", name=name)
    with pytest.raises(RecordingError, match=r"no such session in recordings; did you mean 'harb"):
        find_recording("harbuor", FOLDER)
    with pytest.raises(RecordingError, match=r"no such session in recordings$"):
        find_recording("zzz", FOLDER)
    with pytest.raises(RecordingError, match=r"no such session in nowhere$"):
        find_recording("harbour", Path("nowhere"))
    with pytest.raises(RecordingError, match="nowhere has no recordings"):
        find_recording("last", Path("nowhere"))


def test_a_beginning_that_several_share_is_refused() -> None:
    for number in range(8):
        recording(FOLDER, "a", name=f"s-{number}")
    with pytest.raises(RecordingError, match=r"'s-' may be any of s-0, .*s-4 and 3 more$"):
        find_recording("s-", FOLDER)


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "{}"),
        ("replay", "{}", "--speed", "max"),
        ("follow", "{}"),
        ("recover", "{}"),
        ("diff", "{}", "{}", "--no-timing"),
        ("salvage", "{}", "-o", "new.jsonl"),
        ("rederive", "{}", "-o", "new.jsonl"),
        ("verify", "{}", "{}"),
        ("decode", "{}"),
    ],
)
def test_every_command_that_reads_a_recording_finds_it(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("elsewhere").mkdir()
    shutil.copy(SAMPLE, "elsewhere/chat.jsonl")
    for name in ("chat", "last", "ch"):
        named = [argument.format(name) for argument in arguments]
        assert main([*named, "--recordings", "elsewhere"]) == 0, capsys.readouterr().err
        Path("new.jsonl").unlink(missing_ok=True)
    named = [argument.format("chatt") for argument in arguments]
    assert main([*named, "--recordings", "elsewhere"]) == 1
    assert "did you mean 'chat'?" in capsys.readouterr().err


@pytest.mark.parametrize("named", ["elsewhere", "./elsewhere"])
def test_a_folder_is_no_recording(named: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("elsewhere").mkdir()
    assert main(["show", named]) == 1
    assert "elsewhere is a folder" in capsys.readouterr().err
