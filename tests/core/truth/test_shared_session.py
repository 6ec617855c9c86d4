"""Streams that share a session: whose turn it is, who opens it, and what they wait for."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from patience import PATIENCE
from sessions import kinds, record, request
from vesselog import RecordingCorruptError, RecordingLockedError, StreamTimeoutError
from vesselog.core.clock import SYSTEM_CLOCK
from vesselog.core.truth.file_lock import try_lock
from vesselog.core.truth.session import Session
from vesselog.core.truth.session_pool import Entry, SessionPool


def pool(folder: Path, lock_wait: float = 0) -> SessionPool:
    return SessionPool(folder, "process", SYSTEM_CLOCK, lock_wait)


async def settled() -> None:
    """All that is ready has run."""
    for _ in range(5):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what a thread does."""
    while not condition():  # noqa: ASYNC110 - threads set no events of the loop
        await asyncio.sleep(0)


class Line:
    """Streams that come one after the other; began: those whose turn it is, or was."""

    def __init__(self, folder: Path) -> None:
        self.pool = pool(folder)
        self.tasks: dict[str, asyncio.Task[Entry]] = {}

    async def come(self, name: str, *, exclusive: bool) -> None:
        self.tasks[name] = asyncio.create_task(self.pool.open("a", exclusive=exclusive))
        await settled()

    async def end(self, name: str) -> None:
        (await self.tasks[name]).close()
        await settled()

    @property
    def began(self) -> str:
        return "".join(name for name, task in self.tasks.items() if task.done())


async def test_turns_overlap_and_exclusive_ones_do_not(tmp_path: Path) -> None:
    """Capital letters are exclusive."""
    line = Line(tmp_path)
    for name in "abCdEFgh":
        await line.come(name, exclusive=name.isupper())
    assert line.began == "ab"
    for ended, began in [
        ("b", "ab"),
        ("a", "abC"),
        ("C", "abCd"),
        ("d", "abCdE"),
        ("E", "abCdEF"),
        ("F", "abCdEFgh"),
    ]:
        await line.end(ended)
        assert line.began == began
    await line.end("g")
    await line.end("h")
    await line.come("I", exclusive=True)
    assert line.began.endswith("I")
    await line.end("I")


async def test_a_cancelled_turn_leaves_the_queue(tmp_path: Path) -> None:
    line = Line(tmp_path)
    for name in "ABCd":
        await line.come(name, exclusive=name.isupper())
    line.tasks["B"].cancel()
    await settled()
    await line.end("A")
    assert line.tasks["B"].cancelled()
    assert line.began == "ABC"
    line.tasks.pop("C").result().close()
    await settled()
    await line.end("d")


async def test_a_turn_waits_no_longer_than_it_has_patience(tmp_path: Path) -> None:
    sessions = pool(tmp_path)
    first = await sessions.open("a", exclusive=True)
    with pytest.raises(StreamTimeoutError, match=r"0\.01 s.*total") as caught:
        await sessions.open("a", exclusive=True, patience=0.01)
    assert (caught.value.phase, caught.value.setting) == ("total", "total")
    first.close()
    (await sessions.open("a", exclusive=True, patience=0)).close()


async def test_a_turn_that_ends_in_another_thread_wakes_the_next(tmp_path: Path) -> None:
    sessions = pool(tmp_path)
    first = await sessions.open("a", exclusive=True)
    waiting = asyncio.create_task(sessions.open("a", exclusive=True))
    await settled()
    thread = threading.Thread(target=first.close)
    thread.start()
    (await asyncio.wait_for(waiting, PATIENCE)).close()
    thread.join()


async def test_streams_of_one_name_have_one_writer(tmp_path: Path) -> None:
    sessions = pool(tmp_path)
    first, second = await sessions.open("a"), await sessions.open("a")
    writers = [entry.begin(request()) for entry in (first, second)]
    assert [writer.call for writer in writers] == [1, 2]
    for writer, entry in zip(writers, (first, second), strict=True):
        writer.end("complete")
        entry.close()
        entry.close()
    assert kinds(tmp_path / "a.jsonl").count("open") == 1
    assert kinds(tmp_path / "a.jsonl")[-1] == "close"


class Reading:
    """Lets the reading of a file that was not closed begin, and wait for `go_on`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.go_on = threading.Event()
        real = Session.read_file

        def read_file(session: Session) -> None:
            self.count += 1
            assert threading.current_thread() is not threading.main_thread()
            assert self.go_on.wait(PATIENCE)
            real(session)

        monkeypatch.setattr(Session, "read_file", read_file)

    async def begun(self) -> None:
        await until(lambda: bool(self.count))


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reading]:
    made = Reading(monkeypatch)
    yield made
    made.go_on.set()


async def test_who_opens_at_once_shares_the_reading(tmp_path: Path, reading: Reading) -> None:
    record(tmp_path)
    sessions = pool(tmp_path)
    opening = [asyncio.create_task(sessions.open("a")) for _ in range(3)]
    await reading.begun()
    reading.go_on.set()
    entries = await asyncio.gather(*opening)
    assert reading.count == 1
    assert [entry.begin(request()).call for entry in entries] == [2, 3, 4]
    for entry in entries:
        entry.close()


async def test_a_cancel_of_the_first_does_not_harm_the_second(
    tmp_path: Path, reading: Reading
) -> None:
    record(tmp_path)
    sessions = pool(tmp_path)
    first = asyncio.create_task(sessions.open("a"))
    await reading.begun()
    second = asyncio.create_task(sessions.open("a"))
    await settled()
    first.cancel()
    await settled()
    assert first.cancelled()
    reading.go_on.set()
    entry = await second
    entry.begin(request()).end("complete")
    entry.close()
    assert reading.count == 1
    assert kinds(tmp_path / "a.jsonl")[-1] == "close"


async def test_a_session_that_nobody_waits_for_is_let_go(tmp_path: Path, reading: Reading) -> None:
    path = record(tmp_path)
    sessions = pool(tmp_path)
    first = asyncio.create_task(sessions.open("a"))
    await reading.begun()
    first.cancel()
    await settled()
    reading.go_on.set()
    await until(lambda: kinds(path)[-1] == "close")
    Session.open(tmp_path, "a").close()


async def test_who_comes_while_nobody_waits_takes_what_was_read(
    tmp_path: Path, reading: Reading
) -> None:
    record(tmp_path)
    sessions = pool(tmp_path)
    first = asyncio.create_task(sessions.open("a"))
    await reading.begun()
    first.cancel()
    await settled()
    second = asyncio.create_task(sessions.open("a"))
    await settled()
    reading.go_on.set()
    (await second).close()
    assert reading.count == 1


async def test_damage_is_told_to_all_and_the_next_tries_again(
    tmp_path: Path, reading: Reading
) -> None:
    path = record(tmp_path)
    sound = path.read_bytes()
    path.write_bytes(sound.replace(b'"Hel"', b'"hel"'))
    sessions = pool(tmp_path)
    opening = [asyncio.create_task(sessions.open("a")) for _ in range(2)]
    await reading.begun()
    reading.go_on.set()
    for each in opening:
        with pytest.raises(RecordingCorruptError):
            await each
    path.write_bytes(sound)
    (await sessions.open("a")).close()


@contextmanager
def taken(folder: Path) -> Iterator[Callable[[], None]]:
    """The session is written by somebody else until this is called."""
    other = Session.open(folder, "a")
    writer = other.begin(request())

    def let_go() -> None:
        writer.end("complete")
        other.close()

    yield let_go
    let_go()


async def test_another_writer_is_not_waited_for(tmp_path: Path) -> None:
    with taken(tmp_path), pytest.raises(RecordingLockedError, match=r"\(.*a\.jsonl\)$") as caught:
        await asyncio.wait_for(pool(tmp_path).open("a"), PATIENCE)
    assert type(caught.value) is RecordingLockedError


@pytest.mark.parametrize("again", [False, True], ids=["closed", "new file"])
async def test_another_writer_is_waited_for_without_blocking(
    tmp_path: Path, *, again: bool
) -> None:
    if again:
        record(tmp_path, closed=True)
    with taken(tmp_path) as let_go:
        sessions = pool(tmp_path, lock_wait=PATIENCE)
        opening = [asyncio.create_task(sessions.open("a")) for _ in range(2)]
        await asyncio.sleep(0.02)
        assert not any(each.done() for each in opening)
        let_go()
        first, second = await asyncio.gather(*opening)
    first.close()
    second.begin(request()).end("complete")
    second.close()


@pytest.mark.parametrize("patience", [None, 0.02])
async def test_waiting_in_vain_tells_how_long(tmp_path: Path, patience: float | None) -> None:
    sessions = pool(tmp_path, lock_wait=0.02 if patience is None else PATIENCE)
    with taken(tmp_path), pytest.raises(RecordingLockedError, match=r"after 0\.\d s of waiting"):
        await sessions.open("a", patience=patience)


async def test_a_wait_for_another_writer_can_be_cancelled(tmp_path: Path) -> None:
    with taken(tmp_path) as let_go:
        sessions = pool(tmp_path, lock_wait=PATIENCE)
        waiting = asyncio.create_task(sessions.open("a"))
        await asyncio.sleep(0.01)
        waiting.cancel()
        await settled()
        assert waiting.cancelled()
        let_go()
        (await sessions.open("a")).close()


@pytest.mark.parametrize("name", ["a", None])
async def test_a_readers_question_is_waited_for_without_blocking(
    tmp_path: Path, name: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the reader came between the making of a new file and its locking."""
    probes: list[int] = []
    real = Session.take_file

    def take_file(session: Session, **more: Any) -> bool:
        if not probes:
            fd = os.open(session.path, os.O_RDONLY | os.O_CREAT)
            assert try_lock(fd, shared=True)
            probes.append(fd)
        return real(session, **more)

    monkeypatch.setattr(Session, "take_file", take_file)
    opening = asyncio.create_task(pool(tmp_path).open(name))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not opening.done()
    os.close(probes[0])
    entry = await opening
    entry.begin(request()).end("complete")
    entry.close()
    assert entry.path is not None
    assert kinds(entry.path)[-1] == "close"
