"""Time Ollama's /api/generate over three HTTP stacks: httpx, httpx async, aiohttp.

    python examples/generate_timing.py [MODEL [PROMPT]]

The server is that of OLLAMA_HOST, http://127.0.0.1:11434 without it. httpx-aiohttp, which the
`bench` extra brings, puts aiohttp under httpx. The first of the three also waits for a cold model
to load, so ask twice before you compare.
"""

from __future__ import annotations

import asyncio
import sys

import httpx
from httpx_aiohttp import AiohttpTransport

import vesselog

PROMPT = "给我写一个关于Python异步编程的简短介绍,用中文回答。"


def generate(model: str, prompt: str) -> vesselog.Completion:
    """Sync, over httpx."""
    with (
        vesselog.Client() as client,
        client.stream(f"ollama/{model}", prompt=prompt) as stream,
    ):
        for chunk in stream:
            print(chunk.text, end="", flush=True)
    return stream.completion


async def generate_async(
    model: str, prompt: str, http_client: httpx.AsyncClient | None = None
) -> vesselog.Completion:
    """Async, over httpx, or by an HTTP client of one's own."""
    async with (
        vesselog.AsyncClient(http_client=http_client) as client,
        client.stream(f"ollama/{model}", prompt=prompt) as stream,
    ):
        async for chunk in stream:
            print(chunk.text, end="", flush=True)
    return stream.completion


async def by_aiohttp(model: str, prompt: str) -> vesselog.Completion:
    """Async, over aiohttp."""
    async with httpx.AsyncClient(transport=AiohttpTransport()) as http_client:
        return await generate_async(model, prompt, http_client)


def show(name: str, answer: vesselog.Completion) -> None:
    """The two figures, in seconds since the request left."""
    metrics = answer.metrics
    first = "never" if (t := metrics.time_to_first_chunk) is None else f"{t:.4f} s"
    print(f"\n{name}: first chunk {first}, total {metrics.duration:.4f} s\n")


def main(model: str = "qwen3:1.7b", prompt: str = PROMPT) -> None:
    """One after the other."""
    show("httpx", generate(model, prompt))
    show("httpx async", asyncio.run(generate_async(model, prompt)))
    show("aiohttp", asyncio.run(by_aiohttp(model, prompt)))


if __name__ == "__main__":
    main(*sys.argv[1:])
