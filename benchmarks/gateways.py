"""What a gateway costs: `python benchmarks/gateways.py` beside two proxies without a vessel.

    barest       an asyncio protocol on each side that parses nothing; each read is written to a
                 JSONL file before it is sent on
    starlette    Starlette and httpx, as one would write it; records nothing
    vesselog     the gateway under uvicorn; each frame decoded and recorded before it is sent on

All have a process of their own, the same model server and the same client. CPU is that of the
proxy's process, for each piece of text, while streams are paced. The first data is timed with one
request at a time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import orjson
import uvicorn
from child_process import allow_many_files
from model_server import running_server
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from vesselog import AsyncClient, Limits, Retries
from vesselog.server import Gateway, gateway_vessels
from vesselog.vessels import OpenAI

_PROXIES = ("barest", "starlette", "vesselog")
_ROUTE = "/v1/chat/completions"
_BODY = b'{"model":"benchmark","stream":true,"messages":[{"role":"user","content":"Hi"}]}'


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
        self._path = address.path.encode()
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
            self._upstream.write(self._waiting.replace(b" /v1", b" " + self._path, 1))
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
        url = upstream + request.url.path.removeprefix("/v1")
        built = client.build_request("POST", url, content=await request.body())
        response = await client.send(built, stream=True)
        kind = response.headers["content-type"]
        return StreamingResponse(response.aiter_raw(), response.status_code, media_type=kind)

    return Starlette(routes=[Route(_ROUTE, answer, methods=["POST"])])


def _vesselog(upstream: str, folder: Path) -> Any:
    vessels = {"model": OpenAI(base_url=upstream)}
    client = AsyncClient(
        recordings=folder,
        vessels=gateway_vessels(vessels, {}),
        retries=Retries(count=0),
        limits=Limits(max_connections=1000),
        environment={},
    )
    return Gateway(client, vessels, environment={})


def _serve(kind: str, upstream: str, folder: Path) -> None:
    allow_many_files()
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    print(listener.getsockname()[1], flush=True)
    if kind == "barest":
        asyncio.run(_barest(listener, upstream, folder))
        return
    app = _starlette(upstream) if kind == "starlette" else _vesselog(upstream, folder)
    config = uvicorn.Config(app, ws="none", log_config=None, access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


@contextmanager
def _running(kind: str, upstream: str) -> Generator[tuple[int, int]]:
    """A proxy; gives its port and its process."""
    with tempfile.TemporaryDirectory() as folder:
        program = [sys.executable, str(Path(__file__).resolve()), "--serve", kind, upstream, folder]
        with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
            if process.stdout is None:
                raise RuntimeError("the proxy has no pipe")
            try:
                yield int(process.stdout.readline()), process.pid
            finally:
                process.kill()


class _Client(asyncio.Protocol):
    """Asks once. first: when the first piece of the body came; lost: when it was all over."""

    def __init__(self, path: str) -> None:
        self._request = (
            f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            f"content-length: {len(_BODY)}\r\n\r\n"
        ).encode() + _BODY
        self.size = 0
        self.first = 0.0
        self._head = b""
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._request)
        self.sent = time.perf_counter()

    def data_received(self, data: bytes) -> None:
        self.size += len(data)
        if not self.first:
            self._head += data
            _, end, body = self._head.partition(b"\r\n\r\n")
            if end and body:
                self.first = time.perf_counter()
        if data.endswith(b"\r\n0\r\n\r\n") or data == b"0\r\n\r\n":
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        if not self.over.done():
            self.over.set_result(None)


async def _ask(port: int, path: str) -> _Client:
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(lambda: _Client(path), "127.0.0.1", port)
    await client.over
    return client


def _cpu(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(process: int) -> float:
    lines = Path(f"/proc/{process}/status").read_text("ascii").split("\n")
    (peak,) = (line for line in lines if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1024


async def _first_data(port: int, path: str, count: int) -> list[float]:
    clients = [await _ask(port, path) for _ in range(count)]
    return [(each.first - each.sent) * 1e3 for each in clients]


async def _paced(port: int, path: str, streams: int) -> float:
    begun = time.perf_counter()
    clients = await asyncio.gather(*(_ask(port, path) for _ in range(streams)))
    if len({each.size // 1000 for each in clients}) > 2:
        raise RuntimeError("an answer is shorter than another")
    return time.perf_counter() - begun


def _measure(kind: str, server: str, streams: int, pieces: int) -> dict[str, float]:
    short, long = "/paced-1000-2/v1", f"/paced-50-{pieces}/v1"
    count = 200
    direct = asyncio.run(_first_data(int(server.rpartition(":")[2]), short + _ROUTE[3:], count))
    with _running(kind, server + short) as (port, _):
        asyncio.run(_first_data(port, _ROUTE, 20))
        through = asyncio.run(_first_data(port, _ROUTE, count))
    with _running(kind, server + long) as (port, process):
        asyncio.run(_first_data(port, _ROUTE, 1))
        before = _cpu(process)
        took = asyncio.run(_paced(port, _ROUTE, streams))
        cpu = _cpu(process) - before
        memory = _memory(process)
    return {
        "first data added, p50 ms": statistics.median(through) - statistics.median(direct),
        "CPU per chunk, us": cpu / (streams * pieces) * 1e6,
        "seconds late": took - pieces / 50,
        "memory, MiB": memory,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--pieces", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", choices=_PROXIES, action="append")
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        kind, upstream, folder = arguments.serve
        _serve(kind, upstream, Path(folder))
        return 0
    allow_many_files()
    with running_server() as server:
        for number in range(arguments.rounds):
            for kind in arguments.only or _PROXIES:
                figures = _measure(kind, server, arguments.streams, arguments.pieces)
                told = {name: round(value, 2) for name, value in figures.items()}
                print(json.dumps({"round": number + 1, "proxy": kind, **told}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
