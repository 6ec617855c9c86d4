"""What followers of one file share: the parsed lines, and being woken."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from patience import PATIENCE
from sessions import record, request, step, write
from vesselog import StreamChunk, follow
from vesselog.core.follow import tail as module
from vesselog.core.follow.tail import Tail
from vesselog.core.truth.session import Session


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Where in the file something was parsed."""
    found: list[int] = []
    scan = module.scan

    def scan_and_tell(path, *, offset, number):
        for line in scan(path, offset=offset, number=number):
            found.append(line.offset)
            yield line

    monkeypatch.setattr(module, "scan", scan_and_tell)
    return found


async def test_each_line_is_parsed_once_for_all_followers(tmp_path: Path, scans: list[int]) -> None:
    session = Session.open(tmp_path, "a")
    writer = session.begin(request())
    seen = [asyncio.Queue[StreamChunk]() for _ in range(20)]

    async def read(queue: asyncio.Queue[StreamChunk]) -> None:
        async for chunk in follow(session.path):
            queue.put_nowait(chunk)

    readers = [asyncio.ensure_future(read(queue)) for queue in seen]
    write(writer, [step(0)])
    for seq in range(1, 30):
        chunks = [await queue.get() for queue in seen]
        assert {id(chunk) for chunk in chunks} == {id(chunks[0])}
        write(writer, [step(seq)])
    writer.end("complete")
    session.close()
    await asyncio.gather(*readers)
    assert len(scans) == len(set(scans))


def test_threads_share_what_one_of_them_has_parsed(tmp_path: Path, scans: list[int]) -> None:
    session = Session.open(tmp_path, "a")
    writer = session.begin(request())
    written = threading.Barrier(9)

    def read() -> list[str]:
        texts = []
        for chunk in follow(session.path):
            texts.append(chunk.text)
            written.wait(PATIENCE)
        return texts

    write(writer, [step(0, "0")])
    with ThreadPoolExecutor(8) as pool:
        found = [pool.submit(read) for _ in range(8)]
        for seq in range(1, 11):
            written.wait(PATIENCE)
            write(writer, [step(seq, str(seq))])
        written.wait(PATIENCE)
        writer.end("complete")
        session.close()
        assert {" ".join(each.result(PATIENCE)) for each in found} == {
            " ".join(map(str, range(11)))
        }
    assert len(scans) == len(set(scans))


def test_tasks_of_several_loops_and_threads_are_all_woken(tmp_path: Path) -> None:
    """By a writer in yet another thread, and long before the slow look would find anything."""
    session = Session.open(tmp_path, "a")
    writer = session.begin(request())
    taken = threading.Semaphore(0)

    def read() -> int:
        count = 0
        for _ in follow(session.path, poll=PATIENCE):
            count += 1
            taken.release()
        return count

    async def read_in_a_task() -> int:
        count = 0
        async for _ in follow(session.path, poll=PATIENCE):
            count += 1
            taken.release()
        return count

    write(writer, [step(0)])
    with ThreadPoolExecutor(4) as pool:
        found = [pool.submit(read) for _ in range(2)]
        found += [pool.submit(lambda: asyncio.run(read_in_a_task())) for _ in range(2)]
        for seq in range(1, 200):
            for _ in found:
                assert taken.acquire(timeout=PATIENCE)
            write(writer, [step(seq)])
        writer.end("complete")
        session.close()
        assert [each.result(PATIENCE) for each in found] == [200] * 4


def test_slow_followers_get_what_is_no_longer_shared(tmp_path: Path) -> None:
    path = record(tmp_path, texts=["x" * 300] * 1_000)
    fast, slow = iter(follow(path)), iter(follow(path))
    first = next(slow)
    chunks = list(fast)
    assert [first, *slow] == chunks
    assert len(chunks) == 1_000


def test_a_loop_that_was_closed_is_forgotten(tmp_path: Path) -> None:
    path = record(tmp_path)
    status = path.stat()
    tail = Tail(path, (status.st_dev, status.st_ino))
    loop = asyncio.new_event_loop()
    waiting = loop.create_task(tail.wait_async(tail.version, None))
    loop.run_until_complete(asyncio.sleep(0))
    assert list(tail._loops) == [loop]
    waiting.cancel()
    loop.run_until_complete(asyncio.gather(waiting, return_exceptions=True))
    loop.close()
    tail.wake()
    assert tail._loops == {}


async def test_a_wait_ends_at_its_time_or_at_once_if_something_is_new(tmp_path: Path) -> None:
    path = record(tmp_path)
    tail = Tail(path, (0, 0))
    tail.wait(tail.version, 0.0)
    await tail.wait_async(tail.version, 0.001)
    tail.wait(tail.version - 1, None)
    await tail.wait_async(tail.version - 1, None)
    waiting = asyncio.ensure_future(tail.wait_async(tail.version, None))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not any(news._waiters for news in tail._loops.values())  # type: ignore[attr-defined]
    assert not tail._threads
