"""One connection as blocking sockets have it, whose every wait asks the stream's alarm.

httpx fixes a body's read timeout when the body starts, and closing a response from another thread
leaves its reader blocked. Here the socket itself never blocks, and each wait for it asks the alarm
that came as the timeout, so deadlines move and `cancel()` works from any thread, before the headers
too.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
from collections.abc import Callable, Iterable
from typing import Any

import httpcore

from .bodies import READ_BYTES
from .bridge import as_core
from .interrupt import READ, WRITE, check, poll, wait

__all__ = ["SocketBackend", "SocketStream"]

# Under TLS both mean that the rest of a record has not come, or gone out, yet.
_WANTS_READ = BlockingIOError, ssl.SSLWantReadError
_WANTS_WRITE = BlockingIOError, ssl.SSLWantWriteError


class SocketStream(httpcore.NetworkStream):
    """For httpcore, which calls `read` and `write`, or by `receive` and `send`, which are quicker.

    httpcore closes an idle connection that has become readable: its server has. A thread that looks
    while another one takes the connection into use may find it idle and then readable, by the
    answer; so it is readable only while it is at rest.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._busy = False
        self._more = False

    def rest(self) -> None:
        """The answer is over, or given up; the connection is kept for another, or not."""
        self._busy = False

    @property
    def readable(self) -> bool:
        """Whether something has come, or the end."""
        return self._socket.fileno() < 0 or poll(self._socket, seconds=0)

    def receive(self, max_bytes: int, timeout: float | None) -> bytes:
        """What has come, or comes next; nothing at the end. Raises OSError and Interrupted."""
        sock = self._socket
        if self._more or (isinstance(sock, ssl.SSLSocket) and sock.pending()):
            check(timeout)  # there is more, as a rule: the system need not be asked
        else:
            wait(sock, timeout)
        while True:
            try:
                data = sock.recv(max_bytes)
            except _WANTS_READ:
                wait(sock, timeout)
            except ssl.SSLWantWriteError:
                wait(sock, timeout, WRITE)
            else:
                self._more = len(data) == max_bytes
                return data

    def send(
        self, data: bytes, timeout: float | None, heard: Callable[[bytes], bool] | None = None
    ) -> None:
        """Send it. Raises OSError and Interrupted.

        heard: is given what comes while it is not taken, and tells whether to go on.
        """
        self._busy = True
        check(timeout)
        left = memoryview(data)
        while left:
            try:
                left = left[self._socket.send(left) :]
            except _WANTS_WRITE:
                wait(self._socket, timeout, WRITE if heard is None else READ | WRITE)
                if heard is not None and not self._hears(heard):
                    return
            except ssl.SSLWantReadError:
                wait(self._socket, timeout)

    def _hears(self, heard: Callable[[bytes], bool]) -> bool:
        try:
            return heard(self._socket.recv(READ_BYTES))
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return True

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """As `receive`, with httpcore's errors."""
        with as_core(httpcore.ReadTimeout, httpcore.ReadError):
            return self.receive(max_bytes, timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """As `send`, with httpcore's errors."""
        with as_core(httpcore.WriteTimeout, httpcore.WriteError):
            self.send(buffer, timeout)

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def abort(self) -> None:
        """Close it under whoever waits for it, and wake him."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        """Go on under TLS."""
        if isinstance(self._socket, ssl.SSLSocket):
            self.close()
            raise httpcore.ProxyError("an https:// proxy cannot carry https: give it as http://")
        with as_core(httpcore.ConnectTimeout, httpcore.ConnectError):
            try:
                self._socket = ssl_context.wrap_socket(
                    self._socket, server_hostname=server_hostname, do_handshake_on_connect=False
                )
                _shake_hands(self._socket, timeout)
            except BaseException:
                self.close()
                raise
            return self

    def get_extra_info(self, info: str) -> Any:
        """What httpcore asks."""
        if info == "socket":
            return self._socket
        if info == "is_readable":
            return self.readable and not self._busy
        if info == "ssl_object" and isinstance(self._socket, ssl.SSLSocket):
            return self._socket
        if info == "server_addr":
            return self._socket.getpeername()
        if info == "client_addr":
            return self._socket.getsockname()
        return None


class SocketBackend(httpcore.NetworkBackend):
    """For `httpcore.ConnectionPool(network_backend=…)`."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,  # noqa: ARG002 - never set by this library
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002 - never set by this library
    ) -> SocketStream:
        """A connection to the first address that answers."""
        with as_core(httpcore.ConnectTimeout, httpcore.ConnectError):
            sock = _connect(host, port, timeout)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return SocketStream(sock)


def _shake_hands(sock: ssl.SSLSocket, timeout: float | None) -> None:
    while True:
        try:
            sock.do_handshake()
        except ssl.SSLWantReadError:
            wait(sock, timeout)
        except ssl.SSLWantWriteError:
            wait(sock, timeout, WRITE)
        else:
            return


def _connect(host: str, port: int, timeout: float | None) -> socket.socket:
    """Connect to the first address that answers; the timeout is for each."""
    failure: OSError = OSError("the host has no address")
    for family, kind, protocol, _name, address in socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    ):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            started = sock.connect_ex(address)
            if started not in {0, errno.EINPROGRESS, errno.EWOULDBLOCK}:
                raise OSError(started, os.strerror(started))
            wait(sock, timeout, WRITE)
            refused = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if refused:
                raise OSError(refused, os.strerror(refused))
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure
