"""The async driver, from outside: what it leaves in the event loop."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from loopback import LoopbackServer
from vesselog import AsyncClient
from vesselog.vessels import Ollama


@pytest.mark.parametrize("fast", [False, True])
async def test_a_stream_that_is_over_leaves_no_timer_that_holds_it(*, fast: bool) -> None:
    """Ten thousand streams would be held for as long as their timers run."""
    if fast:
        pytest.importorskip("httpx_aiohttp")
    loop: Any = asyncio.get_running_loop()
    with LoopbackServer([lambda talk: talk.answer("Hel", "lo")]) as server:
        vessels = {"own": Ollama(base_url=server.url)}
        async with AsyncClient(vessels=vessels, fast=fast) as client:
            for _ in range(3):
                async with client.stream("own/m", "Hi") as stream:
                    async for _chunk in stream:
                        pass
    held = [timer for timer in loop._scheduled if not timer.cancelled()]
    assert [timer for timer in held if _ours(timer)] == []


def _ours(timer: Any) -> bool:
    return timer._callback.__module__.startswith("vesselog")
