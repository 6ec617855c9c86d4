"""Connections for httpcore's async pool that HTTP/2 streams share.

httpcore cannot end one stream of a connection. A task that is cancelled in the middle of its use
takes bytes with it that belong to the others, and the server, never told, goes on with the answer.
So a stream is ended here by a RST_STREAM frame (RFC 9113, 6.4): one goes to the server, and one is
put before httpcore as if the server had sent it, upon which the stream's own task ends by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
from collections.abc import Iterable
from typing import Any

import httpcore

from .carrying import CARRIER_LISTENER
from .sockets import AsyncioBackend

__all__ = ["SharingBackend"]

_HEADER_BYTES = 9

# Seconds to tell a server that a stream is no longer wanted; one that reads nothing is not told.
_FAREWELL = 1.0


class SharingBackend(httpcore.AsyncNetworkBackend):
    """For a pool with `http2=True`."""

    def __init__(self) -> None:
        self._inner = AsyncioBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection, which is shared if TLS tells that it speaks HTTP/2."""
        return _Stream(
            await self._inner.connect_tcp(host, port, timeout, local_address, socket_options)
        )


class _Stream(httpcore.AsyncNetworkStream):
    """A connection that may turn out to be shared, once TLS has told its protocol."""

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        return await self._inner.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
    ) -> httpcore.AsyncNetworkStream:
        secured = await self._inner.start_tls(ssl_context, server_hostname, timeout)
        protocol = secured.get_extra_info("ssl_object").selected_alpn_protocol()
        return _Shared(secured) if protocol == "h2" else secured

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Shared(_Stream):
    """A connection of several streams. Hands out whole frames, so that one can be put between."""

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        super().__init__(inner)
        self._writing = asyncio.Lock()
        self._reading: asyncio.Task[bytes] | None = None
        self._data = b""
        self._resets = b""
        self._woken = asyncio.Event()

    def reset(self, stream: int) -> None:
        """End the stream of this number for whoever waits for it here."""
        self._resets += _reset_frame(stream)
        self._woken.set()

    async def tell_reset(self, stream: int) -> None:
        """Tell the server that nobody wants the stream any more."""
        # A connection that takes no farewell is broken, as those who still need it find out.
        with contextlib.suppress(Exception):
            await self.write(_reset_frame(stream), _FAREWELL)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        self._tell()
        while True:
            whole = _whole_frames(self._data)
            if self._resets or whole:
                frames = self._resets + self._data[:whole]
                self._resets, self._data = b"", self._data[whole:]
                self._woken.clear()
                return frames
            data = await self._read_or_wake(max_bytes, timeout)
            if data == b"":
                return b""
            self._data += data or b""

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        self._tell()
        if buffer:
            async with self._writing:
                await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await self._inner.aclose()

    async def _read_or_wake(self, max_bytes: int, timeout: float | None) -> bytes | None:  # noqa: ASYNC109
        """More bytes, none at the end, or None when there is a reset to hand out."""
        if self._reading is None:
            self._reading = asyncio.create_task(self._inner.read(max_bytes, timeout))
        reading = self._reading
        waking = asyncio.create_task(self._woken.wait())
        try:
            await asyncio.wait([reading, waking], return_when=asyncio.FIRST_COMPLETED)
        finally:
            waking.cancel()
        if not reading.done():
            return None
        self._reading = None
        return reading.result()

    def _tell(self) -> None:
        listener = CARRIER_LISTENER.get()
        if listener is not None:
            listener(self)


def _whole_frames(data: bytes) -> int:
    """How many bytes are whole frames: a length of 3 bytes, 6 more of header, the payload."""
    end = 0
    while len(data) - end >= _HEADER_BYTES:
        size = _HEADER_BYTES + int.from_bytes(data[end : end + 3], "big")
        if len(data) - end < size:
            break
        end += size
    return end


def _reset_frame(stream: int) -> bytes:
    """RST_STREAM with CANCEL (8)."""
    return struct.pack(">BHBBII", 0, 4, 3, 0, stream, 8)
