"""The sync transport: httpcore's connection pool over sockets that a stream's alarm can interrupt.

httpx fixes a body's read timeout when the body starts, and closing a response from another thread
leaves its reader blocked. Here each wait for a socket asks the stream's alarm, so deadlines move
and `cancel()` works from any thread, before the headers too.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
from collections.abc import Iterable, Iterator
from typing import Any

import httpcore
import httpx

from .bridge import as_core, as_httpx, core_request, extensions_of, pool_settings, proxy_settings
from .interrupt import Wait, poll
from .settings import Limits

__all__ = ["InterruptibleTransport"]

# Seconds that a read may sit inside OpenSSL, for the rest of a record, before the alarm is asked
# again.
_SLICE = 0.25


class InterruptibleTransport(httpx.BaseTransport):
    """An httpx transport for HTTP/1.1, direct or through an HTTP proxy."""

    def __init__(
        self, limits: Limits, ssl_context: ssl.SSLContext, proxy: httpx.Proxy | None = None
    ) -> None:
        settings: dict[str, Any] = {
            **pool_settings(limits, ssl_context),
            "network_backend": _Backend(),
        }
        self._pool: httpcore.ConnectionPool
        if proxy is None:
            self._pool = httpcore.ConnectionPool(**settings)
        else:
            self._pool = httpcore.HTTPProxy(**proxy_settings(proxy), **settings)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; return with the response's headers."""
        if not isinstance(request.stream, httpx.SyncByteStream):
            raise TypeError("a sync transport takes a sync request body")
        with as_httpx():
            response = self._pool.handle_request(core_request(request))
        return httpx.Response(
            status_code=response.status,
            headers=response.headers,
            stream=_Body(response),
            extensions=extensions_of(response),
        )

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        with as_httpx():
            yield from self._response.iter_stream()

    def close(self) -> None:
        stream = extensions_of(self._response).get("network_stream")
        if isinstance(stream, _Stream):
            stream.rest()
        self._response.close()


class _Stream(httpcore.NetworkStream):
    """A connected socket whose reads ask the alarm that came as their timeout.

    httpcore closes an idle connection that has become readable: its server has. A thread that looks
    while another one takes the connection into use may find it idle and then readable, by the
    answer; so it is readable only while it is at rest.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._busy = False

    def rest(self) -> None:
        """The answer is over, or given up; httpcore keeps the connection for another, or not."""
        self._busy = False

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with as_core(httpcore.ReadTimeout, httpcore.ReadError):
            if not isinstance(timeout, Wait):
                self._socket.settimeout(timeout)
                return self._socket.recv(max_bytes)
            self._socket.settimeout(_SLICE)
            while True:
                if not (isinstance(self._socket, ssl.SSLSocket) and self._socket.pending()):
                    timeout.alarm.wait(self._socket)
                # After a slice in which only half a TLS record came: OpenSSL keeps it.
                with contextlib.suppress(TimeoutError):
                    return self._socket.recv(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._busy = True
        with as_core(httpcore.WriteTimeout, httpcore.WriteError):
            if not isinstance(timeout, Wait):
                self._socket.settimeout(timeout)
                self._socket.sendall(buffer)
                return
            self._socket.settimeout(_SLICE)
            left = memoryview(buffer)
            while left:
                if not timeout.alarm.wait(self._socket, write=True, limit=float(timeout)):
                    raise TimeoutError
                # After a slice in which a TLS record did not go out whole: OpenSSL keeps the rest.
                with contextlib.suppress(TimeoutError):
                    left = left[self._socket.send(left) :]

    def close(self) -> None:
        self._socket.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        if isinstance(self._socket, ssl.SSLSocket):
            self.close()
            raise httpcore.ProxyError("an https:// proxy cannot carry https: give it as http://")
        with as_core(httpcore.ConnectTimeout, httpcore.ConnectError):
            try:
                self._socket.settimeout(None if isinstance(timeout, Wait) else timeout)
                self._socket = ssl_context.wrap_socket(
                    self._socket, server_hostname=server_hostname, do_handshake_on_connect=False
                )
                _shake_hands(self._socket, timeout)
            except BaseException:
                self.close()
                raise
            return self

    def get_extra_info(self, info: str) -> Any:
        if info == "socket":
            return self._socket
        if info == "is_readable":
            readable = self._socket.fileno() < 0 or poll(self._socket, seconds=0)
            return readable and not self._busy
        if info == "ssl_object" and isinstance(self._socket, ssl.SSLSocket):
            return self._socket
        if info == "server_addr":
            return self._socket.getpeername()
        if info == "client_addr":
            return self._socket.getsockname()
        return None


class _Backend(httpcore.NetworkBackend):
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,  # noqa: ARG002 - never set by this transport
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002 - never set by this transport
    ) -> httpcore.NetworkStream:
        with as_core(httpcore.ConnectTimeout, httpcore.ConnectError):
            sock = _connect(host, port, timeout)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return _Stream(sock)


def _shake_hands(sock: ssl.SSLSocket, timeout: float | None) -> None:
    if not isinstance(timeout, Wait):
        sock.do_handshake()
        return
    sock.setblocking(False)
    while True:
        try:
            sock.do_handshake()
        except ssl.SSLWantReadError:
            ready = timeout.alarm.wait(sock, limit=float(timeout))
        except ssl.SSLWantWriteError:
            ready = timeout.alarm.wait(sock, write=True, limit=float(timeout))
        else:
            return
        if not ready:
            raise TimeoutError


def _connect(host: str, port: int, timeout: float | None) -> socket.socket:
    """Connect to the first address that answers.

    The alarm that came with the timeout may interrupt.
    """
    if not isinstance(timeout, Wait):
        return socket.create_connection((host, port), timeout)
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
            if not timeout.alarm.wait(sock, write=True, limit=float(timeout)):
                raise TimeoutError
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
