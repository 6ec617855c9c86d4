"""Runs an application by uvicorn, with the limits on connections that uvicorn does not have.

uvicorn waits for ever for the rest of a request's header, takes a header of any size where
httptools parses it, and waits for ever for a client that does not read. This file is made of
uvicorn, an extra.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import uvicorn

from ..core.errors import ConfigurationError
from .asgi import Application

if TYPE_CHECKING:
    # One of two, chosen when it is imported: httptools where it is installed, or else h11.
    from uvicorn.protocols.http.h11_impl import H11Protocol as AutoHTTPProtocol
else:
    from uvicorn.protocols.http.auto import AutoHTTPProtocol
from .loopback import NO_DELAY

__all__ = ["ConnectionLimits", "Serving"]

_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-type: text/plain\r\ncontent-length: 29\r\nconnection: close\r\n\r\n"
    b"The request header is too big"
)
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits on one connection.

    header_bytes: of a request's line and header. header_seconds: for sending them, from the
    connection or from their first byte on. unread_seconds: how long a client may leave an answer
    unread that waits for it. idle_seconds: between two requests.
    """

    header_bytes: int = 64 * 1024
    header_seconds: float = 30.0
    unread_seconds: float = 300.0
    idle_seconds: int = 75


class Serving:
    """An application at an address.

    port: 0 is any free one. before_end: awaited when the server is to end, while clients are still
    connected. within: seconds that connections have to end after that. Raises ConfigurationError if
    the address cannot be used.
    """

    def __init__(
        self,
        app: Application,
        host: str,
        port: int,
        *,
        limits: ConnectionLimits | None = None,
        before_end: Callable[[], Awaitable[None]] | None = None,
        within: int = 1,
    ) -> None:
        limits = limits or ConnectionLimits()
        config = uvicorn.Config(
            app,
            host=host,
            port=port,
            http=_limited_protocol(limits),
            ws="none",
            log_config=None,
            log_level="critical",  # an answer that was cut is passed on cut: uvicorn's "error"
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=limits.idle_seconds,
            timeout_graceful_shutdown=within,
        )
        self._server = _Server(config, before_end)
        try:
            self._listener = config.bind_socket()
        except SystemExit as end:
            reason = end.__context__
            text = reason.strerror if isinstance(reason, OSError) else None
            raise ConfigurationError(
                f"cannot listen at {host}:{port}: {text or 'the address cannot be used'}",
                setting="port",
            ) from None
        self._listener.setsockopt(*NO_DELAY, 1)
        self._listener.listen(config.backlog)  # a request that comes early waits
        self.host, self.port = host, int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        """The base URL, without a path."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def run(self) -> None:
        """Serve until `stop`, or until a signal that asks the program to end."""
        with self._listener:
            self._server.run([self._listener])
        if not self._server.started:
            raise ConfigurationError("the server could not start; the log says why")

    def stop(self) -> None:
        """End the server. Safe from any thread."""
        self._server.should_exit = True


class _Server(uvicorn.Server):
    def __init__(
        self, config: uvicorn.Config, before_end: Callable[[], Awaitable[None]] | None
    ) -> None:
        super().__init__(config)
        self._before_end = before_end

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """End at a signal; at a second one without waiting for anybody.

        uvicorn's own raises the signal again at the end, as if the program had been killed.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
        # One that is ignored, as SIGHUP below nohup, stays so.
        heard = [each for each in numbers if signal.getsignal(each) is not signal.SIG_IGN]
        before = {each: signal.signal(each, self.handle_exit) for each in heard}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: Any) -> None:  # noqa: ARG002 - a signal handler
        """A signal was received."""
        self.force_exit = self.should_exit
        self.should_exit = True

    async def shutdown(self, sockets: Any = None) -> None:
        """End what runs, then the connections."""
        if self._before_end is not None and not self.force_exit:
            await self._before_end()
        await super().shutdown(sockets)


def _limited_protocol(  # noqa: C901 - one class
    limits: ConnectionLimits,
) -> type[asyncio.Protocol]:
    """uvicorn's protocol with these limits. None of them costs anything per message sent."""

    class Limited(AutoHTTPProtocol):
        _deadline: asyncio.TimerHandle | None = None
        _unread: asyncio.TimerHandle | None = None
        _received = 0

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._deadline = self.loop.call_later(limits.header_seconds, transport.abort)

        def connection_lost(self, exc: Exception | None) -> None:
            self._in_time()
            self.resume_writing()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self._answering:
                super().data_received(data)
                return
            self._received += len(data)
            before = self.cycle
            super().data_received(data)
            if self.cycle is not before:  # the header is there
                self._in_time()
            elif self._received > limits.header_bytes:
                self.transport.write(_TOO_LARGE)
                self.transport.close()
            elif self._deadline is None and not self.transport.is_closing():
                self._deadline = self.loop.call_later(limits.header_seconds, self.transport.abort)

        def pause_writing(self) -> None:
            super().pause_writing()
            self._unread = self.loop.call_later(limits.unread_seconds, self.transport.abort)

        def resume_writing(self) -> None:
            if self._unread is not None:
                self._unread.cancel()
                self._unread = None
            super().resume_writing()

        @property
        def _answering(self) -> bool:
            cycle: Any = self.cycle  # None before the first request
            return cycle is not None and not cycle.response_complete

        def _in_time(self) -> None:
            self._received = 0
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

    return Limited
