"""A gateway in a process of its own, and what clients got of it before it was killed."""

from __future__ import annotations

import socket
from pathlib import Path
from threading import Event
from typing import NamedTuple

import httpx
import uvicorn

from gateways import gateway_of
from vesselog import Recording
from vesselog.vessels.ollama import Ollama

__all__ = ["Got", "ask_on", "recorded", "run_gateway"]


class Got(NamedTuple):
    """What a client received of one answer, and the session that it was told."""

    session: str
    data: bytes


def run_gateway(folder: str, url: str, ready: str) -> None:
    """Serve; the port is written to the pipe `ready`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        port: int = listener.getsockname()[1]
        Path(ready).write_text(str(port), "utf-8")
        app = gateway_of(Path(folder), {"up": Ollama(base_url=url)})
        config = uvicorn.Config(app, ws="none", log_config=None, log_level="critical")
        uvicorn.Server(config).run(sockets=[listener])


def ask_on(base_url: str, prompt: str, got: list[Got], begun: Event) -> None:
    """Ask again and again until the gateway is gone; keep what came."""
    with httpx.Client(base_url=base_url, timeout=30, trust_env=False) as http:
        number = 0
        while True:
            number += 1
            body = {"model": "m", "messages": [{"role": "user", "content": f"{prompt}.{number}"}]}
            session, data = "", b""
            try:
                with http.stream("POST", "/api/chat", json=body) as response:
                    session = response.headers["x-vesselog-session"]
                    begun.set()
                    for piece in response.iter_raw():
                        data += piece
            except httpx.TransportError:
                return
            finally:
                if session:
                    got.append(Got(session, data))


def recorded(folder: Path, session: str) -> bytes:
    """The bytes that a recording has of its answer."""
    return b"".join(frame.raw for frame in Recording(folder / f"{session}.jsonl").frames())
