"""The connections of one sync client, for its threads."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import Future

import httpx

from .interrupt import wait
from .places import Connection, Origin, Places
from .settings import Limits
from .socket_stream import SocketStream

__all__ = ["Pool", "SocketConnection"]

SocketConnection = Connection[SocketStream]


class Pool:
    """What is taken has to be kept or dropped.

    A finaliser must not come here while its thread is here already (outside.py).
    """

    def __init__(self, limits: Limits) -> None:
        self._places: Places[SocketStream] = Places(limits)
        self._lock = threading.Lock()

    def take(self, origin: Origin, timeout: float | None) -> SocketConnection:
        """A connection to this server, to be made yet or used again.

        Waits so long for a free one where all are in use: seconds, which an alarm may end sooner.
        Raises httpx.PoolTimeout and Interrupted.
        """
        with self._lock:
            connection = self._places.take(origin)
            if connection is not None:
                return connection
            turn: Future[SocketConnection] = Future()
            self._places.wait(origin, turn)
        connection = self._turn(origin, turn, timeout)
        with self._lock:
            return self._places.usable(connection)

    def connected(self, connection: SocketConnection, stream: SocketStream) -> None:
        """It is made. Raises httpx.ConnectError if the pool was closed meanwhile."""
        with self._lock:
            self._places.connected(connection, stream)

    def keep(self, connection: SocketConnection) -> None:
        """It can be used again."""
        with self._lock:
            self._places.keep(connection)

    def drop(self, connection: SocketConnection) -> None:
        """It is of no more use, or was not made."""
        with self._lock:
            self._places.drop(connection)

    def close(self) -> None:
        """Close all connections, whatever they do."""
        with self._lock:
            self._places.close()

    def _turn(
        self, origin: Origin, turn: Future[SocketConnection], timeout: float | None
    ) -> SocketConnection:
        """The connection that another thread keeps or drops next."""
        ear, bell = socket.socketpair()
        with ear, bell:
            turn.add_done_callback(lambda _: bell.send(b"!"))
            try:
                wait(ear, timeout)
            except BaseException as error:
                with self._lock:
                    self._places.give_up(origin, turn)
                    if not turn.cancel() and turn.exception() is None:
                        self._places.keep(turn.result())
                if isinstance(error, TimeoutError):
                    raise httpx.PoolTimeout("all connections are in use") from error
                raise
        return turn.result()
