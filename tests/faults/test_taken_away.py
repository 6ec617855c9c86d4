"""Files that are deleted, replaced, moved, cut or written to by others under way.

Writes to them still succeed, and would be lost: that is noticed within a second or at the end.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from invariants import check, yielded_by
from lateness import Lateness
from loopback import Conversation, LoopbackServer, ollama_lines
from patience import PATIENCE
from talking import Heard, every_client, talking
from vesselog import RecordingError

pytestmark = pytest.mark.usefixtures("nothing_left")


def check_kept(kept: Path, heard: Heard) -> None:
    """What was written to a file until it was missed, seen by another name of it."""
    yielded = [each._replace(path=kept) for each in yielded_by(heard)]
    (call,) = check(kept, yielded=yielded)
    assert call.outcome == "interrupted"


def take_away(path: Path, how: str) -> None:
    if how == "moved":
        path.rename(path.with_name("elsewhere"))
    elif how == "deleted":
        path.unlink()
    else:
        other = path.with_name("other")
        other.write_bytes(b"somebody else's")
        other.replace(path)


def endless(conversation: Conversation) -> None:
    """Lines without end, some hundred a second."""
    conversation.begin()
    while not conversation.server.released.wait(0.005):
        conversation.chunk(ollama_lines("on ")[0])


@every_client
@pytest.mark.parametrize("how", ["deleted", "replaced", "moved"])
def test_a_file_taken_away_under_way_is_noticed(tmp_path: Path, kind: str, how: str) -> None:
    kept = tmp_path / "kept.jsonl"
    with LoopbackServer([endless]) as server, talking(kind, server) as talker:
        stream = talker.stream()

        def take(chunk: Any) -> None:
            if chunk.seq == 3:
                kept.hardlink_to(stream.path)
                take_away(stream.path, how)

        with Lateness() as lateness:
            heard = talker.begin(stream, take).result(PATIENCE)
    assert type(heard.error) is RecordingError, repr(heard.error)
    assert "deleted or replaced" in str(heard.error)
    assert heard.outcome == "error"
    if how == "replaced":
        assert heard.stream.path.read_bytes() == b"somebody else's"
    assert heard.chunks[-1].t - heard.chunks[3].t < 1.1 + lateness.seconds
    check_kept(kept, heard)


@every_client
def test_a_file_deleted_before_the_end_is_noticed_at_the_end(tmp_path: Path, kind: str) -> None:
    gone = threading.Event()
    kept = tmp_path / "kept.jsonl"

    def waits(conversation: Conversation) -> None:
        first, *rest = conversation.frames("Hi", " there")
        conversation.begin()
        conversation.chunk(first)
        gone.wait(PATIENCE)
        conversation.chunk(b"".join(rest))
        conversation.end()

    with LoopbackServer([waits]) as server, talking(kind, server) as talker:
        stream = talker.stream()

        def take(chunk: Any) -> None:
            if not gone.is_set():
                kept.hardlink_to(stream.path)
                stream.path.unlink()
            gone.set()

        heard = talker.begin(stream, take).result(PATIENCE)
    assert type(heard.error) is RecordingError, repr(heard.error)
    assert heard.outcome == "error"
    check_kept(kept, heard)


def change(path: Path, how: str) -> None:
    if how == "cut":
        os.truncate(path, 0)
    else:
        with path.open("ab") as other:
            other.write(b'{"type":"mine"}\n')


@every_client
@pytest.mark.parametrize(
    ("how", "told"), [("cut", "the file was cut"), ("written", "another program wrote")]
)
def test_a_file_changed_by_another_program_is_noticed(
    tmp_path: Path, kind: str, how: str, told: str
) -> None:
    """As by logrotate's copytruncate. What was written until then is not taken for complete."""
    with LoopbackServer([endless]) as server, talking(kind, server) as talker:
        stream = talker.stream()

        def take(chunk: Any) -> None:
            if chunk.seq == 3:
                change(stream.path, how)

        with Lateness() as lateness:
            heard = talker.begin(stream, take).result(PATIENCE)
    assert type(heard.error) is RecordingError, repr(heard.error)
    assert told in str(heard.error)
    assert heard.outcome == "error"
    assert heard.chunks[-1].t - heard.chunks[3].t < 1.1 + lateness.seconds
    assert b'"type":"end"' not in stream.path.read_bytes()


@every_client
def test_a_file_cut_before_the_end_is_noticed_at_the_end(kind: str) -> None:
    cut = threading.Event()

    def waits(conversation: Conversation) -> None:
        first, *rest = conversation.frames("Hi", " there")
        conversation.begin()
        conversation.chunk(first)
        cut.wait(PATIENCE)
        conversation.chunk(b"".join(rest))
        conversation.end()

    with LoopbackServer([waits]) as server, talking(kind, server) as talker:
        stream = talker.stream()

        def take(chunk: Any) -> None:
            if not cut.is_set():
                change(stream.path, "cut")
            cut.set()

        heard = talker.begin(stream, take).result(PATIENCE)
    assert type(heard.error) is RecordingError, repr(heard.error)
    assert heard.outcome == "error"


@every_client
def test_a_process_that_changes_its_folder_records_on(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the folder that the client was given when it was made, which is relative by default."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    changed = threading.Event()

    def waits(conversation: Conversation) -> None:
        first, *rest = conversation.frames("Hi", " there")
        conversation.begin()
        conversation.chunk(first)
        changed.wait(PATIENCE)
        conversation.chunk(b"".join(rest))
        conversation.end()

    monkeypatch.chdir(tmp_path)
    with LoopbackServer([waits]) as server, talking(kind, server) as talker:

        def take(_: Any) -> None:
            monkeypatch.chdir(elsewhere)
            changed.set()

        heard = [talker.begin(talker.stream(), take).result(PATIENCE), talker.hear()]
        for each in heard:
            assert each.check("complete").text == "Hi there"
            assert each.stream.path.parent == tmp_path / "recordings"
        monkeypatch.chdir(tmp_path)
        with talking(kind, server, replay="recordings") as again:
            monkeypatch.chdir(elsewhere)
            assert again.hear().text == "Hi there"
    assert not list(elsewhere.iterdir())
