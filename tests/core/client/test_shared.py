"""Resetting one stream of a shared connection; test_http2.py does it with a real server."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vesselog.core.client.shared import _Shared

RESET_5 = bytes.fromhex("000004 03 00 00000005 00000008")


def frame(payload: bytes, stream: int = 1) -> bytes:
    return len(payload).to_bytes(3, "big") + b"\x00\x00" + stream.to_bytes(4, "big") + payload


class Inner(httpcore.AsyncNetworkStream):
    """Gives what it is fed, piece by piece, and keeps what is written."""

    def __init__(self) -> None:
        self.fed: asyncio.Queue[bytes] = asyncio.Queue()
        self.written: list[bytes] = []
        self.busy = False
        self.closed = False

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        return await self.fed.get()

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        assert not self.busy
        self.busy = True
        await asyncio.sleep(0)
        self.busy = False
        self.written.append(buffer)

    async def aclose(self) -> None:
        self.closed = True

    def get_extra_info(self, info: str) -> Any:
        return info


FRAMES = st.lists(st.binary(max_size=30).map(frame), min_size=1, max_size=6)


@given(FRAMES, st.data())
def test_however_the_bytes_are_cut_whole_frames_come_out(frames: list[bytes], data: Any):
    body = b"".join(frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))

    async def run() -> list[bytes]:
        inner = Inner()
        for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
            if start != end:
                inner.fed.put_nowait(body[start:end])
        inner.fed.put_nowait(b"")
        shared = _Shared(inner)
        handed: list[bytes] = []
        while piece := await shared.read(65536):
            handed.append(piece)
        return handed

    handed = asyncio.run(run())
    assert b"".join(handed) == body
    ends = {len(b"".join(frames[:count])) for count in range(1, len(frames) + 1)}
    position = 0
    for piece in handed:
        position += len(piece)
        assert position in ends


async def test_a_reset_wakes_the_reader_and_loses_nothing():
    inner = Inner()
    shared = _Shared(inner)
    reading = asyncio.create_task(shared.read(65536))
    await asyncio.sleep(0)
    shared.reset(5)
    assert await reading == RESET_5
    inner.fed.put_nowait(frame(b"abc"))
    assert await shared.read(65536) == frame(b"abc")
    await shared.aclose()
    assert inner.closed


async def test_a_reset_is_put_between_frames():
    inner = Inner()
    shared = _Shared(inner)
    whole = frame(b"abc")
    inner.fed.put_nowait(whole + whole[:5])
    assert await shared.read(65536) == whole
    shared.reset(5)
    assert await shared.read(65536) == RESET_5
    inner.fed.put_nowait(whole[5:])
    assert await shared.read(65536) == whole


async def test_the_server_is_told_between_two_writes():
    inner = Inner()
    shared = _Shared(inner)
    await asyncio.gather(shared.write(b"one"), shared.tell_reset(5), shared.write(b"two"))
    assert inner.written == [b"one", RESET_5, b"two"]


async def test_a_reader_that_is_cancelled_leaves_what_comes_to_the_next():
    inner = Inner()
    shared = _Shared(inner)
    reading = asyncio.create_task(shared.read(65536))
    for _ in range(3):
        await asyncio.sleep(0)
    inner.fed.put_nowait(frame(b"abc"))
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert await shared.read(65536) == frame(b"abc")


async def test_the_end_of_the_connection_is_told():
    inner = Inner()
    shared = _Shared(inner)
    inner.fed.put_nowait(frame(b"abc")[:4])
    inner.fed.put_nowait(b"")
    assert await shared.read(65536) == b""


async def test_closing_ends_a_read_that_nobody_waits_for():
    inner = Inner()
    shared = _Shared(inner)
    reading = asyncio.create_task(shared.read(65536))
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    await shared.aclose()
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize("failure", [httpcore.WriteError, httpcore.WriteTimeout, anyio.EndOfStream])
async def test_a_broken_connection_takes_no_farewell(failure: type[Exception]):
    """anyio raises its own where the TLS connection has ended."""

    class Broken(Inner):
        async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
            raise failure

    await _Shared(Broken()).tell_reset(5)
