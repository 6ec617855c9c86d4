"""The connections of one async client: at most so many, and idle ones for a while.

httpcore's own pool looks at every connection for every request and every answer, and loses the
place of a request that is cancelled while it waits (encode/httpcore#1093).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

import httpx

from .asyncio_stream import AsyncioStream
from .settings import Limits

__all__ = ["Connection", "Origin", "Pool"]

Origin = tuple[str, str, int]
"""Scheme, host and port of a server."""


class Connection:
    """A place in the pool. stream: its connection, None until that is made.

    While it is idle it listens: whatever comes means that it is of no more use.
    """

    def __init__(self, pool: Pool, origin: Origin) -> None:
        self._pool = pool
        self.origin = origin
        self.stream: AsyncioStream | None = None
        self.idle_since = 0.0

    def data_came(self, data: bytes) -> None:  # noqa: ARG002 - no answer can be trusted then
        """The server says something that nobody asked for."""
        self._pool.drop(self)

    def connection_ended(self, error: Exception | None) -> None:  # noqa: ARG002 - nobody waits
        """The server has ended it, or it is lost."""
        self._pool.drop(self)


class Pool:
    """For one event loop. What is taken has to be kept or dropped."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._all: set[Connection] = set()
        self._idle: list[Connection] = []  # the longest idle one first
        self._waiting: deque[tuple[Origin, asyncio.Future[Connection]]] = deque()

    async def take(self, origin: Origin, seconds: float | None) -> Connection:
        """A connection to this server, to be made yet or used again.

        Waits so long for a free one where all are in use. Raises httpx.PoolTimeout.
        """
        self._drop_expired()
        for connection in reversed(self._idle):
            if connection.origin == origin:
                self._idle.remove(connection)
                return self._usable(connection)
        if len(self._all) >= self._limits.max_connections:
            if not self._idle:
                return self._usable(await self._turn(origin, seconds))
            self.drop(self._idle[0])
        return self._new(origin)

    def connected(self, connection: Connection, stream: AsyncioStream) -> None:
        """It is made. Raises httpx.ConnectError if the pool was closed meanwhile."""
        connection.stream = stream
        self._check(connection)

    def keep(self, connection: Connection) -> None:
        """It can be used again."""
        if connection not in self._all:
            return
        waiting = self._next()
        if waiting is not None and waiting[0] == connection.origin:
            self._waiting.popleft()
            waiting[1].set_result(connection)
        elif waiting is not None or connection.stream is None or not self._limits.max_keepalive:
            self.drop(connection)
        else:
            if len(self._idle) >= self._limits.max_keepalive:
                self.drop(self._idle[0])
            connection.idle_since = time.monotonic()
            self._idle.append(connection)
            connection.stream.listen(connection)

    def drop(self, connection: Connection) -> None:
        """It is of no more use, or was not made."""
        if connection.stream is not None:
            connection.stream.abort()
        if connection not in self._all:
            return
        self._all.remove(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if (waiting := self._next()) is not None:
            self._waiting.popleft()
            waiting[1].set_result(self._new(waiting[0]))

    def close(self) -> None:
        """Close all connections, whatever they do."""
        while (waiting := self._next()) is not None:
            self._waiting.popleft()
            waiting[1].set_exception(_closed())
        for connection in tuple(self._all):
            self.drop(connection)

    def _new(self, origin: Origin) -> Connection:
        connection = Connection(self, origin)
        self._all.add(connection)
        return connection

    def _usable(self, connection: Connection) -> Connection:
        """It, or one to be made in its place if its server has ended it."""
        self._check(connection)
        if connection.stream is None or not connection.stream.readable:
            return connection
        connection.stream.abort()
        self._all.remove(connection)
        return self._new(connection.origin)

    def _check(self, connection: Connection) -> None:
        if connection not in self._all:
            self.drop(connection)
            raise _closed()

    def _drop_expired(self) -> None:
        oldest = time.monotonic() - self._limits.keepalive_expiry
        while self._idle and self._idle[0].idle_since < oldest:
            self.drop(self._idle[0])

    def _next(self) -> tuple[Origin, asyncio.Future[Connection]] | None:
        """The first that still waits."""
        while self._waiting and self._waiting[0][1].done():
            self._waiting.popleft()
        return self._waiting[0] if self._waiting else None

    async def _turn(self, origin: Origin, seconds: float | None) -> Connection:
        """The connection that somebody else keeps or drops next."""
        turn: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting := (origin, turn))
        try:
            async with asyncio.timeout(seconds):
                return await turn
        except BaseException as error:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.keep(turn.result())
            if isinstance(error, TimeoutError):
                raise httpx.PoolTimeout("all connections are in use") from error
            raise


def _closed() -> httpx.ConnectError:
    return httpx.ConnectError("the client is closed")
