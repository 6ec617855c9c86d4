"""What it costs to follow a running answer, beside handing out its chunks from memory.

A writer records one stream at a steady pace, and followers in one or several processes read it.
Each chunk holds the time at which its write began, so that a follower can tell how late it got it.
The same number of tasks, in as many processes, get the same chunks from memory for comparison.
CPU is user and kernel time; that of the writer counts only where it is in the followers' process.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from child_process import Figures, serve

import vesselog
from vesselog.core.exchange import Step
from vesselog.core.frame import Frame
from vesselog.core.framing import Framing
from vesselog.core.make_chunk import make_chunk
from vesselog.core.truth.call_writer import CallWriter
from vesselog.core.truth.session import Session

_SESSION = "followed"


def following(
    followers: int, processes: int, rate: int, chunks: int, *, with_writer: bool = False
) -> Figures:
    """Followers in other processes than the writer, or, in one process, with it.

    percent: of a core, for all followers. handed_percent: the same for chunks from memory.
    beside_percent: the difference.
    """
    each = {"followers": followers // processes, "rate": rate, "chunks": chunks}
    if with_writer:
        measured = [_spoken([_child("with_writer", each)])]
    else:
        with tempfile.TemporaryDirectory() as folder:
            writer = _child("writer", {"folder": folder, "rate": rate, "chunks": chunks})
            path = _line(writer)["path"]
            readers = [
                _child("readers", {"path": path, "followers": each["followers"]})
                for _ in range(processes)
            ]
            for reader in readers:
                _line(reader)
            _tell(writer)
            measured = [_spoken(readers)]
            _spoken([writer])
    handed = _spoken([_child("handed", each) for _ in range(processes)])
    (found,) = measured
    late = sorted(late for result in found for late in result["late_ms"])
    percent, least = (sum(result["percent"] for result in part) for part in (found, handed))
    return {
        "percent": percent,
        "handed_percent": least,
        "beside_percent": percent - least,
        "p50_ms": statistics.median(late),
        "p99_ms": late[len(late) * 99 // 100],
    }


def writer(folder: str, rate: int, chunks: int) -> None:
    """A process that writes one stream, once it is told to go on after the first chunk."""
    session, call = _begin(Path(folder))
    print(json.dumps({"path": str(session.path)}), flush=True)
    sys.stdin.readline()
    _write(session, call, rate, chunks)
    print(json.dumps({}), flush=True)


def readers(path: str, followers: int) -> None:
    """A process of followers."""
    asyncio.run(_follow(Path(path), followers, lambda: print(json.dumps({}), flush=True)))


def with_writer(followers: int, rate: int, chunks: int) -> None:
    """Followers and the writer, which has a thread of its own, in one process."""
    with tempfile.TemporaryDirectory() as folder:
        session, call = _begin(Path(folder))
        writing = threading.Thread(target=_write, args=(session, call, rate, chunks))
        asyncio.run(_follow(session.path, followers, writing.start))
        writing.join()


def handed(followers: int, rate: int, chunks: int) -> None:
    """A process in which as many tasks get such chunks from memory."""
    asyncio.run(_hand_out(followers, rate, chunks))


async def _follow(path: Path, followers: int, ready: Callable[[], None]) -> None:
    await _measure([vesselog.follow(path, call=1).__aiter__() for _ in range(followers)], ready)


async def _hand_out(followers: int, rate: int, chunks: int) -> None:
    loop = asyncio.get_running_loop()
    waiting: list[asyncio.Future[vesselog.StreamChunk | None]] = []
    go = asyncio.Event()

    async def consume() -> AsyncIterator[vesselog.StreamChunk]:
        while True:
            future: asyncio.Future[vesselog.StreamChunk | None] = loop.create_future()
            waiting.append(future)
            chunk = await future
            if chunk is None:
                return
            yield chunk

    async def produce() -> None:
        for seq in range(-1, chunks + 1):
            if seq == 0:
                await go.wait()
            await asyncio.sleep(1 / rate)
            done = seq == chunks
            fields = {"seq": seq + 1, "text": str(time.monotonic_ns())}
            chunk = None if done else make_chunk(fields, 0.0, "{}", 1)
            woken = waiting.copy()
            waiting.clear()
            for future in woken:
                future.set_result(chunk)

    producer = loop.create_task(produce())
    await _measure([consume() for _ in range(followers)], go.set)
    await producer


async def _measure(
    sources: list[AsyncIterator[vesselog.StreamChunk]], ready: Callable[[], None]
) -> None:
    """Read all; say how late the chunks were, and what it cost once each has got the first."""
    late: list[float] = []
    began: list[float] = []

    async def read(source: AsyncIterator[vesselog.StreamChunk]) -> None:
        async for chunk in source:
            if chunk.seq == 0:
                began.append(time.process_time())
                if len(began) == len(sources):
                    began[:] = [time.process_time(), time.monotonic()]
                    ready()
            else:
                late.append((time.monotonic_ns() - int(chunk.text)) / 1e6)

    await asyncio.gather(*(read(source) for source in sources))
    spent, passed = time.process_time() - began[0], time.monotonic() - began[1]
    print(json.dumps({"percent": 100 * spent / passed, "late_ms": late}), flush=True)


def _begin(folder: Path) -> tuple[Session, CallWriter]:
    session = Session.open(folder, _SESSION)
    call = session.begin({"vessel": "ollama", "model": "m", "method": "POST", "url": "http://x/"})
    _write_one(call, 0)
    return session, call


def _write(session: Session, call: CallWriter, rate: int, chunks: int) -> None:
    due = time.monotonic()
    for seq in range(1, chunks + 1):
        due += 1 / rate
        time.sleep(max(0.0, due - time.monotonic()))
        _write_one(call, seq)
    call.end("complete")
    session.close()


def _write_one(call: CallWriter, seq: int) -> None:
    frame = Frame(b'{"message":{"content":"light"},"done":false}\n', Framing.NDJSON)
    fields: dict[str, Any] = {"seq": seq, "text": str(time.monotonic_ns())}
    with call.write_lock as t:
        call.frames([Step(frame, fields=(fields,))], t)


def _child(name: str, settings: dict[str, Any]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, __file__, name, json.dumps(settings)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _line(child: subprocess.Popen[str]) -> Any:
    assert child.stdout is not None
    return json.loads(child.stdout.readline())


def _tell(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    child.stdin.write("\n")
    child.stdin.flush()


def _spoken(children: list[subprocess.Popen[str]]) -> list[Any]:
    """What these processes say last, once they have ended."""
    outputs = [child.communicate()[0] for child in children]
    if any(child.returncode for child in children):
        raise RuntimeError("a process of the measurement failed")
    return [json.loads(output.splitlines()[-1]) for output in outputs]


if __name__ == "__main__":
    ROLES = {"writer": writer, "readers": readers, "with_writer": with_writer, "handed": handed}
    if sys.argv[1] in ROLES:
        ROLES[sys.argv[1]](**json.loads(sys.argv[2]))
    else:
        serve({"following": following})
