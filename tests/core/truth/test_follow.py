"""Following a call that another process writes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sessions import record, request, step, write
from vesselog import ProviderError, Recording, RecordingError, TruncatedError, follow
from vesselog.core.truth.file_lock import try_lock
from vesselog.core.truth.session import Session

# Writes a chunk for each line on its stdin, and the end when that ends.
WRITER = """
import sys
from pathlib import Path
from sessions import request, step, write
from vesselog.core.truth.session import Session
session = Session.open(Path(sys.argv[1]), "a")
writer = session.begin(request())
print("ready", flush=True)
for seq, line in enumerate(sys.stdin):
    write(writer, [step(seq, line.strip())])
    print("written", flush=True)
writer.end("complete")
session.close()
"""


class Process:
    """The writer in its own process, told what to write."""

    def __init__(self, folder: Path) -> None:
        self.child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        self.wait()

    def wait(self) -> None:
        assert self.child.stdout is not None
        assert self.child.stdout.readline()

    def write(self, text: str) -> None:
        assert self.child.stdin is not None
        self.child.stdin.write(f"{text}\n".encode())
        self.child.stdin.flush()
        self.wait()

    def finish(self) -> None:
        self.child.communicate()


@pytest.fixture
def process(tmp_path: Path):
    process = Process(tmp_path)
    yield process
    process.child.kill()
    process.child.communicate()


def test_what_is_there_comes_first_then_what_is_written(tmp_path: Path, process: Process) -> None:
    process.write("0")
    followed = follow(tmp_path / "a.jsonl", poll=0.001)
    texts = []
    for chunk in followed:
        texts.append(chunk.text)
        if len(texts) < 20:
            process.write(str(len(texts)))
        else:
            process.finish()
    assert texts == [str(number) for number in range(20)]
    assert (followed.outcome, followed.error, followed.interrupted) == ("complete", None, False)
    assert followed.session == "a"
    assert [chunk.text for chunk in Recording(tmp_path / "a.jsonl").chunks()] == texts


async def test_the_same_async(tmp_path: Path, process: Process) -> None:
    process.write("0")
    texts = []
    async for chunk in follow(tmp_path / "a.jsonl", poll=0.001):
        texts.append(chunk.text)
        if len(texts) < 5:
            process.write(str(len(texts)))
        else:
            process.finish()
    assert texts == [str(number) for number in range(5)]


def test_it_ends_as_interrupted_when_the_writer_dies(tmp_path: Path, process: Process) -> None:
    process.write("0")
    followed = follow(tmp_path / "a.jsonl", poll=0.001)
    texts = []
    for chunk in followed:
        texts.append(chunk.text)
        process.child.kill()
        process.child.wait()
    assert texts == ["0"]
    assert followed.interrupted
    assert followed.outcome == "interrupted"
    assert isinstance(followed.error, TruncatedError)


def test_it_waits_while_the_writer_is_silent(tmp_path: Path, process: Process) -> None:
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 50:
            process.finish()

    assert list(follow(tmp_path / "a.jsonl", poll=0.5, sleep=wait)) == []
    assert waits[:50] == [0.5] * 50


@pytest.mark.parametrize(("after", "texts"), [(-1, "Hello"), (0, "lo"), (1, ""), (99, "")])
def test_it_resumes_behind_a_position(tmp_path: Path, after: int, texts: str) -> None:
    path = record(tmp_path)
    assert "".join(chunk.text for chunk in follow(path, after=after)) == texts


def test_it_gives_the_stored_chunks(tmp_path: Path) -> None:
    path = record(tmp_path)
    assert list(follow(path)) == list(Recording(path).chunks())


def test_one_call_of_several(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "a")
    first, second = session.begin(request()), session.begin(request())
    write(first, [step(0, "a")])
    write(second, [step(0, "b")])
    second.end("complete")
    write(first, [step(1, "c")])
    first.end("error", error=ProviderError("no"))
    session.close()
    last, asked = follow(session.path), follow(session.path, call=1)
    assert last.call == 2
    assert [chunk.text for chunk in last] == ["b"]
    assert [chunk.text for chunk in asked] == ["a", "c"]
    assert isinstance(asked.error, ProviderError)


def test_a_call_that_is_not_there_is_an_error_once_nobody_can_begin_it(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no call 7"):
        list(follow(record(tmp_path), call=7))
    with pytest.raises(RecordingError, match="no recording"):
        follow(tmp_path / "x.jsonl")


def test_a_call_that_begins_later_is_waited_for(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "a")
    session.begin(request()).end("complete")

    def begin(_seconds: float) -> None:
        writer = session.begin(request())
        write(writer, [step(0, "late")])
        writer.end("complete")

    assert [chunk.text for chunk in follow(session.path, call=2, sleep=begin)] == ["late"]
    session.close()


def test_a_torn_line_that_its_next_writer_cuts_off_is_not_taken(tmp_path: Path) -> None:
    path = record(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"\n", 0, -1) + 5])
    holder = os.open(path, os.O_RDWR)
    assert try_lock(holder)

    def go_on(_seconds: float) -> None:
        os.close(holder)
        Session.open(tmp_path, "a").close()

    followed = follow(path, sleep=go_on)
    assert [chunk.text for chunk in followed] == ["Hel", "lo"]
    assert followed.outcome == "crashed"


def test_an_end_written_just_before_the_writer_left_is_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between finding nothing new and asking whether there is a writer."""
    session = Session.open(tmp_path, "a")
    writer = session.begin(request())
    finished: list[bool] = []

    def finish(_path: Path) -> bool:
        if not finished:
            finished.append(True)
            write(writer, [step(0, "last")])
            writer.end("complete")
            session.close()
        return False

    monkeypatch.setattr("vesselog.core.truth.follow.has_writer", finish)
    followed = follow(session.path)
    assert [chunk.text for chunk in followed] == ["last"]
    assert followed.outcome == "complete"


def test_more_than_fits_in_one_look(tmp_path: Path) -> None:
    path = record(tmp_path, texts=["x"] * 2_500)
    assert len(list(follow(path, sleep=lambda _: pytest.fail("nothing to wait for")))) == 2_500
