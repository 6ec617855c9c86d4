"""Runs an application by uvicorn, at an address and until a signal.

limited_protocol.py has the limits on connections that uvicorn does not have. This file is made of
uvicorn, an extra.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import uvicorn

from ..core.errors import ConfigurationError
from .asgi import Application
from .limited_protocol import ConnectionLimits, limited_protocol
from .loopback import NO_DELAY

__all__ = ["ConnectionLimits", "Serving"]

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")


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
            http=limited_protocol(limits),
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
                f"cannot listen at {host}:{port}: {text or 'the address cannot be used'}; "
                "choose another port or host",
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
