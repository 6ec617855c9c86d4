"""The connections of one async client, for its event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import httpx

from .asyncio_stream import AsyncioStream
from .places import Connection, Origin, Places
from .settings import Limits

__all__ = ["AsyncConnection", "AsyncPool"]

AsyncConnection = Connection[AsyncioStream]


class AsyncPool:
    """What is taken has to be kept or dropped."""

    def __init__(self, limits: Limits) -> None:
        self._places: Places[AsyncioStream] = Places(limits, self._rest)
        self.connected = self._places.connected
        self.keep = self._places.keep
        self.drop = self._places.drop
        self.close = self._places.close

    async def take(self, origin: Origin, seconds: float | None) -> AsyncConnection:
        """A connection to this server, to be made yet or used again.

        Waits so long for a free one where all are in use. Raises httpx.PoolTimeout.
        """
        connection = self._places.take(origin)
        return connection or self._places.usable(await self._turn(origin, seconds))

    async def _turn(self, origin: Origin, seconds: float | None) -> AsyncConnection:
        """The connection that another task keeps or drops next."""
        turn: asyncio.Future[AsyncConnection] = asyncio.get_running_loop().create_future()
        self._places.wait(origin, turn)
        try:
            async with asyncio.timeout(seconds):
                return await turn
        except BaseException as error:
            self._places.give_up(origin, turn)
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.keep(turn.result())
            if isinstance(error, TimeoutError):
                raise httpx.PoolTimeout("all connections are in use") from error
            raise

    def _rest(self, connection: AsyncConnection) -> None:
        if connection.stream is not None:
            connection.stream.listen(_Idle(partial(self.drop, connection)))


class _Idle:
    """Listens where nobody asked anything: whatever comes, the connection is of no more use."""

    def __init__(self, drop: Callable[[], None]) -> None:
        self._drop = drop

    def data_came(self, data: bytes) -> None:  # noqa: ARG002 - no answer can be trusted then
        """The server says something."""
        self._drop()

    def connection_ended(self, error: Exception | None) -> None:  # noqa: ARG002 - nobody waits
        """The server has ended it, or it is lost."""
        self._drop()
