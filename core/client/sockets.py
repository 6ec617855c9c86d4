"""Connects to the first of a host's addresses that answers, for httpcore's async pool."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Iterable, Sequence
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
    return await _first(loop, mixed)


async def _first(loop: asyncio.AbstractEventLoop, addresses: Sequence[_Found]) -> socket.socket:
    """A socket connected to the first that answers. Raises the first one's OSError."""
    left = deque(addresses)
    attempts: list[asyncio.Task[socket.socket]] = []
    running: set[asyncio.Task[socket.socket]] = set()
    winner: asyncio.Task[socket.socket] | None = None
    try:
        while left or running:
            if left:
                attempts.append(attempt := loop.create_task(_connect(loop, left.popleft())))
                running.add(attempt)
            done, running = await asyncio.wait(
                running,
                timeout=_NEXT_ADDRESS if left else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            winner = next((each for each in done if each.exception() is None), None)
            if winner is not None:
                return winner.result()
    finally:
        for attempt in attempts:
            if attempt is not winner:
                attempt.cancel()
                attempt.add_done_callback(_close)
    if not attempts:
        raise OSError("it has no address")
    return attempts[0].result()


def _close(attempt: asyncio.Task[socket.socket]) -> None:
    """Of one that has connected in the moment in which it was called off."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()


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
