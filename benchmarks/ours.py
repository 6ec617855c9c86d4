"""vesselog as a peer: the same question, each variant as its name says.

A name is `vesselog`, then words: `sync`, `fast`, `ollama` (its dialect), `unrecorded`, or a level
of durability. Without them: async, on plain httpx, OpenAI's dialect, recorded at the default level.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from material import MODEL
from peers import API_KEY, PROMPT, Ask, AsyncAsk, Seen

import vesselog
from vesselog.vessels import Ollama, OpenAI

__all__ = ["asked_async", "asked_sync"]

_LEVELS = ("process", "interval", "power")


def _client_settings(name: str, address: str, folder: str) -> dict[str, Any]:
    """What either client is told. Its one vessel is named "bench"."""
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
    }
    for level in _LEVELS:
        if level in words:
            settings["durability"] = level
    return settings


@asynccontextmanager
async def asked_async(name: str, address: str) -> AsyncGenerator[AsyncAsk]:
    """The async client."""
    with tempfile.TemporaryDirectory() as folder:
        settings = _client_settings(name, address, folder)
        async with vesselog.AsyncClient(fast="fast" in name.split("-"), **settings) as client:

            async def ask(seen: Seen) -> None:
                async with client.stream(f"bench/{MODEL}", PROMPT) as stream:
                    async for chunk in stream:
                        if chunk.text:
                            seen(chunk.text)

            yield ask


@contextmanager
def asked_sync(name: str, address: str) -> Generator[Ask]:
    """The sync client."""
    with (
        tempfile.TemporaryDirectory() as folder,
        vesselog.Client(
            fast="fast" in name.split("-"), **_client_settings(name, address, folder)
        ) as client,
    ):

        def ask(seen: Seen) -> None:
            with client.stream(f"bench/{MODEL}", PROMPT) as stream:
                for chunk in stream:
                    if chunk.text:
                        seen(chunk.text)

        yield ask
