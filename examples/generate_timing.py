"""Time Ollama's /api/generate over three HTTP stacks: httpx, httpx async, aiohttp.

    python examples/generate_timing.py [MODEL [PROMPT]]

The server is that of OLLAMA_HOST, http://127.0.0.1:11434 without it. aiohttp needs the `fast`
extra. The first of the three also waits for a cold model to load, so ask twice before you compare.
"""

from __future__ import annotations

import asyncio
import sys

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


async def generate_async(model: str, prompt: str, *, fast: bool = False) -> vesselog.Completion:
    """Async, over httpx; with `fast` over aiohttp."""
    async with (
        vesselog.AsyncClient(fast=fast) as client,
        client.stream(f"ollama/{model}", prompt=prompt) as stream,
    ):
        async for chunk in stream:
            print(chunk.text, end="", flush=True)
    return stream.completion


def show(name: str, answer: vesselog.Completion) -> None:
    """The two figures, in seconds since the request left."""
    metrics = answer.metrics
    first = "never" if (t := metrics.time_to_first_chunk) is None else f"{t:.4f} s"
    print(f"\n{name}: first chunk {first}, total {metrics.duration:.4f} s\n")


def main(model: str = "qwen3:1.7b", prompt: str = PROMPT) -> None:
    """One after the other."""
    show("httpx", generate(model, prompt))
    show("httpx async", asyncio.run(generate_async(model, prompt)))
    show("aiohttp", asyncio.run(generate_async(model, prompt, fast=True)))


if __name__ == "__main__":
    main(*sys.argv[1:])
