"""The ways in which a stream is left, at random moments, and what must be left of it then."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from pathlib import Path

from amounts import amount
from invariants import Yielded, check, yielded_from
from loopback import Conversation
from patience import PATIENCE
from producing import producing_lines
from vesselog import AsyncClient, AsyncStream, Client, Stream

__all__ = [
    "FRAMES",
    "WAYS",
    "check_files",
    "descriptors",
    "leave",
    "leave_all",
    "threads",
    "trickling",
]

FRAMES = 6

WAYS = (
    "break",
    "cancel",
    "cancel-task",
    "cancel-task-twice",
    "drop",
    "exception",
    "from-a-thread",
    "timeout",
    "whole",
)


class Enough(Exception):  # noqa: N818 - a caller's own
    """The caller has seen enough."""


def trickling(conversation: Conversation) -> None:
    """Each frame in its own packets, so that a cancel may hit anywhere."""
    pause = threading.Event()
    prompt = conversation.request.json["messages"][-1]["content"]
    conversation.begin()
    for each in producing_lines(FRAMES)(prompt):
        pause.wait(0.001)
        conversation.chunk(each)
    conversation.end()


def descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def threads() -> list[str]:
    """The names of all threads but those of asyncio's own, for `to_thread`."""
    names = sorted(each.name for each in threading.enumerate())
    return [name for name in names if not name.startswith("asyncio_")]


def check_files(folder: Path, yielded: list[Yielded]) -> Counter[str]:
    given: dict[Path, list[Yielded]] = {}
    for each in yielded:
        given.setdefault(each.path.absolute(), []).append(each)
    paths = set(folder.glob("*.jsonl"))
    assert yielded
    assert given.keys() <= paths
    outcomes: Counter[str] = Counter()
    for path in paths:
        calls = check(path, yielded=given.get(path, ()), produced=producing_lines(FRAMES))
        outcomes.update(call.outcome for call in calls)
    assert set(outcomes) <= {"abandoned", "cancelled", "complete"}, outcomes
    return outcomes


async def leave(
    client: AsyncClient, number: int, chance: random.Random, yielded: list[Yielded]
) -> None:
    """Begin a stream and leave it at a random await in a random way."""
    way = chance.choice(WAYS)
    moment, ticks = chance.random() * 0.015, chance.randrange(60)
    wanted = chance.randrange(FRAMES)
    session = "shared" if chance.random() < 0.2 else None
    stream: AsyncStream = client.stream("lab/m", str(number), session=session)

    async def wait() -> None:
        if number % 2:
            await asyncio.sleep(moment)
        else:
            for _ in range(ticks):
                await asyncio.sleep(0)

    async def listen(enough: int = FRAMES + 9) -> None:
        async with stream:
            seen = 0
            async for chunk in stream:
                yielded.append(yielded_from(stream, chunk))
                seen += 1
                if seen > enough:
                    if way == "exception":
                        raise Enough
                    break

    if way == "drop":
        await stream.__aenter__()
        with suppress(StopAsyncIteration):
            yielded.append(yielded_from(stream, await anext(stream)))
        return
    if way == "timeout":
        with suppress(TimeoutError):
            async with asyncio.timeout(moment):
                await listen()
        return
    task = asyncio.create_task(listen(wanted if way in {"break", "exception"} else FRAMES + 9))
    if way not in {"break", "exception", "whole"}:
        await wait()
    if way == "cancel":
        stream.cancel()
    elif way == "from-a-thread":
        await asyncio.to_thread(stream.cancel)
    elif way.startswith("cancel-task"):
        task.cancel()
        if way.endswith("twice"):
            for _ in range(chance.randrange(3)):
                await asyncio.sleep(0)
            task.cancel()
    (result,) = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(result, asyncio.CancelledError | Enough | None), repr(result)


def leave_in_thread(
    client: Client, number: int, chance: random.Random, yielded: list[Yielded]
) -> Callable[[], None]:
    """A job: begin a stream and leave it at a random moment in a random way."""
    way = chance.choice(WAYS)
    moment, wanted = chance.random() * 0.015, chance.randrange(FRAMES)
    session = "shared" if chance.random() < 0.2 else None

    def leave() -> None:
        stream: Stream = client.stream("lab/m", str(number), session=session)
        timer = threading.Timer(moment, stream.cancel)
        if way in {"cancel", "from-a-thread", "timeout"}:
            timer.start()
        try:
            if way == "drop":
                stream.__enter__()
                yielded.extend(yielded_from(stream, chunk) for chunk in islice(stream, 1))
                return
            with stream:
                for seen, chunk in enumerate(stream):
                    yielded.append(yielded_from(stream, chunk))
                    if seen >= wanted and way == "exception":
                        raise Enough
                    if seen >= wanted and way == "break":
                        break
        except Enough:
            pass
        finally:
            timer.cancel()
            if timer.ident is not None:
                timer.join()

    return leave


def leave_all(pool: ThreadPoolExecutor, client: Client, total: int, yielded: list[Yielded]) -> None:
    chance = random.Random(amount("SEED"))
    leaving = [leave_in_thread(client, number, chance, yielded) for number in range(total)]
    for job in [pool.submit(each) for each in leaving]:
        job.result(PATIENCE)
