"""What child processes do in fault tests: record, and tell of every chunk that they were given.

They tell it by one unbuffered append each to a file of their own, which survives kill -9 as a
recording does.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import ssl
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import httpcore  # noqa: F401 - imported before children are made
import pytest

import sessions
from gateway_process import run_gateway
from invariants import Yielded, check_poisoned
from patience import PATIENCE
from producing import line
from talking import talking
from vesselog import (
    AsyncClient,
    Client,
    RecordingError,
    RecordingLockedError,
    Retries,
    Timeouts,
    rederive,
    salvage,
)
from vesselog.core.chunk import StreamChunk
from vesselog.core.clock import SYSTEM_CLOCK
from vesselog.core.truth import fsync_thread
from vesselog.core.truth.files import sync_file
from vesselog.core.truth.session import Session
from vesselog.core.truth.session_pool import Entry, SessionPool
from vesselog.vessels.ollama import Ollama

__all__ = ["Telling", "TellingSyncs", "run_gateway", "synced", "told", "write_session"]

# Made before the children are: it takes longer than most of what they do.
TRUST = ssl.create_default_context()


class Telling:
    """Keeps what was yielded, and when, in a file of its own."""

    def __init__(self, path: str | Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def __call__(self, path: Path | None, call: int | None, chunk: StreamChunk) -> None:
        told = [str(path), call, chunk.seq, chunk.text, time.monotonic()]
        os.write(self._fd, json.dumps(told).encode() + b"\n")


class TellingSyncs:
    """Keeps which files were synced, and when that began, in a file of its own."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def __enter__(self) -> Self:
        self._patch = pytest.MonkeyPatch()
        self._patch.setattr(fsync_thread, "sync_file", self._sync)
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.undo()

    def _sync(self, fd: int) -> None:
        began = time.monotonic()
        sync_file(fd)
        told = [str(Path(f"/proc/self/fd/{fd}").readlink()), began]
        os.write(self._fd, json.dumps(told).encode() + b"\n")


def told(path: Path) -> Iterator[tuple[Yielded, float]]:
    """What was yielded, with its time; a last line that kill -9 tore is not counted."""
    for each in path.read_bytes().splitlines(keepends=True) if path.exists() else ():
        if each.endswith(b"\n"):
            file, call, seq, text, moment = json.loads(each)
            yield Yielded(Path(file), call, seq, text), moment


def synced(path: Path) -> dict[Path, float]:
    """For each file that was synced, when its last sync that went well began."""
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else ()
    whole = (each for each in lines if each.endswith(b"\n"))
    return {Path(file): began for file, began in map(json.loads, whole)}


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
    syncs: str = os.devnull,
) -> None:
    """Stream by a client, all prompts at once, `rounds` times; session: one for every other.

    syncs: where it is kept what was synced when.
    """
    with TellingSyncs(syncs):
        _stream(url, folder, acks, prompts, level, kind, session, rounds)


def _stream(
    url: str,
    folder: str,
    acks: str,
    prompts: Iterable[str],
    level: str,
    kind: str,
    session: str | None,
    rounds: int,
) -> None:
    tell = Telling(acks)
    settings: dict[str, Any] = {
        "recordings": folder,
        "durability": level,
        "vessels": {"lab": Ollama(base_url=url)},
        "environment": {},
        "ssl_context": TRUST,
        "timeouts": Timeouts(drain=0.5),
    }
    if kind.startswith("sync"):
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
        async with AsyncClient(fast=kind.endswith("fast"), **settings) as client:
            await asyncio.gather(*(listen_async(client, *each) for each in enumerate(prompts)))

    asyncio.run(run())


def write_session(
    folder: str,
    name: str,
    acks: str,
    *,
    frames: int,
    level: str = "process",
    size: int | None = None,
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


def write_until_refused(
    folder: str,
    acks: str,
    *,
    frames: int = 1000,
    level: str = "process",
    limits: Mapping[str, int] | None = None,
) -> None:
    """Record until a RecordingError, after which the session has to be poisoned."""
    tell = Telling(acks)
    for name, limit in (limits or {}).items():
        kind = getattr(resource, f"RLIMIT_{name}")
        resource.setrlimit(kind, (limit, resource.getrlimit(kind)[1]))
    session = Session.open(Path(folder), "a", durability=level)
    try:
        writer = session.begin(sessions.request())
    except RecordingError:
        return
    refused = False
    last = time.monotonic() + PATIENCE
    for seq in range(frames):
        assert time.monotonic() < last, "nothing was refused"
        try:
            chunks = sessions.write(writer, [sessions.step(seq, f"{seq} ")])
            if writer.gate is not None:
                writer.gate.wait()
        except RecordingError:
            refused = True
            break
        for chunk in chunks:
            tell(session.path, writer.call, chunk)
    assert refused
    check_poisoned(session, writer)


def stream_with_few_files(
    url: str, folder: str, acks: str, *, kind: str, outcomes: str, level: str
) -> None:
    """Stream again and again, each time with one more descriptor left, until it goes well."""
    tell = Telling(acks)
    ended: list[str] = []
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    settings: dict[str, Any] = {"recordings": folder, "durability": level}
    with talking(kind, url, retries=Retries(count=0), **settings) as talker:
        for left in range(30):
            stream = talker.stream(messages=str(left))
            free = [each for each in range(1000) if not Path(f"/proc/self/fd/{each}").exists()]
            resource.setrlimit(resource.RLIMIT_NOFILE, (free[left], limit[1]))
            heard = talker.begin(stream, lambda chunk: tell(stream.path, stream.call, chunk))
            result = heard.result(PATIENCE)
            resource.setrlimit(resource.RLIMIT_NOFILE, limit)
            ended.append(type(result.error).__name__ if result.error else str(result.outcome))
            if result.outcome == "complete":
                break
        assert talker.hear().outcome == "complete"
    Path(outcomes).write_text(" ".join(ended))


def stream_with_pulse(url: str, folder: str, acks: str, *, kind: str, beats: str) -> None:
    """Two streams in one session; beats: for how long nothing else had its turn meanwhile."""
    longest = 0.0

    def beat(last: float) -> float:
        nonlocal longest
        now = time.monotonic()
        longest = max(longest, now - last)
        return now

    over = threading.Event()

    def pulse() -> None:
        last = time.monotonic()
        while not over.wait(0.01):
            last = beat(last)

    async def pulse_async() -> None:
        last = time.monotonic()
        while not over.is_set():
            await asyncio.sleep(0.01)
            last = beat(last)

    tell = Telling(acks)
    settings: dict[str, Any] = {
        "recordings": folder,
        "vessels": {"lab": Ollama(base_url=url)},
        "environment": {},
        "ssl_context": TRUST,
    }
    if kind.startswith("sync"):
        watching = threading.Thread(target=pulse)
        with Client(**settings) as client:

            def listen(prompt: str) -> None:
                with client.stream("lab/m", prompt, session="shared") as stream:
                    for chunk in stream:
                        tell(stream.path, stream.call, chunk)

            watching.start()
            both = [threading.Thread(target=listen, args=(each,)) for each in "ab"]
            for each in both:
                each.start()
            for each in both:
                each.join()
        over.set()
        watching.join()
    else:

        async def listen_async(client: AsyncClient, prompt: str) -> None:
            async with client.stream("lab/m", prompt, session="shared") as stream:
                async for chunk in stream:
                    tell(stream.path, stream.call, chunk)

        async def run() -> None:
            async with AsyncClient(fast=kind.endswith("fast"), **settings) as client:
                watching = asyncio.create_task(pulse_async())
                await asyncio.gather(*(listen_async(client, each) for each in "ab"))
                over.set()
                await watching

        asyncio.run(run())
    Path(beats).write_text(str(longest))


def contend(folder: str, acks: str, *, name: str, prompt: str, calls: int, refusals: str) -> None:
    """Write so many calls, each when nobody else writes the session; none: only be refused."""
    tell = Telling(acks)
    refused = written = 0
    body = {"model": "m", "messages": [{"role": "user", "content": prompt}]}
    while written < calls or not (calls or refused):
        try:
            session = Session.open(Path(folder), name)
            writer = session.begin(sessions.request(body))
        except RecordingLockedError:
            refused += 1
            continue
        steps = [sessions.step(seq, f"{seq} ", line(prompt, seq)) for seq in range(5)]
        for chunk in sessions.write(writer, steps):
            tell(session.path, writer.call, chunk)
        threading.Event().wait(0.02)  # longer than the others are patient, all of them together
        writer.end("complete")
        session.close()
        written += 1
    Path(refusals).write_text(str(refused))


def race(*, folder: str, name: str, prompt: str, turns: int, acks: str, wait: bool) -> None:
    """Write so many calls, each in a turn of its own. wait: by a client's `lock_wait`."""
    tell = Telling(acks)
    body = {"model": "m", "messages": [{"role": "user", "content": prompt}]}

    def turn(session: Session | Entry) -> None:
        writer = session.begin(sessions.request(body))
        for chunk in sessions.write(writer, [sessions.step(0, "0 ", line(prompt, 0))]):
            tell(writer.path, writer.call, chunk)
        writer.end("complete")
        session.close()

    async def take_turns() -> None:
        pool = SessionPool(Path(folder), "process", SYSTEM_CLOCK, PATIENCE)
        for _ in range(turns):
            turn(await pool.open(name))

    if wait:
        asyncio.run(take_turns())
        return
    written = 0
    while written < turns:
        with suppress(RecordingLockedError):
            turn(Session.open(Path(folder), name))
            written += 1


def derive(*, how: str, path: str, out: str) -> None:
    """Make a recording of another one."""
    {"salvage": salvage, "rederive": rederive}[how](path, out)
