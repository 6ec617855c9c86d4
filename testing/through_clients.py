"""Sends a body through both clients into a recording, and reads it back.

The clients are real; in place of the network, an httpx transport gives them the body in pieces.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Any

import httpx

from ..core.client.async_client import AsyncClient
from ..core.client.client import Client
from ..core.replay.replay import replay
from ..core.settings import Retries, Timeouts
from ..core.truth.recording import Recording
from ..maintenance.verify import verify
from ..vessels import StreamChunk, VesselogError
from .bodies import Body
from .running import COMPLETE, Case, shown

__all__ = ["through_clients"]

_NAME = "vessel"
_PIECES = 8
# The body is there at once, so these never pass. Shorter ones could, on a machine that is busy, and
# would then cut what follows the terminator.
_PATIENCE = Timeouts(grace=60.0, drain=60.0)


@dataclass(slots=True)
class _Result:
    """What a caller received."""

    chunks: list[StreamChunk] = field(default_factory=list[StreamChunk])
    error: VesselogError | None = None
    path: Path | None = None

    def differs(self, other: _Result, *, t: bool = True) -> str | None:
        ours, theirs = (
            [_plain(each, t=t) for each in received.chunks] for received in (self, other)
        )
        if ours != theirs:
            pairs = enumerate(zip_longest(ours, theirs, fillvalue="nothing"))
            at, wanted, found = next((at, *pair) for at, pair in pairs if pair[0] != pair[1])
            return f"chunk {at} is {shown(found)}, not {shown(wanted)}"
        if _error(self.error) != _error(other.error):
            return f"it ends as {_error(other.error)}, not as {_error(self.error)}"
        return None


def through_clients(case: Case, workplace: Path, chance: random.Random) -> Iterator[str]:
    """Both clients equal the exchange alone; replay equals live; `verify` finds nothing."""
    bare = _Result(case.whole.chunks, case.whole.error)
    pieces = _pieces(case.body.content, chance)
    live = {
        "the sync client": _sync(case, pieces, workplace / "sync"),
        "the async client": _in_loop(case, pieces, workplace / "async"),
    }
    for name, received in live.items():
        if message := bare.differs(received, t=False):
            yield f"through {name}: {message}"
            continue
        if received.path is None:
            yield f"through {name}: nothing was recorded"
            continue
        yield from (
            f"recorded by {name}: {message}"
            for message in _recording(case, received, received.path)
        )


def _recording(case: Case, received: _Result, path: Path) -> Iterator[str]:
    for finding in verify(path).findings:
        if finding.severity == "error":
            yield f"verify finds: {finding.message}"
    (call,) = Recording(path).calls()
    recorded, content = b"".join(frame.raw for frame in call.frames()), case.body.content
    # After an error in band nothing more is read.
    if not content.startswith(recorded) or (received.error is None and recorded != content):
        yield "it does not hold the body's bytes"
    if message := received.differs(_replayed(path)):
        yield f"replayed: {message}"
    if message := received.differs(_outside(_replayed_async(path))):
        yield f"replayed in a loop: {message}"
    again = _Result()
    http = httpx.AsyncClient(transport=httpx.MockTransport(_unreachable))
    with Client(http_client=http, replay=path, vessels={_NAME: case.vessel}) as client:
        try:
            with client.send(_NAME, case.request) as stream:
                for chunk in stream:
                    again.chunks.append(chunk)
        except VesselogError as error:
            again.error = error
    if message := received.differs(again):
        yield f"as the answer to the same request: {message}"


def _sync(case: Case, pieces: list[bytes], folder: Path) -> _Result:
    received = _Result()
    http = httpx.AsyncClient(transport=_Transport(case.body, pieces))
    with Client(http_client=http, **_settings(case, folder)) as client:
        stream = client.send(_NAME, case.request)
        try:
            with stream:
                for chunk in stream:
                    received.chunks.append(chunk)
        except VesselogError as error:
            received.error = error
        received.path = stream.path
    return received


def _in_loop(case: Case, pieces: list[bytes], folder: Path) -> _Result:
    async def listen() -> _Result:
        received = _Result()
        transport = _Transport(case.body, pieces)
        async with (
            httpx.AsyncClient(transport=transport) as http,
            AsyncClient(http_client=http, **_settings(case, folder)) as client,
        ):
            stream = client.send(_NAME, case.request)
            try:
                async with stream:
                    async for chunk in stream:
                        received.chunks.append(chunk)
            except VesselogError as error:
                received.error = error
            received.path = stream.path
        return received

    return _outside(listen())


def _unreachable(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("a replay sends no request", request=request)


def _replayed(path: Path) -> _Result:
    received = _Result()
    try:
        for chunk in replay(path, speed=0):
            received.chunks.append(chunk)
    except VesselogError as error:
        received.error = error
    return received


async def _replayed_async(path: Path) -> _Result:
    received = _Result()
    try:
        async for chunk in replay(path, speed=0):
            received.chunks.append(chunk)
    except VesselogError as error:
        received.error = error
    return received


def _outside(received: Coroutine[Any, Any, _Result]) -> _Result:
    """Run it in a loop of its own, whether or not the caller has one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, received).result()


def _settings(case: Case, folder: Path) -> dict[str, Any]:
    return {
        "recordings": folder,
        "vessels": {_NAME: case.vessel},
        "environment": {},
        "retries": Retries(count=0),
        "timeouts": _PATIENCE,
    }


def _pieces(content: bytes, chance: random.Random) -> list[bytes]:
    most = min(_PIECES, len(content)) - 1
    cuts = sorted(chance.sample(range(1, len(content)), most)) if most > 0 else []
    return [content[start:end] for start, end in pairwise([0, *cuts, len(content)])]


def _plain(chunk: StreamChunk, *, t: bool) -> dict[str, Any]:
    plain = chunk.model_dump() | {"raw": chunk.raw}
    return plain if t else {name: value for name, value in plain.items() if name != "t"}


def _error(error: VesselogError | None) -> str:
    if error is None:
        return COMPLETE
    return f"{type(error).__name__} ({error.status}, {error.code}: {shown(error)})"


class _Body(httpx.AsyncByteStream):
    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            # As data of a network would, each piece arrives in a turn of its own.
            await asyncio.sleep(0)
            yield piece


class _Transport(httpx.AsyncBaseTransport):
    """Answers every request with one body."""

    def __init__(self, body: Body, pieces: list[bytes]) -> None:
        self._body = body
        self._pieces = pieces

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(
            self._body.status,
            headers={"content-type": self._body.content_type},
            stream=_Body(self._pieces),
            request=request,
        )
