"""Connects to the first of a host's addresses that answers, for httpcore's async pool."""

from __future__ import annotations

import asyncio
import socket
from asyncio.staggered import staggered_race
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import zip_longest
from typing import Any

import httpcore

from .asyncio_stream import AsyncioStream
from .bridge import as_core

__all__ = ["AsyncioBackend"]

# Seconds until a host's next address is tried beside the one that does not answer (RFC 8305).
_NEXT_ADDRESS = 0.25


# What `getaddrinfo` gives: family, kind, protocol, name, address.
_Found = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]


class AsyncioBackend(httpcore.AsyncNetworkBackend):
    """For `httpcore.AsyncConnectionPool(network_backend=…)`, in an asyncio event loop."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
        local_address: str | None = None,  # noqa: ARG002 - never set by this library
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002 - never set by this library
    ) -> AsyncioStream:
        """A connection to the first address that answers."""
        loop = asyncio.get_running_loop()
        stream = AsyncioStream(loop)
        with as_core(httpcore.ConnectTimeout, httpcore.ConnectError):
            async with asyncio.timeout(timeout):
                sock = await _connected(loop, host, port)
                try:
                    await loop.create_connection(lambda: stream, sock=sock)
                except BaseException:
                    sock.close()
                    raise
        return stream


async def _connected(loop: asyncio.AbstractEventLoop, host: str, port: int) -> socket.socket:
    """A socket connected to the first of the host's addresses that answers (RFC 8305).

    `create_connection` can do the same, but uvloop's cannot. Raises OSError.
    """
    found = await _addresses(loop, host, port)
    if len(found) == 1:
        return await _connect(loop, found[0])
    # Alternately of each family, which keep their order.
    families = [
        [each for each in found if each[0] == family]
        for family in dict.fromkeys(each[0] for each in found)
    ]
    mixed = [each for turn in zip_longest(*families) for each in turn if each is not None]
    made: list[socket.socket] = []

    async def connect(to: _Found) -> socket.socket:
        made.append(sock := await _connect(loop, to))
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


async def _addresses(loop: asyncio.AbstractEventLoop, host: str, port: int) -> Sequence[_Found]:
    """Where a host is. Only a name is looked up, which takes a thread. Raises OSError."""
    kind = socket.SOCK_STREAM
    try:
        return socket.getaddrinfo(host, port, type=kind, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        return await loop.getaddrinfo(host, port, type=kind)


async def _connect(loop: asyncio.AbstractEventLoop, to: _Found) -> socket.socket:
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
    return sock
