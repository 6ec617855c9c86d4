"""Following a call that another process writes."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from loopback import Conversation, LoopbackServer
from patience import PATIENCE
from sessions import record, request, step, write
from vesselog import (
    AsyncClient,
    Client,
    Follow,
    ProviderError,
    Recording,
    RecordingCorruptError,
    RecordingError,
    StreamChunk,
    TruncatedError,
    UsageError,
    follow,
    replay,
)
from vesselog.core.follow import file_watcher
from vesselog.core.follow.tail import Tail
from vesselog.core.truth.file_lock import has_writer, try_lock
from vesselog.core.truth.session import Session
from vesselog.vessels.ollama import Ollama
from warm_python import Popen

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


# Follows, and says how it ended, how many chunks came, and their text.
FOLLOWER = """
import sys, vesselog
followed = vesselog.follow(sys.argv[1])
chunks = list(followed)
print(followed.outcome, len(chunks), *"".join(chunk.text for chunk in chunks))
"""


class Process:
    """The writer in its own process, told what to write."""

    def __init__(self, folder: Path) -> None:
        self.child = Popen(
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


@pytest.fixture(params=["events", "polling"])
def told(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How followers learn of what another process writes."""
    if request.param == "polling":
        monkeypatch.setattr(file_watcher, "_inotify", lambda: (None, 0, 0))
    else:
        pytest.importorskip("inotify_simple", reason="the system sends no events")
    return request.param


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Is released when a thread that follows begins to wait."""
    waits = threading.Semaphore(0)
    wait = Tail.wait

    def wait_and_tell(tail: Tail, seen: int, timeout: float | None) -> None:
        waits.release()
        wait(tail, seen, timeout)

    monkeypatch.setattr(Tail, "wait", wait_and_tell)
    return waits


@pytest.fixture
def process(tmp_path: Path):
    process = Process(tmp_path)
    yield process
    process.child.kill()
    process.child.communicate()


@pytest.mark.usefixtures("told")
def test_what_is_there_comes_first_then_what_is_written(tmp_path: Path, process: Process) -> None:
    process.write("0")
    followed = follow(tmp_path / "a.jsonl")
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


@pytest.mark.usefixtures("told")
async def test_what_is_there_comes_first_in_a_task_too(tmp_path: Path, process: Process) -> None:
    process.write("0")
    texts = []
    async for chunk in follow(tmp_path / "a.jsonl"):
        texts.append(chunk.text)
        if len(texts) < 5:
            process.write(str(len(texts)))
        else:
            process.finish()
    assert texts == [str(number) for number in range(5)]


@pytest.mark.usefixtures("told")
def test_it_ends_as_interrupted_when_the_writer_dies(tmp_path: Path, process: Process) -> None:
    process.write("0")
    followed = follow(tmp_path / "a.jsonl")
    texts = []
    for chunk in followed:
        texts.append(chunk.text)
        process.child.kill()
    assert texts == ["0"]
    assert followed.interrupted
    assert followed.outcome == "interrupted"
    assert isinstance(followed.error, TruncatedError)


@pytest.mark.usefixtures("told")
async def test_it_ends_as_interrupted_in_a_task_too(tmp_path: Path, process: Process) -> None:
    """Several followers, who wait when the writer dies."""
    process.write("0")
    followed = [follow(tmp_path / "a.jsonl") for _ in range(5)]
    began = asyncio.Semaphore(0)

    async def read(each: Follow) -> list[str]:
        texts = []
        async for chunk in each:
            texts.append(chunk.text)
            began.release()
        return texts

    async def kill() -> None:
        for _ in followed:
            await began.acquire()
        process.child.kill()

    *texts, _ = await asyncio.gather(*(read(each) for each in followed), kill())
    assert texts == [["0"]] * 5
    assert {each.outcome for each in followed} == {"interrupted"}


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


def test_a_call_that_is_not_there_and_nobody_can_begin_is_an_error_at_once(tmp_path: Path) -> None:
    path = record(tmp_path)
    with pytest.raises(RecordingError, match="has no call 7"):
        follow(path, call=7)
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    with pytest.raises(RecordingError, match=r"has no call$"):
        follow(path)
    with pytest.raises(RecordingError, match="no recording"):
        follow(tmp_path / "x.jsonl")


@pytest.mark.parametrize(
    ("call", "after"), [(0, -1), (-1, -1), (True, -1), ("1", -1), (1, -2), (1, "0"), (1, None)]
)
def test_numbers_that_cannot_be_are_refused(tmp_path: Path, call: Any, after: Any) -> None:
    with pytest.raises(UsageError):
        follow(record(tmp_path), call=call, after=after)


@pytest.mark.parametrize("poll", [0, -1.0, float("nan"), "x"])
def test_a_pause_that_is_none_is_refused(tmp_path: Path, poll: Any) -> None:
    with pytest.raises(UsageError, match="above 0"):
        follow(record(tmp_path), poll=poll)


@pytest.mark.parametrize("call", [2, None])
def test_a_call_that_begins_later_is_waited_for(
    tmp_path: Path, waiting: threading.Semaphore, call: int | None
) -> None:
    session = Session.open(tmp_path, "a")
    if call is None:
        session.begin(request()).abandon()
        lines = session.path.read_bytes().splitlines(keepends=True)
        session.path.write_bytes(b"".join(lines[:2]))
        session = Session.open(tmp_path, "b")
    first = session.begin(request())
    followed = follow(session.path, call=call)
    with ThreadPoolExecutor(1) as pool:
        texts = pool.submit(lambda: [chunk.text for chunk in followed])
        assert waiting.acquire(timeout=PATIENCE)
        writer = first if call is None else session.begin(request())
        write(writer, [step(0, "late")])
        writer.end("complete")
        assert texts.result(PATIENCE) == ["late"]
    first.abandon()
    session.close()


def test_a_call_that_never_begins_is_an_error_once_the_writer_is_gone(
    tmp_path: Path, waiting: threading.Semaphore
) -> None:
    session = Session.open(tmp_path, "a")
    writer = session.begin(request())
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(list, follow(session.path, call=2))
        assert waiting.acquire(timeout=PATIENCE)
        writer.end("complete")
        session.close()
        with pytest.raises(RecordingError, match="has no call 2"):
            found.result(PATIENCE)


def test_a_torn_line_that_its_next_writer_cuts_off_is_not_taken(
    tmp_path: Path, waiting: threading.Semaphore, monkeypatch: pytest.MonkeyPatch
) -> None:
    changing_hands = threading.Lock()  # or the follower might look when nobody writes

    def look(path: Path) -> bool:
        with changing_hands:
            return has_writer(path)

    monkeypatch.setattr("vesselog.core.follow.tail.has_writer", look)
    path = record(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"\n", 0, -1) + 5])
    holder = os.open(path, os.O_RDWR)
    assert try_lock(holder)
    followed = follow(path)
    with ThreadPoolExecutor(1) as pool:
        texts = pool.submit(lambda: [chunk.text for chunk in followed])
        assert waiting.acquire(timeout=PATIENCE)
        with changing_hands:
            os.close(holder)
            Session.open(tmp_path, "a").close()
        assert texts.result(PATIENCE) == ["Hel", "lo"]
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

    followed = follow(session.path)
    monkeypatch.setattr("vesselog.core.follow.tail.has_writer", finish)
    assert [chunk.text for chunk in followed] == ["last"]
    assert followed.outcome == "complete"
    assert finished


def test_a_request_written_while_it_is_looked_for_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a writer that has gone again when it is asked for."""
    path = record(tmp_path)

    def begin(path: Path) -> bool:
        session = Session.open(tmp_path, "a")
        session.begin(request()).end("complete")
        session.close()
        return has_writer(path)

    monkeypatch.setattr("vesselog.core.follow.follow.has_writer", begin)
    assert list(follow(path, call=2)) == []


def test_more_than_fits_in_one_read(tmp_path: Path) -> None:
    path = record(tmp_path, texts=["x"] * 2_500)
    assert len(list(follow(path))) == 2_500


async def test_a_long_recording_is_read_in_small_turns(tmp_path: Path) -> None:
    """Also where most of it belongs to other calls."""
    session = Session.open(tmp_path, "a")
    first, second = session.begin(request()), session.begin(request())
    write(first, (step(seq, "x" * 500) for seq in range(1_000)))
    write(second, [step(0)])
    first.end("complete")
    second.end("complete")
    session.close()
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.ensure_future(count())
    chunks = [chunk async for chunk in follow(session.path, call=2)]
    counting.cancel()
    assert len(chunks) == 1
    assert turns >= session.path.stat().st_size // (1 << 16) - 1


def test_what_is_before_the_damage_comes_first(tmp_path: Path) -> None:
    path = record(tmp_path, texts="abcd")
    lines = path.read_bytes().splitlines(keepends=True)
    lines[6] = lines[6].replace(b'"seq":2', b'"seq":{}')
    path.write_bytes(b"".join(lines))
    got: list[str] = []
    with pytest.raises(RecordingCorruptError, match=r"line 7 .* holds a chunk"):
        got.extend(chunk.text for chunk in follow(path))
    assert got == ["a", "b"]
    lines[6] = b"{]\n"
    path.write_bytes(b"".join(lines))
    got.clear()
    with pytest.raises(RecordingCorruptError, match="damaged at line 7"):
        got.extend(chunk.text for chunk in follow(path))
    assert got == ["a", "b"]


def test_a_file_that_is_deleted_can_be_followed_no_longer(
    tmp_path: Path, waiting: threading.Semaphore
) -> None:
    session = Session.open(tmp_path, "a")
    writer = session.begin(request())
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(list, follow(session.path))
        assert waiting.acquire(timeout=PATIENCE)
        session.path.unlink()
        with pytest.raises(RecordingError, match=r"deleted or replaced|no recording"):
            found.result(PATIENCE)
    writer.abandon()
    session.close()


def test_overlapping_calls_are_told_apart_live_replayed_and_followed(tmp_path: Path) -> None:
    turns = threading.Barrier(2)

    def script(conversation: Conversation) -> None:
        conversation.begin()
        for frame in conversation.frames("a", "b"):
            turns.wait(PATIENCE)
            conversation.chunk(frame)
        conversation.end()

    with (
        LoopbackServer([script]) as server,
        Client(vessels={"lab": Ollama(base_url=server.url)}, recordings=tmp_path) as client,
        ThreadPoolExecutor(2) as pool,
        client.stream("lab/m", "one", session="s") as one,
        client.stream("lab/m", "two", session="s") as two,
    ):
        live = [each.result(PATIENCE) for each in [pool.submit(list, one), pool.submit(list, two)]]
        path = one.path
    assert path is not None
    assert [{chunk.call for chunk in chunks} for chunks in live] == [{1}, {2}]
    for chunks, call in zip(live, (1, 2), strict=True):
        assert list(replay(path, 0, call=call)) == chunks
        assert list(follow(path, call=call)) == chunks
        assert [each for each in Recording(path).chunks() if each.call == call] == chunks
        assert [each for each in replay(path, 0) if each.call == call] == chunks
        assert all(chunk.model_dump(mode="json")["call"] == call for chunk in chunks)


@pytest.mark.usefixtures("told")
async def test_two_hundred_followers_of_a_stream_all_get_what_its_caller_gets(
    tmp_path: Path,
) -> None:
    """In the client's process and in another one, while the stream runs."""
    received = threading.Semaphore(0)

    def script(conversation: Conversation) -> None:
        conversation.begin()
        for frame in conversation.frames(*map(str, range(20))):
            assert received.acquire(timeout=PATIENCE)
            conversation.chunk(frame)
        conversation.end()

    async def read(followed: Follow) -> list[StreamChunk]:
        chunks: list[StreamChunk] = []
        async for chunk in followed:
            chunks.append(chunk)
            taken[chunk.seq] += 1
            if taken[chunk.seq] == 200:
                received.release()
        return chunks

    taken: Counter[int] = Counter()
    received.release()
    with LoopbackServer([script]) as server:
        async with (
            AsyncClient(
                vessels={"lab": Ollama(base_url=server.url)}, recordings=tmp_path
            ) as client,
            client.stream("lab/m", "hi", session="s") as stream,
        ):
            path = tmp_path / "s.jsonl"
            tasks = [asyncio.create_task(read(follow(path, call=1))) for _ in range(200)]
            other = Popen([sys.executable, "-c", FOLLOWER, str(path)], stdout=subprocess.PIPE)
            live = [chunk async for chunk in stream]
            found = await asyncio.gather(*tasks)
            said, _ = await asyncio.to_thread(other.communicate)
    assert len(live) == 21
    assert all(chunks == live for chunks in found)
    assert said.decode().split() == ["complete", str(len(live)), *"".join(map(str, range(20)))]
