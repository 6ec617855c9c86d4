"""Two proxies to measure a gateway by: `bare_proxies.py barest|starlette PORT UPSTREAM FOLDER`.

    barest       an asyncio protocol on each side that parses nothing; each read is written to a
                 JSONL file before it is sent on
    starlette    Starlette and httpx, as one would write it; records nothing

Both ask the upstream for the path that they are asked for.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path
from typing import Any, cast

import httpx
import orjson
import uvicorn
from child_process import allow_many_files
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route


class _Upstream(asyncio.Protocol):
    def __init__(self, client: asyncio.Transport, file: int) -> None:
        self._client = client
        self._file = file

    def data_received(self, data: bytes) -> None:
        os.write(self._file, orjson.dumps({"raw": data.decode()}) + b"\n")
        self._client.write(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        self._client.close()


class _Downstream(asyncio.Protocol):
    def __init__(self, upstream: str, folder: Path) -> None:
        address = httpx.URL(upstream)
        self._address = (address.host, address.port)
        self._folder = folder
        self._waiting = b""
        self._upstream: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._client = cast("asyncio.Transport", transport)
        name = str(self._folder / f"{id(self)}.jsonl")
        self._file = os.open(name, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        self._connecting = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        made, _ = await loop.create_connection(
            lambda: _Upstream(self._client, self._file), *self._address
        )
        self._upstream = made
        self.data_received(b"")

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        if self._upstream is not None and self._waiting:
            self._upstream.write(self._waiting)
            self._waiting = b""

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        os.close(self._file)
        if self._upstream is not None:
            self._upstream.close()


async def _barest(listener: socket.socket, upstream: str, folder: Path) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Downstream(upstream, folder), sock=listener)
    await server.serve_forever()


def _starlette(upstream: str) -> Any:
    limits = httpx.Limits(max_connections=1000)
    client = httpx.AsyncClient(timeout=None, limits=limits)

    async def answer(request: Request) -> StreamingResponse:
        url = upstream + request.url.path
        built = client.build_request("POST", url, content=await request.body())
        response = await client.send(built, stream=True)
        kind = response.headers["content-type"]
        return StreamingResponse(response.aiter_raw(), response.status_code, media_type=kind)

    return Starlette(routes=[Route("/{path:path}", answer, methods=["POST"])])


def main() -> None:
    kind, port, upstream, folder = sys.argv[1:]
    allow_many_files()
    listener = socket.create_server(("127.0.0.1", int(port)), backlog=2048)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if kind == "barest":
        asyncio.run(_barest(listener, upstream, Path(folder)))
        return
    config = uvicorn.Config(_starlette(upstream), ws="none", log_config=None, access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
