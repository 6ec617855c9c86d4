"""Ask an OpenAI-compatible server with plain functions: sync and async, streamed and not.

    python examples/openai_functions.py [MODEL]

The server is at OPENAI_BASE_URL (default: the /v1 of Ollama on this machine). Prints objects of
the kinds `chat.completion.chunk` and `chat.completion`, which the OpenAI SDK's types accept.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

import vesselog
from vesselog.vessels import OpenAI

BASE_URL = os.environ.get("OPENAI_BASE_URL", "http://127.0.0.1:11434/v1/chat/completions")
MESSAGES: list[dict[str, Any]] = [
    {
        "role": "system",
        "content": "You are a helpful assistant. Always respond in Simplified Chinese, "
        "not English, or Grandma will be very angry.",
    },
    {"role": "user", "content": "你好"},
]


def show(value: dict[str, Any]) -> None:
    """Print one object as a line."""
    print(json.dumps(value, ensure_ascii=False), flush=True)


def ask(client: vesselog.Client, model: str, *, stream: bool) -> vesselog.Completion:
    """Print the answer, chunk by chunk or in one piece."""
    if not stream:
        answer = client.complete(model, MESSAGES)
        show(answer.to_openai())
        return answer
    with client.stream(model, MESSAGES) as chunks:
        for chunk in chunks:
            show(chunk.to_openai())
    return chunks.completion


async def ask_async(
    client: vesselog.AsyncClient, model: str, *, stream: bool
) -> vesselog.Completion:
    """Do what `ask` does, with the async client."""
    if not stream:
        answer = await client.complete(model, MESSAGES)
        show(answer.to_openai())
        return answer
    async with client.stream(model, MESSAGES) as chunks:
        async for chunk in chunks:
            show(chunk.to_openai())
    return chunks.completion


async def main_async(server: OpenAI, model: str) -> None:
    """Ask twice with the async client: streamed, then not."""
    async with vesselog.AsyncClient(vessels={"local": server}) as client:
        await ask_async(client, f"local/{model}", stream=True)
        await ask_async(client, f"local/{model}", stream=False)


def main(model: str = "deepseek-r1:1.5b") -> None:
    """Ask four times: sync and async, streamed and not."""
    server = OpenAI(base_url=BASE_URL, api_key="EMPTY")
    with vesselog.Client(vessels={"local": server}) as client:
        ask(client, f"local/{model}", stream=True)
        ask(client, f"local/{model}", stream=False)
    asyncio.run(main_async(server, model))


if __name__ == "__main__":
    main(*sys.argv[1:])
