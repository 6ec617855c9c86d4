"""Every client that is measured, by name, and how to open it.

A name that begins with "vesselog" is this library in one of its variants (`vesselog_clients.py`);
any other is a peer (`peers.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager

from peers import ASYNC_PEERS, SYNC_PEERS, Ask, AsyncAsk, Seen

__all__ = ["CLIENTS", "is_peer", "open_client"]

_FAST = ("httpx_aiohttp",)
# With the modules that must be installed for it.
CLIENTS: dict[str, tuple[str, ...]] = {
    "barest": ("httptools",),
    "httpx": (),
    "httpx-sync": (),
    "httpx-ndjson": (),
    "aiohttp": ("aiohttp",),
    "aiohttp-file": ("aiohttp",),
    "openai": ("openai",),
    "ollama": ("ollama",),
    "litellm": ("litellm",),
    "pydantic-ai": ("pydantic_ai",),
    "vesselog": (),
    "vesselog-unrecorded": (),
    "vesselog-interval": (),
    "vesselog-power": (),
    "vesselog-fast": _FAST,
    "vesselog-fast-unrecorded": _FAST,
    "vesselog-fast-interval": _FAST,
    "vesselog-sync": (),
    "vesselog-sync-unrecorded": (),
    "vesselog-sync-fast": _FAST,
    "vesselog-ollama": (),
    "vesselog-fast-ollama": _FAST,
}


def is_peer(client: str) -> bool:
    """Whether it is another client than this library's."""
    return not client.startswith("vesselog")


@asynccontextmanager
async def open_client(client: str, address: str, streams: int) -> AsyncGenerator[AsyncAsk]:
    """`ask` of any client; that of a sync one runs in a thread for each of so many streams."""
    if client in ASYNC_PEERS:
        opened = ASYNC_PEERS[client](address)
    elif client in SYNC_PEERS:
        opened = _in_threads(SYNC_PEERS[client](address), streams)
    else:
        import vesselog_clients  # loads vesselog

        if "sync" in client.split("-"):
            opened = _in_threads(vesselog_clients.open_sync(client, address), streams)
        else:
            opened = vesselog_clients.open_async(client, address)
    async with opened as ask:
        yield ask


@asynccontextmanager
async def _in_threads(
    opened: AbstractContextManager[Ask], streams: int
) -> AsyncGenerator[AsyncAsk]:
    loop = asyncio.get_running_loop()
    with opened as ask_sync, ThreadPoolExecutor(streams) as threads:

        async def ask(seen: Seen) -> None:
            await loop.run_in_executor(threads, ask_sync, seen)

        yield ask
