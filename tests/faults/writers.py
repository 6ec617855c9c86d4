"""What child processes do in fault tests: record, and tell of every chunk that they were given.

They tell it by one unbuffered append each to a file of their own, which survives kill -9 as a
recording does. As a program: `python writers.py FUNCTION JSON`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import httpcore  # noqa: F401 - imported before children are made

import sessions
from invariants import Yielded
from producing import line
from vesselog import AsyncClient, Client, StreamChunk, Timeouts
from vesselog.core.truth.session import Session
from vesselog.vessels.ollama import Ollama

__all__ = ["Telling", "told"]


class Telling:
    """Keeps what was yielded, and when, in a file of its own."""

    def __init__(self, path: str | Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def __call__(self, path: Path | None, call: int | None, chunk: StreamChunk) -> None:
        told = [str(path), call, chunk.seq, chunk.text, time.monotonic()]
        os.write(self._fd, json.dumps(told).encode() + b"\n")


def told(path: Path) -> Iterator[tuple[Yielded, float]]:
    """What was yielded, with its time; a last line that kill -9 tore is not counted."""
    for each in path.read_bytes().splitlines(keepends=True) if path.exists() else ():
        if each.endswith(b"\n"):
            file, call, seq, text, moment = json.loads(each)
            yield Yielded(Path(file), call, seq, text), moment


def write_session(
    folder: str, name: str, acks: str, *, frames: int, level: str = "process", size: int | None = None
) -> None:
    """Record one call of so many frames without a client. size: of each, in bytes."""
    tell = Telling(acks)
    session = Session.open(Path(folder), name, durability=level)
    body = {"model": "m", "messages": [{"role": "user", "content": name}]}
    writer = session.begin(sessions.request(body))
    writer.response(200, {"content-type": "application/x-ndjson"})
    for seq in range(frames):
        raw = line(name, seq, size)
        chunks = sessions.write(writer, [sessions.step(seq, f"{seq} ", raw)])
        if writer.gate is not None:
            writer.gate.wait()
        for chunk in chunks:
            tell(session.path, writer.call, chunk)
    writer.end("complete")
    session.close()


def stream(
    url: str,
    folder: str,
    acks: str,
    *,
    prompts: Iterable[str] = ("a",),
    level: str = "process",
    kind: str = "sync",
    session: str | None = None,
    rounds: int = 1,
) -> None:
    """Stream by a client, all prompts at once, `rounds` times; session: one for every other."""
    tell = Telling(acks)
    settings: dict[str, Any] = {
        "recordings": folder,
        "durability": level,
        "vessels": {"lab": Ollama(base_url=url)},
        "environment": {},
        "timeouts": Timeouts(drain=0.5),
    }
    if kind == "sync":
        with Client(**settings) as client:

            def listen(number: int, prompt: str) -> None:
                named = session if number % 2 else None
                for turn in range(rounds):
                    with client.stream("lab/m", f"{prompt}.{turn}", session=named) as stream:
                        for chunk in stream:
                            tell(stream.path, stream.call, chunk)

            threads = [
                threading.Thread(target=listen, args=each, daemon=True)
                for each in enumerate(prompts)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        return

    async def listen_async(client: AsyncClient, number: int, prompt: str) -> None:
        named = session if number % 2 else None
        for turn in range(rounds):
            async with client.stream("lab/m", f"{prompt}.{turn}", session=named) as stream:
                async for chunk in stream:
                    tell(stream.path, stream.call, chunk)

    async def run() -> None:
        async with AsyncClient(fast=kind == "fast", **settings) as client:
            await asyncio.gather(*(listen_async(client, *each) for each in enumerate(prompts)))

    asyncio.run(run())


if __name__ == "__main__":
    globals()[sys.argv[1]](**json.loads(sys.argv[2]))
