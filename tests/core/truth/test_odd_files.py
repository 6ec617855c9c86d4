"""Files that are no recordings: each use of one ends at once, by an error that says what it is."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sessions import record
from vesselog import (
    AsyncClient,
    Client,
    ConfigurationError,
    Recording,
    RecordingError,
    diff,
    recover,
    rederive,
    replay,
    salvage,
    verify,
)
from vesselog.core.truth.session import Session

USES: dict[str, Callable[[Path], Any]] = {
    "diff": lambda path: diff(path, path),
    "go on": lambda path: Session.reopen(path, durability="process"),
    "read": Recording,
    "recover": recover,
    "rederive": lambda path: rederive(path, path.parent / "out.jsonl"),
    "replay": lambda path: list(replay(path, "max")),
    "salvage": lambda path: salvage(path, path.parent / "out.jsonl"),
    "verify": verify,
}
every_use = pytest.mark.parametrize("use", USES.values(), ids=USES)


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device_without_end(path: Path) -> None:
    path.symlink_to("/dev/zero")


def device_without_memory(path: Path) -> None:
    """What is written to it is lost in silence."""
    path.symlink_to("/dev/null")


def folder(path: Path) -> None:
    path.mkdir()


def link_to_nothing(path: Path) -> None:
    path.symlink_to("nowhere")


def link_to_itself(path: Path) -> None:
    path.symlink_to(path)


@every_use
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (pipe, "is a pipe or a device"),
        (device_without_end, "is a pipe or a device"),
        (device_without_memory, "is a pipe or a device"),
        (folder, "is a folder|Is a directory"),
        (link_to_nothing, "there is no recording|No such file"),
        (link_to_itself, "Too many levels"),
    ],
)
def test_what_is_no_file_is_refused(
    tmp_path: Path, use: Callable[[Path], Any], make: Callable[[Path], None], said: str
) -> None:
    path = tmp_path / "odd.jsonl"
    make(path)
    with pytest.raises(RecordingError, match=said):
        use(path)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("use", [USES[each] for each in USES if each != "go on"])
@pytest.mark.parametrize("name", ["a\0b.jsonl", "\ud800.jsonl", "x" * 300 + ".jsonl"])
def test_a_name_that_no_file_can_have(
    tmp_path: Path, use: Callable[[Path], Any], name: str
) -> None:
    with pytest.raises(RecordingError):
        use(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_link_to_a_recording_is_that_recording(tmp_path: Path) -> None:
    link = tmp_path / "link.jsonl"
    link.symlink_to(record(tmp_path / "elsewhere"))
    assert verify(link).ok
    assert not recover(link).changed
    assert salvage(link, tmp_path / "out.jsonl").changed == []


@pytest.mark.parametrize("client", [Client, AsyncClient])
@pytest.mark.parametrize("name", ["a\0b", "\ud800", "x" * 300])
def test_a_folder_that_cannot_be_is_told_when_the_client_is_made(
    client: type[Client | AsyncClient], name: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        client(recordings=name)
    assert refused.value.setting == "recordings"


def test_a_session_in_a_folder_that_is_not_there_says_why(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"cannot make the folder .*too long"):
        Session.open(tmp_path / ("x" * 300), "a")
