"""What was read and not taken yet, between the task that owns a connection and its caller."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from loopback import Conversation, LoopbackServer, ollama_lines
from vesselog import AsyncClient, ClientStateError
from vesselog.core.client.read_ahead import ReadAhead
from vesselog.vessels import Ollama

MANY: Any = cast("list[Any]", [object()] * 300)


async def test_steps_are_taken_in_order():
    ahead = ReadAhead()
    ahead.put([1, 2, 3])  # type: ignore[list-item]
    assert ahead.take(2) == [1, 2]
    ahead.put([4])  # type: ignore[list-item]
    assert ahead.take(9) == [3, 4]


async def test_room_is_waited_for_only_while_it_is_full():
    ahead = ReadAhead()
    async with asyncio.timeout(10):
        await ahead.room()
        ahead.put(MANY)
        assert ahead.full
        ahead.take(300)
        await ahead.room()  # taken before anybody waited
        ahead.put(MANY * 2)
        waiting = asyncio.create_task(ahead.room())
        await asyncio.sleep(0)
        ahead.take(10)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not waiting.done(), "it is full yet"
        ahead.take(500)
        await waiting


async def test_two_cannot_wait_for_news():
    ahead = ReadAhead()
    first = asyncio.create_task(ahead.news())
    await asyncio.sleep(0)
    with pytest.raises(ClientStateError):
        await ahead.news()
    ahead.wake()
    await first


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("every", [1, 100, 257, 1000])
async def test_a_burst_reaches_a_caller_who_looks_up_now_and_then(fast: bool, every: int):  # noqa: FBT001
    """Who of the two goes first when the caller has room again is the event loop's choice."""

    def bursts(conversation: Conversation) -> None:
        conversation.begin()
        lines = ollama_lines(*["word"] * 4000)
        for start in range(0, len(lines), 500):
            conversation.chunk(b"".join(lines[start : start + 500]))
        conversation.end()

    with LoopbackServer([bursts]) as server:
        vessels = {"own": Ollama(base_url=server.url)}
        async with (
            asyncio.timeout(60),
            AsyncClient(vessels=vessels, fast=fast, recordings=None) as client,
            client.stream("own/m", "Hi") as stream,
        ):
            count = 0
            async for _chunk in stream:
                count += 1
                if count % every == 0:
                    await asyncio.sleep(0)
        assert stream.completion.text == "word" * 4000
