"""Answers to the browser over real servers: readers who leave and return, and servers that die.

The chat example runs under uvicorn in processes of its own.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from amounts import amount
from chat_page import served_by_command
from loopback import Conversation, LoopbackServer, ollama_lines
from patience import PATIENCE
from reporting import Figure
from resuming import Answer, Event, Visitor, events_of, visitor
from sessions import read

pytestmark = pytest.mark.faults

WITH_IDS = ("vesselog", "openai", "ai-sdk", "ag-ui")
WORKERS = "4"


@asynccontextmanager
async def chatting() -> AsyncIterator[aiohttp.ClientSession]:
    """A client that opens a connection for each request: with several workers, to any of them."""
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=jar) as http:
        yield http


def telling(words: list[str], pause: float) -> Callable[[Conversation], None]:
    """A model that tells these words at a pace."""

    def script(talk: Conversation) -> None:
        talk.head(connection="close")
        for line in ollama_lines(*words):
            talk.chunk(line)
            time.sleep(pause)
        talk.end()

    return script


def settings(model: LoopbackServer) -> dict[str, str]:
    return {"OLLAMA_HOST": model.url, "CHAT_MODEL": "ollama/m"}


def text_of(events: list[Event], protocol: str = "vesselog") -> str:
    """The text in the events. A protocol of parts begins again after each break."""
    found: list[str] = []
    for event in events:
        match protocol, event.data:
            case "vesselog", {"text": text}:
                found.append(text)
            case "openai", {"choices": [{"delta": {"content": text}}]}:
                found.append(text)
            case "ai-sdk", {"type": "text-delta", "delta": text}:
                found.append(text)
            case "ag-ui", {"type": "TEXT_MESSAGE_CONTENT", "delta": text}:
                found.append(text)
            case "ai-sdk", {"type": "start"}:
                found.clear()
            case "ag-ui", {"type": "RUN_STARTED"}:
                found.clear()
            case _:
                pass
    return "".join(found)


async def detached(user: Visitor) -> None:
    """Ask, read the first event and leave: the answer goes on."""
    async with user.ask("Tell") as response:
        assert response.status == 200
        await anext(aiter(events_of(response)))


@pytest.mark.parametrize("workers", ["1", WORKERS])
async def test_a_client_that_drops_after_every_kth_event_ends_with_the_identical_text(
    tmp_path: Path, workers: str, figure: Figure
) -> None:
    """For every k, while the answer is written, and afterwards at its pace and at full speed."""
    words = [f"word{number} " for number in range(24)]
    connections = 0
    with (
        LoopbackServer([telling(words, 0.1)]) as model,
        served_by_command(tmp_path, "--workers", workers, **settings(model)) as (_, url),
    ):
        async with chatting() as http:
            user = await visitor(http, url)

            async def follow(protocol: str, every: int, speed: str) -> None:
                nonlocal connections
                query = f"call=1&after=-1&protocol={protocol}&speed={speed}"
                if protocol in {"ai-sdk", "ag-ui"}:  # sent from the beginning each time
                    answer = Answer()
                    await user.read(answer, every, query)
                    while not answer.ended:
                        await user.read(answer, query=query)
                else:
                    answer = await user.read_all(every, query)
                    ids = [event.id for event in answer.events]
                    assert ids == [
                        *(f"{user.session}:1:{seq}" for seq in range(len(words) + 1)),
                        f"{user.session}:1:end",
                    ]
                connections += answer.connections
                assert text_of(answer.events, protocol) == "".join(words), (protocol, every, speed)

            async def all_of_them(speed: str) -> None:
                await asyncio.gather(
                    *(
                        follow(protocol, every, speed)
                        for protocol in WITH_IDS
                        for every in range(1, len(words) + 3)
                    )
                )

            await detached(user)
            await all_of_them("max")  # while it is written
            await all_of_them("max")
            await all_of_them("1")
    assert len(model.requests) == 1
    figure(f"answers resumed, {workers} workers: {connections} connections, no gap")


async def test_readers_of_an_answer_whose_worker_is_killed_are_told_that_it_was_interrupted(
    tmp_path: Path,
) -> None:
    words = [f"word{number} " for number in range(8)]

    def script(talk: Conversation) -> None:
        talk.head()
        for line in ollama_lines(*words)[:-1]:
            talk.chunk(line)
        talk.wait_for_hangup()

    with (
        LoopbackServer([script]) as model,
        served_by_command(tmp_path, "--workers", WORKERS, **settings(model)) as (_, url),
    ):
        async with chatting() as http, asyncio.timeout(PATIENCE):
            user = await visitor(http, url)
            await detached(user)
            answers = [Answer() for _ in range(40)]

            async def follow(answer: Answer, every: float) -> None:
                while not answer.ended:
                    await user.read(answer, every)

            following = [
                asyncio.create_task(follow(answer, 1 + place % 4 if place % 2 else 1e9))
                for place, answer in enumerate(answers)
            ]
            await until(lambda: all(text_of(answer.events) == "".join(words) for answer in answers))
            (path,) = (tmp_path / "recordings").glob("*.jsonl")
            writer = next(line["pid"] for line in read(path) if line["type"] == "open")
            os.kill(writer, signal.SIGKILL)
            await asyncio.gather(*following)
    for answer in answers:
        assert text_of(answer.events) == "".join(words)
        assert (answer.events[-1].name, answer.events[-1].data["code"]) == ("error", "interrupted")


async def test_a_stop_reaches_the_worker_that_has_the_answer(tmp_path: Path) -> None:
    """Most of these stops come to another one."""

    def script(talk: Conversation) -> None:
        talk.head()
        talk.chunk(ollama_lines("One")[0])
        talk.wait_for_hangup()

    with (
        LoopbackServer([script]) as model,
        served_by_command(tmp_path, "--workers", WORKERS, **settings(model)) as (_, url),
    ):
        async with chatting() as http:
            for _ in range(12):
                user = await visitor(http, url)
                await detached(user)
                address = f"{url}/sessions/{user.session}/stop"
                async with http.post(address, cookies=user.cookies) as stopped:
                    assert stopped.status == 204
                answer = await user.read_all(1e9, "call=1&after=-1")
                assert answer.events[-1].data["outcome"] == "cancelled"


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            if holds():
                return
            await asyncio.sleep(0.01)


async def watch(http: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    async with http.get(f"{url}/watch") as response:
        held: dict[str, Any] = await response.json()
        return held


async def settled(http: aiohttp.ClientSession, url: str, before: dict[str, Any]) -> dict[str, Any]:
    """What the server holds once its connections are closed; it must be what it held before."""
    async with asyncio.timeout(PATIENCE):
        while True:
            held = await watch(http, url)
            if all(held[each] <= before[each] for each in ("tasks", "descriptors")):
                return held
            await asyncio.sleep(0.05)


async def test_many_readers_of_one_running_answer(tmp_path: Path, figure: Figure) -> None:
    readers = amount("READERS")
    words = [f"word{number} " for number in range(60)]
    all_there = asyncio.Event()
    answers = [Answer() for _ in range(readers)]
    loop = asyncio.get_running_loop()

    def wait_for(happening: Coroutine[Any, Any, object]) -> None:
        asyncio.run_coroutine_threadsafe(happening, loop).result(PATIENCE)

    def script(talk: Conversation) -> None:
        """Each chunk is sent once all readers have the one before it."""
        talk.head(connection="close")
        lines = ollama_lines(*words)
        talk.chunk(lines[0])
        wait_for(all_there.wait())
        for count, line in enumerate(lines[1:], 1):
            wait_for(until(lambda count=count: all(len(each.events) >= count for each in answers)))
            talk.chunk(line)
        talk.end()

    with (
        LoopbackServer([script]) as model,
        served_by_command(tmp_path, watched=True, **settings(model)) as (_, url),
    ):
        async with chatting() as http:
            user = await visitor(http, url)
            await settled(http, url, await watch(http, url))
            before = await watch(http, url)
            await detached(user)
            reading = [asyncio.create_task(user.read(answer)) for answer in answers]
            await until(lambda: all(answer.events for answer in answers))
            during = await watch(http, url)
            all_there.set()
            await asyncio.gather(*reading)
            told = await watch(http, url)
            after = await settled(http, url, before)
    for answer in answers:
        assert answer.ended
        assert [event.id for event in answer.events[:-1]] == [
            f"{user.session}:1:{seq}" for seq in range(len(words) + 1)
        ]
    memory = (during["bytes"] - before["bytes"]) / readers / 1024
    cpu = (told["cpu"] - during["cpu"]) / readers / len(words) * 1e6
    figure(
        f"{readers} readers of one answer: {memory:.0f} KiB a reader, "
        f"{cpu:.0f} us CPU a reader and chunk; afterwards "
        f"{(after['bytes'] - before['bytes']) / 2**20:.1f} MiB more than before",
    )


async def test_many_users_leave_and_return_at_random(tmp_path: Path, figure: Figure) -> None:
    """In two rounds: what the second one leaves behind would be a leak."""
    users, seconds, dice = amount("USERS"), amount("LEAVING_SECONDS"), random.Random(amount("SEED"))
    words = [f"word{number} " for number in range(seconds * 2)]
    connections = 0

    async def use(user: Visitor, call: int) -> None:
        nonlocal connections
        answer = Answer(connections=1)
        async with user.ask("Tell") as response:
            stay = dice.randrange(1, 12)
            async for event in events_of(response):
                answer.events.append(event)
                if len(answer.events) >= stay:
                    break
        while not answer.ended:
            await asyncio.sleep(dice.expovariate(2))
            await user.read(answer, dice.randrange(1, 12))
        connections += answer.connections
        assert [event.id for event in answer.events] == [
            *(f"{user.session}:{call}:{seq}" for seq in range(len(words) + 1)),
            f"{user.session}:{call}:end",
        ]
        assert text_of(answer.events) == "".join(words)
        assert answer.events[-1].data["outcome"] == "complete"

    with (
        LoopbackServer([telling(words, 0.25)]) as model,
        served_by_command(tmp_path, watched=True, **settings(model)) as (_, url),
    ):
        async with chatting() as http:
            everyone = [await visitor(http, url) for _ in range(users)]
            await settled(http, url, await watch(http, url))
            held = [await watch(http, url)]
            for call in (1, 2):
                await asyncio.gather(*(use(user, call) for user in everyone))
                held.append(await settled(http, url, held[0]))
    assert len(model.requests) == users * 2
    grown = [(later["bytes"] - before["bytes"]) / 2**20 for before, later in pairwise(held)]
    objects = held[2]["objects"] - held[1]["objects"]
    assert objects < users, f"{objects} objects are left behind by {users} answers"
    figure(
        f"{users} users who leave and return for {seconds} s: {connections} connections, "
        f"{held[-1]['cpu'] - held[0]['cpu']:.1f} s CPU; memory grew by {grown[0]:.1f} MiB in the "
        f"first half, {grown[1]:.1f} MiB in the second, which left {objects} objects behind"
    )


@pytest.mark.parametrize("gunicorn", [False, True])
async def test_a_server_that_is_told_to_stop_ends_every_answer(
    tmp_path: Path, *, gunicorn: bool
) -> None:
    """Half of the users have left; the others get a terminal event."""
    streams, bound = 50, 10 if gunicorn else 2

    def script(talk: Conversation) -> None:
        talk.head()
        talk.chunk(ollama_lines("One")[0])
        talk.wait_for_hangup()

    limit = () if gunicorn else ("--timeout-graceful-shutdown", str(bound))
    with (
        LoopbackServer([script]) as model,
        served_by_command(tmp_path, *limit, gunicorn=gunicorn, **settings(model)) as (
            process,
            url,
        ),
    ):
        async with chatting() as http:
            everyone = [await visitor(http, url) for _ in range(streams)]
            answers: list[Answer] = []

            async def stay(user: Visitor, answer: Answer) -> None:
                async with user.ask("Tell") as response:
                    async for event in events_of(response):
                        answer.events.append(event)

            await asyncio.gather(*(detached(user) for user in everyone[::2]))
            answers = [Answer() for _ in everyone[1::2]]
            staying = [
                asyncio.create_task(stay(user, answer))
                for user, answer in zip(everyone[1::2], answers, strict=True)
            ]
            await until(lambda: all(answer.events for answer in answers))
            begun = time.monotonic()
            process.terminate()
            await asyncio.to_thread(process.wait, PATIENCE)
            took = time.monotonic() - begun
            await asyncio.gather(*staying)
    assert took < bound + 10, f"it took {took:.1f} s"
    for answer in answers:
        assert answer.ended
        assert (answer.events[-1].name, answer.events[-1].data["code"]) == (
            "error",
            "server_stopping",
        )
    paths = list((tmp_path / "recordings").glob("*.jsonl"))
    assert len(paths) == streams
    for path in paths:
        lines = read(path)
        assert [line["outcome"] for line in lines if line["type"] == "end"] == ["cancelled"]
        assert lines[-1]["type"] == "close"
