"""Connections for httpcore's async pool, by asyncio's own streams.

httpcore's own backend goes through anyio, whose every read makes a cancel scope, runs the event
loop once more, and takes the socket off the selector and puts it back.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from asyncio.staggered import staggered_race
from collections.abc import Iterable
from functools import partial
from itertools import zip_longest
from typing import Any

import httpcore

from .announcing import READ_LISTENER
from .bridge import as_core

__all__ = ["AsyncioBackend"]

# Seconds until a host's next address is tried beside the one that does not answer (RFC 8305).
_NEXT_ADDRESS = 0.25


# What `getaddrinfo` gives: family, kind, protocol, name, address.
_Found = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]


class _Reader(asyncio.StreamReader):
    """Knows whether anything came that nobody asked for."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self.unread = 0

    def feed_data(self, data: Any) -> None:
        self.unread += len(data)
        super().feed_data(data)

    @property
    def at_rest(self) -> bool:
        """Whether the connection is open and its server silent."""
        return not self.unread and not self.at_eof() and self.exception() is None


class _Stream(httpcore.AsyncNetworkStream):
    def __init__(self, reader: _Reader, writer: asyncio.StreamWriter, *, announces: bool) -> None:
        self._reader = reader
        self._writer = writer
        self._announces = announces

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        if self._announces and (listener := READ_LISTENER.get()) is not None:
            listener()
        reader = self._reader
        try:
            if timeout is None:  # a stream's deadlines are kept by its brake
                data = await reader.read(max_bytes)
            else:
                async with asyncio.timeout(timeout):
                    data = await reader.read(max_bytes)
        except TimeoutError as error:
            raise httpcore.ReadTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ReadError(str(error)) from error
        reader.unread -= len(data)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        if buffer:
            with as_core(httpcore.WriteTimeout, httpcore.WriteError):
                async with asyncio.timeout(timeout):
                    self._writer.write(buffer)
                    await self._writer.drain()

    async def aclose(self) -> None:
        # What is not sent yet is not wanted any more.
        self._writer.transport.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
    ) -> httpcore.AsyncNetworkStream:
        try:
            with as_core(httpcore.ConnectTimeout, httpcore.ConnectError):
                async with asyncio.timeout(timeout):
                    await self._writer.start_tls(ssl_context, server_hostname=server_hostname)
        except BaseException:
            await self.aclose()
            raise
        return self

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            return not self._reader.at_rest or self._writer.is_closing()
        names = {"client_addr": "sockname", "server_addr": "peername"}
        return self._writer.get_extra_info(names.get(info, info))


class AsyncioBackend(httpcore.AsyncNetworkBackend):
    """For `httpcore.AsyncConnectionPool(network_backend=…)`, in an asyncio event loop.

    announces: each read is announced to the stream in whose task it happens.
    """

    def __init__(self, *, announces: bool = True) -> None:
        self._announces = announces

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
        local_address: str | None = None,  # noqa: ARG002 - never set by this library
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002 - never set by this library
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the first address that answers."""
        loop = asyncio.get_running_loop()
        reader = _Reader(loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        with as_core(httpcore.ConnectTimeout, httpcore.ConnectError):
            async with asyncio.timeout(timeout):
                sock = await _connected(loop, host, port)
                try:
                    transport, _ = await loop.create_connection(lambda: protocol, sock=sock)
                except BaseException:
                    sock.close()
                    raise
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        return _Stream(reader, writer, announces=self._announces)


async def _connected(loop: asyncio.AbstractEventLoop, host: str, port: int) -> socket.socket:
    """A socket connected to the first of the host's addresses that answers (RFC 8305).

    `create_connection` can do the same, but uvloop's cannot. Raises OSError.
    """
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # Alternately of each family, which keep their order.
    families = [
        [each for each in found if each[0] == family]
        for family in dict.fromkeys(each[0] for each in found)
    ]
    mixed = [each for turn in zip_longest(*families) for each in turn if each is not None]

    made: list[socket.socket] = []

    async def connect(to: _Found) -> socket.socket:
        family, kind, protocol, _name, address = to
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(sock, address)
        except BaseException:
            # No sooner: the loop has watched the descriptor until now, and may know it by number.
            sock.close()
            raise
        made.append(sock)
        return sock

    attempts = [partial(connect, each) for each in mixed]
    connected: socket.socket | None = None
    try:
        connected, _, failures = await staggered_race(attempts, _NEXT_ADDRESS, loop=loop)
    finally:
        # One that has connected in the moment in which the race was called off.
        for sock in made:
            if sock is not connected:
                sock.close()
    if connected is None:
        raise next((each for each in failures if each is not None), OSError("it has no address"))
    return connected
