"""Ask many Ollama servers at once. A slow one neither delays nor breaks the others.

    python examples/many_servers.py MODEL SECONDS URL...

SECONDS is the limit for the first chunk of each server.
"""

from __future__ import annotations

import asyncio
import sys

import vesselog
from vesselog.vessels import Ollama


async def answer_or_none(client: vesselog.AsyncClient, model: str) -> vesselog.Completion | None:
    """The server's answer. If there is none, print why and return None."""
    try:
        async with client.stream(model, "What is GGUF?") as stream:
            async for _ in stream:
                pass
    except vesselog.VesselogError as error:
        print(f"{model}: {type(error).__name__}, phase {error.phase}: {error}")
        return None
    print(f"{model}: {stream.completion.metrics.duration:.2f} s, recorded in {stream.path}")
    return stream.completion


async def ask_all(model: str, seconds: float, urls: list[str]) -> list[vesselog.Completion | None]:
    """Ask all servers at once; the answers are in the order of the servers."""
    vessels = {f"server-{number}": Ollama(base_url=url) for number, url in enumerate(urls, 1)}
    timeouts = vesselog.Timeouts(first_chunk=seconds)
    async with vesselog.AsyncClient(vessels=vessels, timeouts=timeouts) as client:
        return await asyncio.gather(
            *(answer_or_none(client, f"{vessel}/{model}") for vessel in vessels)
        )


def main(model: str, seconds: str, *urls: str) -> None:
    """Ask all servers, then print how many answered."""
    answers = asyncio.run(ask_all(model, float(seconds), list(urls)))
    print(f"{sum(answer is not None for answer in answers)} of {len(answers)} answered")


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit("usage: python examples/many_servers.py MODEL SECONDS URL...")
    main(*sys.argv[1:])
