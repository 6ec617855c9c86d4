"""Watching the followed files, and leaving nothing behind."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from patience import PATIENCE
from sessions import request, step, write
from vesselog import RecordingError, StreamChunk, follow
from vesselog.core.follow import file_watcher, following
from vesselog.core.truth.call_writer import Writer
from vesselog.core.truth.session import Session
from vesselog.core.truth.wake import FOLLOWED

THREAD = "vesselog follow"


@pytest.fixture(params=["events", "polling"], autouse=True)
def told(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "polling":
        monkeypatch.setattr(file_watcher, "_inotify", lambda: (None, 0, 0))
    else:
        pytest.importorskip("inotify_simple", reason="the system sends no events")
    return request.param


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    session = Session.open(tmp_path, "a")
    yield session
    session.close()


@pytest.fixture
def writer(session: Session) -> Iterator[Writer]:
    writer = session.begin(request())
    write(writer, [step(0, "first")])
    yield writer
    writer.end("complete")


@pytest.fixture
def nothing_left(session: Session, writer: Writer) -> Iterator[None]:
    """No thread, no descriptor, no followed file, once the test is over."""
    join_watchers()
    before = descriptors()
    yield
    gc.collect()
    join_watchers()
    assert descriptors() == before
    assert FOLLOWED == {}
    assert dict(following._SHARED.watchers) == {}


def join_watchers() -> None:
    """Threads that end, one of an earlier test perhaps."""
    for thread in threading.enumerate():
        if thread.name == THREAD:
            thread.join(PATIENCE)


def descriptors() -> list[str]:
    gc.collect()
    folder = Path("/proc/self/fd")
    return sorted(each.name for each in folder.iterdir()) if folder.is_dir() else []


def reading(session: Session, until: threading.Event) -> list[str]:
    texts = []
    for chunk in follow(session.path):
        texts.append(chunk.text)
        until.set()
    return texts


@pytest.mark.usefixtures("nothing_left")
def test_a_thread_watches_while_a_thread_follows(session: Session, writer: Writer) -> None:
    waits = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        found = [pool.submit(reading, session, waits) for _ in range(2)]
        assert waits.wait(PATIENCE)
        write(writer, [step(1, "second")])
        writer.end("complete")
        assert [each.result(PATIENCE) for each in found] == [["first", "second"]] * 2


@pytest.mark.usefixtures("nothing_left", "writer")
def test_a_loop_that_is_left_early_leaves_nothing(session: Session) -> None:
    for chunk in follow(session.path):
        assert chunk.text == "first"
        break
    chunks = iter(follow(session.path))
    next(chunks)
    del chunks


@pytest.mark.usefixtures("nothing_left", "writer")
def test_tasks_that_are_cancelled_leave_nothing(session: Session) -> None:
    async def read(began: asyncio.Event) -> None:
        async for _ in follow(session.path):
            began.set()

    async def cancel() -> None:
        for _ in range(3):
            began = [asyncio.Event() for _ in range(5)]
            tasks = [asyncio.create_task(read(each)) for each in began]
            await asyncio.gather(*(each.wait() for each in began))
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        assert [each.name for each in threading.enumerate() if each.name == THREAD] == []
        assert FOLLOWED == {}

    asyncio.run(cancel())


@pytest.mark.usefixtures("nothing_left", "writer")
def test_a_loop_that_ends_with_its_followers_leaves_nothing(session: Session) -> None:
    """asyncio.run cancels what is still waiting, and closes its generators."""

    async def read() -> None:
        async for _ in follow(session.path):
            pass

    async def leave() -> StreamChunk:
        tasks.append(asyncio.create_task(read()))
        return await anext(aiter(follow(session.path)))

    tasks: list[asyncio.Task[None]] = []
    assert asyncio.run(leave()).text == "first"
    del tasks[:]


@pytest.mark.usefixtures("nothing_left", "writer")
def test_a_loop_that_is_closed_over_its_followers_leaves_nothing(session: Session) -> None:
    """Nobody cancels them: they are collected some day."""
    loop = asyncio.new_event_loop()

    async def read() -> None:
        async for _ in follow(session.path):
            pass

    task = loop.create_task(read())
    while not following._SHARED.watchers:
        loop.run_until_complete(asyncio.sleep(0))
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()
    assert FOLLOWED


@pytest.mark.usefixtures("nothing_left")
def test_followers_of_many_files_share_one_watcher(tmp_path: Path, told: str) -> None:
    sessions = [Session.open(tmp_path, f"s{number}") for number in range(30)]
    writers = [session.begin(request()) for session in sessions]

    async def read(session: Session) -> int:
        return len([chunk async for chunk in follow(session.path)])

    async def run() -> list[int]:
        before = len(descriptors())
        tasks = [asyncio.create_task(read(session)) for session in sessions]
        while len(FOLLOWED) < len(tasks) or not following._SHARED.watchers:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert len(descriptors()) <= before + (told == "events")
        assert len(following._SHARED.watchers) == 1
        for seq in range(3):
            for writer in writers:
                write(writer, [step(seq)])
            await asyncio.sleep(0)
        for writer, session in zip(writers, sessions, strict=True):
            writer.end("complete")
            session.close()
        return await asyncio.gather(*tasks)

    assert asyncio.run(run()) == [3] * 30


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.usefixtures("nothing_left")
def test_a_forked_child_follows_what_its_parent_writes(session: Session, writer: Writer) -> None:
    """While the parent itself follows, with a watcher thread that the child does not have."""
    waits = threading.Event()
    chunks = iter(follow(session.path))
    next(chunks)
    said, told = os.pipe()
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(reading, session, waits)
        assert waits.wait(PATIENCE)
        while None not in following._SHARED.watchers:
            assert not found.done()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads
            child = os.fork()
        if child == 0:
            try:
                os.write(told, b"ready ")
                rest = [chunk.text for chunk in chunks]
                whole = [chunk.text for chunk in follow(session.path)]
                tasks = asyncio.run(in_task(session))
                os.write(told, f"{rest} {whole} {tasks}".encode())
            finally:
                os._exit(0)
        os.close(told)
        with os.fdopen(said, "rb") as pipe:
            assert pipe.read(6) == b"ready "
            write(writer, [step(1, "second")])
            writer.end("complete")
            whole = ["first", "second"]
            assert pipe.read().decode() == f"{['second']} {whole} {whole}"
        os.waitpid(child, 0)
        assert found.result(PATIENCE) == whole
    assert [chunk.text for chunk in chunks] == ["second"]


async def in_task(session: Session) -> list[str]:
    return [chunk.text async for chunk in follow(session.path)]


def test_a_system_without_watches_to_spare_is_looked_at(
    session: Session, writer: Writer, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linux limits how many there are for each user."""
    if told == "events":
        library = pytest.importorskip("inotify_simple")

        def refuse(*_: object) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(library.INotify, "add_watch", refuse)
    waits = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(reading, session, waits)
        assert waits.wait(PATIENCE)
        write(writer, [step(1, "second")])
        writer.end("complete")
        assert found.result(PATIENCE) == ["first", "second"]


@pytest.mark.usefixtures("nothing_left", "writer")
def test_no_thread_to_be_had_is_a_typed_error(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    with pytest.raises(RecordingError, match=r"cannot follow .*: can't start new thread"):
        list(follow(session.path))
