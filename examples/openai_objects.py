"""Ask an OpenAI-compatible server with an object that keeps the address, the key and defaults.

    python examples/openai_objects.py [MODEL]

The server is at OPENAI_BASE_URL (default: the /v1 of Ollama on this machine). The requests use the
legacy field `functions`. A server that supports it answers with a function call, which vesselog
returns as a tool call.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Self

import vesselog
from vesselog.vessels import OpenAI

BASE_URL = os.environ.get("OPENAI_BASE_URL", "http://127.0.0.1:11434/v1/chat/completions")
MESSAGES = [{"role": "user", "content": "What is the weather in Zürich?"}]
FUNCTIONS = [
    {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    }
]

Messages = Sequence[Mapping[str, Any]]
Functions = Sequence[Mapping[str, Any]] | None


class ChatServer:
    """One server. Create it once; `with` closes it."""

    def __init__(self, base_url: str, api_key: str, timeout: float = 300.0) -> None:
        self._client = vesselog.Client(
            vessels={"server": OpenAI(base_url=base_url, api_key=api_key)},
            timeouts=vesselog.Timeouts(first_chunk=timeout, idle=timeout),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def stream(
        self, model: str, messages: Messages, functions: Functions = None
    ) -> vesselog.Stream:
        """A stream, to be used with `with` and `for`."""
        return self._client.stream(
            f"server/{model}",
            messages,
            functions=functions,
            temperature=1,
            top_p=0,  # a zero is sent too
            max_tokens=2048,
        )

    def complete(
        self, model: str, messages: Messages, functions: Functions = None
    ) -> vesselog.Completion:
        """The whole answer."""
        return self._client.complete(
            f"server/{model}",
            messages,
            functions=functions,
            temperature=1,
            top_p=0,
            max_tokens=2048,
        )


class AsyncChatServer:
    """One server, for use in an event loop. Create it once; `async with` closes it."""

    def __init__(self, base_url: str, api_key: str, timeout: float = 300.0) -> None:
        self._client = vesselog.AsyncClient(
            vessels={"server": OpenAI(base_url=base_url, api_key=api_key)},
            timeouts=vesselog.Timeouts(first_chunk=timeout, idle=timeout),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    def stream(
        self, model: str, messages: Messages, functions: Functions = None
    ) -> vesselog.AsyncStream:
        """A stream, to be used with `async with` and `async for`."""
        return self._client.stream(
            f"server/{model}",
            messages,
            functions=functions,
            temperature=1,
            top_p=0,
            max_tokens=2048,
        )

    async def complete(
        self, model: str, messages: Messages, functions: Functions = None
    ) -> vesselog.Completion:
        """The whole answer."""
        return await self._client.complete(
            f"server/{model}",
            messages,
            functions=functions,
            temperature=1,
            top_p=0,
            max_tokens=2048,
        )


def show(answer: vesselog.Completion) -> None:
    """Print the text and the function calls that the model asks for."""
    print(answer.text)
    for call in answer.tool_calls:
        print(f"call {call.name}({call.arguments})")


async def main_async(model: str) -> None:
    """Ask twice with the async client: streamed, then not."""
    async with AsyncChatServer(BASE_URL, "EMPTY") as server:
        async with server.stream(model, MESSAGES, FUNCTIONS) as stream:
            async for _ in stream:
                pass
        show(stream.completion)
        show(await server.complete(model, MESSAGES, FUNCTIONS))


def main(model: str = "deepseek-r1:1.5b") -> None:
    """Ask four times: sync and async, streamed and not."""
    with ChatServer(BASE_URL, "EMPTY") as server:
        with server.stream(model, MESSAGES, FUNCTIONS) as stream:
            for _ in stream:
                pass
        show(stream.completion)
        show(server.complete(model, MESSAGES, FUNCTIONS))
    asyncio.run(main_async(model))


if __name__ == "__main__":
    main(*sys.argv[1:])
