"""What is only true of the async client; the rest stands in test_client.py, for both."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from loopback import Conversation, LoopbackServer
from patience import PATIENCE
from vesselog import AsyncClient, ClientStateError
from vesselog.vessels.ollama import Ollama

EVERY_TRANSPORT = pytest.mark.parametrize(
    "fast", [{"fast": False}, {"fast": True}], ids=["plain", "fast"]
)


def client_of(server: LoopbackServer, **settings: Any) -> AsyncClient:
    return AsyncClient(vessels={"lab": Ollama(base_url=server.url)}, environment={}, **settings)


def answer(conversation: Conversation) -> None:
    conversation.answer("Hi", " there")


@EVERY_TRANSPORT
async def test_the_loop_stays_free_while_a_server_is_silent(fast: Any):
    release = threading.Event()

    def waits(conversation: Conversation) -> None:
        release.wait(PATIENCE)
        conversation.answer("Hi")

    with LoopbackServer([waits]) as server:
        async with client_of(server, **fast) as client:
            asking = asyncio.create_task(client.complete("lab/m", "hi"))
            for _ in range(5):
                await asyncio.sleep(0)
            assert not asking.done()
            release.set()
            assert (await asking).text == "Hi"


@EVERY_TRANSPORT
async def test_ten_urls_at_once(fast: Any):
    """As in `asyncio.gather` over ten requests of which one is slow."""
    release = threading.Event()

    def slow(conversation: Conversation) -> None:
        release.wait(PATIENCE)
        conversation.answer("slow")

    with LoopbackServer([slow]) as slow_server, LoopbackServer([answer]) as server:
        vessels = {"slow": Ollama(base_url=slow_server.url), "lab": Ollama(base_url=server.url)}
        async with AsyncClient(vessels=vessels, environment={}, **fast) as client:
            slow_one = asyncio.create_task(client.complete("slow/m", "hi"))
            nine = await asyncio.gather(*(client.complete("lab/m", "hi") for _ in range(9)))
            assert [completion.text for completion in nine] == ["Hi there"] * 9
            assert not slow_one.done()
            release.set()
            assert (await slow_one).text == "slow"


def test_outside_a_loop_it_says_so():
    client = AsyncClient(environment={})
    with pytest.raises(ClientStateError, match="event loop"):
        client.stream("ollama/m", "hi")


def test_in_another_loop_it_says_so():
    with LoopbackServer([answer]) as server:
        client = client_of(server)

        async def ask() -> Any:
            return await client.complete("lab/m", "hi")

        async def ask_and_close() -> None:
            await ask()
            await client.aclose()

        loop = asyncio.new_event_loop()
        loop.run_until_complete(ask())
        with pytest.raises(ClientStateError, match="another event loop"):
            asyncio.run(ask())
        with pytest.raises(ClientStateError, match="another event loop"):
            asyncio.run(client.models("lab"))
        loop.run_until_complete(ask_and_close())
        loop.close()


async def test_closing_twice_is_fine():
    with LoopbackServer([answer]) as server:
        client = client_of(server)
        await client.complete("lab/m", "hi")
        await client.aclose()
        await client.aclose()
