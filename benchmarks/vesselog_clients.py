"""vesselog's own clients, asked the same question as the peers.

A name is `vesselog`, then words that choose the variant: `sync`, `fast`, `ollama` (its dialect),
`unrecorded`, or a level of durability. Without them: async, over httpx's own transport, in OpenAI's
dialect, recorded at the default level. Only the public interface is used, so that an earlier commit
can be measured by the same code.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from peers import API_KEY, PROMPT, Ask, AsyncAsk, Seen
from sample_answer import MODEL

import vesselog
from vesselog.vessels import Ollama, OpenAI

__all__ = ["open_async", "open_sync"]

_LEVELS = ("process", "interval", "power")


def _client_settings(name: str, address: str, folder: str) -> dict[str, Any]:
    """The settings of either client. Its one vessel is named "bench"."""
    words = name.split("-")
    vessel = (
        Ollama(base_url=address)
        if "ollama" in words
        else OpenAI(base_url=f"{address}/v1", api_key=API_KEY)
    )
    settings: dict[str, Any] = {
        "vessels": {"bench": vessel},
        "recordings": None if "unrecorded" in words else folder,
        "environment": {},
        "fast": "fast" in words,
    }
    for level in _LEVELS:
        if level in words:
            settings["durability"] = level
    return settings


@asynccontextmanager
async def open_async(name: str, address: str) -> AsyncGenerator[AsyncAsk]:
    """The async client."""
    with tempfile.TemporaryDirectory() as folder:
        settings = _client_settings(name, address, folder)
        async with vesselog.AsyncClient(**settings) as client:

            async def ask(seen: Seen) -> None:
                async with client.stream(f"bench/{MODEL}", PROMPT) as stream:
                    async for chunk in stream:
                        if chunk.text:
                            seen(chunk.text)

            yield ask


@contextmanager
def open_sync(name: str, address: str) -> Generator[Ask]:
    """The sync client."""
    with (
        tempfile.TemporaryDirectory() as folder,
        vesselog.Client(**_client_settings(name, address, folder)) as client,
    ):

        def ask(seen: Seen) -> None:
            with client.stream(f"bench/{MODEL}", PROMPT) as stream:
                for chunk in stream:
                    if chunk.text:
                        seen(chunk.text)

        yield ask
