"""Time Ollama's /api/generate with three HTTP clients: httpx, httpx async, aiohttp.

    python examples/generate_timing.py [MODEL [PROMPT]]

The server is at OLLAMA_HOST (default: http://127.0.0.1:11434). It needs httpx-aiohttp, with which
httpx uses aiohttp: `pip install "vesselog[fast]"`. The first request also waits until the model is
loaded, so run this twice and compare the times of the second run.
"""

from __future__ import annotations

import asyncio
import sys

import httpx
from httpx_aiohttp import AiohttpTransport

import vesselog

PROMPT = "给我写一个关于Python异步编程的简短介绍,用中文回答。"


def generate(model: str, prompt: str) -> vesselog.Completion:
    """Sync, with httpx."""
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
    """Async, with httpx or with the given HTTP client."""
    async with (
        vesselog.AsyncClient(http_client=http_client) as client,
        client.stream(f"ollama/{model}", prompt=prompt) as stream,
    ):
        async for chunk in stream:
            print(chunk.text, end="", flush=True)
    return stream.completion


async def generate_with_aiohttp(model: str, prompt: str) -> vesselog.Completion:
    """Async, with aiohttp."""
    async with httpx.AsyncClient(transport=AiohttpTransport()) as http_client:
        return await generate_async(model, prompt, http_client)


def show(name: str, answer: vesselog.Completion) -> None:
    """Print both times, in seconds since the request was sent."""
    metrics = answer.metrics
    first = "never" if (t := metrics.time_to_first_chunk) is None else f"{t:.4f} s"
    print(f"\n{name}: first chunk {first}, total {metrics.duration:.4f} s\n")


def main(model: str = "qwen3:1.7b", prompt: str = PROMPT) -> None:
    """Run the three clients one after the other."""
    show("httpx", generate(model, prompt))
    show("httpx async", asyncio.run(generate_async(model, prompt)))
    show("aiohttp", asyncio.run(generate_with_aiohttp(model, prompt)))


if __name__ == "__main__":
    main(*sys.argv[1:])
