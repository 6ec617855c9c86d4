"""The connections of one client: at most so many, and idle ones for a while.

httpcore's own pool looks at every connection for every request and every answer, and its async one
loses the place of a request that is cancelled while it waits (encode/httpcore#1093). Nothing here
waits or locks; that is for async_pool.py and pool.py.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

import httpx

from .settings import Limits

__all__ = ["Connection", "Line", "Origin", "Places", "Turn", "origin_of"]

Origin = tuple[str, str, int]
"""Scheme, host and port of a server."""

_PORTS = {"http": 80, "https": 443}


class Line(Protocol):
    """What leads to a server."""

    @property
    def readable(self) -> bool:
        """Whether something has come, or the end: at rest, it is of no more use then."""
        ...

    def abort(self) -> None:
        """Close it, whoever uses it."""
        ...


L = TypeVar("L", bound=Line)


class Connection(Generic[L]):
    """A place. stream: what leads to its server, None until that is made."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.stream: L | None = None
        self.idle_since = 0.0


class Turn(Protocol[L]):
    """A future: somebody waits for a place."""

    def done(self) -> bool:
        """Whether he has one, or wants none any more."""
        ...

    def set_result(self, result: Connection[L], /) -> None:
        """This one is his."""
        ...

    def set_exception(self, exception: Exception, /) -> None:
        """There is none."""
        ...


class Places(Generic[L]):
    """What is taken has to be kept or dropped. resting: told of each connection that gets idle."""

    def __init__(
        self, limits: Limits, resting: Callable[[Connection[L]], None] = lambda _: None
    ) -> None:
        self._limits = limits
        self._resting = resting
        self._all: set[Connection[L]] = set()
        self._idle: list[Connection[L]] = []  # the longest idle one first
        self._waiting: deque[tuple[Origin, Turn[L]]] = deque()

    def take(self, origin: Origin) -> Connection[L] | None:
        """A connection to this server, to be made yet or used again; None where all are in use."""
        self._drop_expired()
        for connection in reversed(self._idle):
            if connection.origin == origin:
                self._idle.remove(connection)
                return self.usable(connection)
        if len(self._all) >= self._limits.max_connections:
            if not self._idle:
                return None
            self.drop(self._idle[0])
        return self._new(origin)

    def wait(self, origin: Origin, turn: Turn[L]) -> None:
        """Have this turn get the connection that somebody else keeps or drops next."""
        self._waiting.append((origin, turn))

    def give_up(self, origin: Origin, turn: Turn[L]) -> None:
        """This turn is not waited for any more."""
        with suppress(ValueError):  # it has come
            self._waiting.remove((origin, turn))

    def usable(self, connection: Connection[L]) -> Connection[L]:
        """It, or one to be made in its place if its server has ended it.

        Raises httpx.ConnectError if all were closed meanwhile.
        """
        self._check(connection)
        if connection.stream is None or not connection.stream.readable:
            return connection
        connection.stream.abort()
        self._all.remove(connection)
        return self._new(connection.origin)

    def connected(self, connection: Connection[L], stream: L) -> None:
        """It is made. Raises httpx.ConnectError if all were closed meanwhile."""
        connection.stream = stream
        self._check(connection)

    def keep(self, connection: Connection[L]) -> None:
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
            self._resting(connection)

    def drop(self, connection: Connection[L]) -> None:
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

    def _new(self, origin: Origin) -> Connection[L]:
        connection: Connection[L] = Connection(origin)
        self._all.add(connection)
        return connection

    def _check(self, connection: Connection[L]) -> None:
        if connection not in self._all:
            self.drop(connection)
            raise _closed()

    def _drop_expired(self) -> None:
        oldest = time.monotonic() - self._limits.keepalive_expiry
        while self._idle and self._idle[0].idle_since < oldest:
            self.drop(self._idle[0])

    def _next(self) -> tuple[Origin, Turn[L]] | None:
        """The first that still waits."""
        while self._waiting and self._waiting[0][1].done():
            self._waiting.popleft()
        return self._waiting[0] if self._waiting else None


def origin_of(url: httpx.URL) -> Origin:
    """Where a request to this address goes."""
    return url.scheme, url.raw_host.decode("ascii"), url.port or _PORTS[url.scheme]


def _closed() -> httpx.ConnectError:
    return httpx.ConnectError("the client is closed")
