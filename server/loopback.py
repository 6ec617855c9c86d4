"""Serves an application on a free port of this machine, for as long as a `with` block runs."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager

from ..core.errors import ConfigurationError
from .asgi import Application
from .check_arguments import check_application

__all__ = ["NO_DELAY", "serve_in_thread"]

NO_DELAY = (6, 1)
"""IPPROTO_TCP and TCP_NODELAY, the same on every platform: for a listener that uvicorn is given.

asyncio sets it for the connections of listeners that it made itself; those of others inherit it.
Without it a small body message waits until the client has acknowledged the one before, often 40 ms.
"""


@contextmanager
def serve_in_thread(app: Application) -> Generator[str]:
    """Serve `app` with uvicorn, in a thread of its own, for the length of a `with` block.

    The block gets the base URL. The port is open by then, so that no request is refused. At the end
    of the block the connections are closed.

    Args:
        app: An ASGI application.

    Raises:
        ConfigurationError: The extra `server` is missing, or `app` is no application.
    """
    check_application(app, "app")
    try:
        import uvicorn  # noqa: PLC0415 - an extra
    except ImportError:
        raise ConfigurationError(
            "serving needs the server extra: pip install 'vesselog[server]'"
        ) from None
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        lifespan="off",
        ws="none",
        log_config=None,
        log_level="critical",  # an answer that was cut is played cut, which uvicorn calls an error
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    with config.bind_socket() as listener:
        listener.setsockopt(*NO_DELAY, 1)
        listener.listen(config.backlog)
        port = listener.getsockname()[1]
        thread = threading.Thread(
            target=server.run, args=([listener],), name="vesselog-loopback", daemon=True
        )
        thread.start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join()
