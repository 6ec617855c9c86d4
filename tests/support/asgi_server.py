"""Runs an ASGI application under uvicorn, on a free port of loopback, with its lifespan."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn

from patience import PATIENCE

__all__ = ["served_by_uvicorn"]


@contextmanager
def served_by_uvicorn(app: Any, **settings: Any) -> Iterator[httpx.Client]:
    """Gives an HTTP client for it."""
    config = uvicorn.Config(app, lifespan="on", ws="none", log_config=None, **settings)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # asyncio turns it on only for sockets that it makes itself; accepted ones inherit it.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            with httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join(PATIENCE)
    assert not thread.is_alive()
