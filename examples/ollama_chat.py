"""Stream a chat from Ollama, sync and async, and print how fast the model was.

    python examples/ollama_chat.py [MODEL [PROMPT]]

The server is at OLLAMA_HOST (default: http://127.0.0.1:11434). Tokens per second are computed from
the last line of Ollama's answer, `eval_count / eval_duration`, so they do not depend on the client.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import vesselog


def stream_chat(
    client: vesselog.Client, model: str, messages: list[dict[str, Any]], **options: Any
) -> vesselog.Completion:
    """Print an answer while it arrives. options: Ollama's, such as num_ctx and top_k."""
    with client.stream(f"ollama/{model}", messages, options=options or None) as stream:
        for chunk in stream:
            print(chunk.text, end="", flush=True)
    return stream.completion


async def stream_chat_async(
    client: vesselog.AsyncClient, model: str, messages: list[dict[str, Any]], **options: Any
) -> vesselog.Completion:
    """Do what `stream_chat` does, without blocking the event loop."""
    async with client.stream(f"ollama/{model}", messages, options=options or None) as stream:
        async for chunk in stream:
            print(chunk.text, end="", flush=True)
    return stream.completion


def speed(answer: vesselog.Completion) -> str:
    """The tokens and the tokens per second; `?` where the provider does not report them."""
    tokens = answer.usage.output_tokens if answer.usage else None
    rate = answer.metrics.output_tokens_per_second
    return f"[{tokens or '?'} tokens @ {'?' if rate is None else f'{rate:.1f}'} tok/s]"


async def main_async(model: str, messages: list[dict[str, Any]]) -> vesselog.Completion:
    """Ask with an async client. A program needs only one of them."""
    async with vesselog.AsyncClient() as client:
        return await stream_chat_async(client, model, messages)


def main(model: str = "qwen2.5:7b", prompt: str = "Explain MLX in 3 sentences.") -> None:
    """Ask twice: sync, then async."""
    messages = [{"role": "user", "content": prompt}]
    with vesselog.Client() as client:
        answer = stream_chat(client, model, messages)
    print("\n" + speed(answer), "sync")
    answer = asyncio.run(main_async(model, messages))
    print("\n" + speed(answer), "async")


if __name__ == "__main__":
    main(*sys.argv[1:])
