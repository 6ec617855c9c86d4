"""What the library costs by itself: answers come from memory instead of a socket.

Ours and the floor take turns in one process, and each round gives one ratio. Times are this
process's CPU, kernel included.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import httpx
import orjson
from children import Figures, serve
from material import MODEL, Dialect, Material, material

import vesselog
from vesselog.vessels import Ollama, OpenAI

_VESSELS: dict[Dialect, Ollama | OpenAI] = {
    "openai": OpenAI(base_url="http://127.0.0.1:1/v1", api_key="sk-benchmark-0123456789abcdef"),
    "ollama": Ollama(base_url="http://127.0.0.1:1"),
}
_PROMPT = "Why is the sky blue?"


class _Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __init__(self, reads: Sequence[bytes]) -> None:
        self._reads = reads

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._reads)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for data in self._reads:
            yield data


class _Memory(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Answers every request with these reads."""

    def __init__(self, answer: Material, reads: Sequence[bytes]) -> None:
        self._type = answer.content_type
        self._reads = reads

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        headers = {"content-type": self._type}
        return httpx.Response(200, headers=headers, stream=_Body(self._reads), request=request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return self.handle_request(request)


def _client(
    dialect: Dialect, answer: Material, reads: Sequence[bytes], recordings: str | None
) -> vesselog.Client:
    return vesselog.Client(
        http_client=httpx.Client(transport=_Memory(answer, reads)),
        vessels={"bench": _VESSELS[dialect]},
        recordings=recordings,
        environment={},
    )


def _joined(frames: Sequence[bytes], together: int) -> list[bytes]:
    return [b"".join(frames[at : at + together]) for at in range(0, len(frames), together)]


def pipeline(
    dialect: Dialect, chunks: int, together: int = 1, *, record: bool = True, turns: int = 3
) -> Figures:
    """Bytes in, recorded, chunk out; floor: orjson.loads and os.write of the same text.

    together: frames that arrive in one read; the floor then writes them in one go, too.
    """
    answer = material(dialect, chunks)
    reads = _joined(answer.frames, together)
    with (
        tempfile.TemporaryDirectory() as folder,
        _client(dialect, answer, reads, folder if record else None) as client,
    ):
        floor = _floor(folder, answer, reads, together)
        return _compare(lambda: _read(client), floor, chunks, turns)


def async_pipeline(dialect: Dialect, chunks: int, together: int = 1, turns: int = 3) -> Figures:
    """The same through the async client, whose reading task hands over to the caller's."""
    answer = material(dialect, chunks)
    reads = _joined(answer.frames, together)

    async def stream(folder: str) -> None:
        async with (
            vesselog.AsyncClient(
                http_client=httpx.AsyncClient(transport=_Memory(answer, reads)),
                vessels={"bench": _VESSELS[dialect]},
                recordings=folder,
                environment={},
            ) as client,
            client.stream(f"bench/{MODEL}", _PROMPT) as stream,
        ):
            async for _ in stream:
                pass

    with tempfile.TemporaryDirectory() as folder:
        floor = _floor(folder, answer, reads, together)
        return _compare(lambda: asyncio.run(stream(folder)), floor, chunks, turns)


def _floor(
    folder: str, answer: Material, reads: Sequence[bytes], together: int
) -> Callable[[], None]:
    def floor() -> None:
        fd = os.open(Path(folder) / "floor", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        payloads = iter(answer.payloads)
        for read in reads:
            for _ in range(together):
                payload = next(payloads, None)
                if payload is not None:
                    orjson.loads(payload)
            os.write(fd, read)
        os.close(fd)

    return floor


def earlier(dialect: Dialect, before: int, window: int, turns: int) -> Figures:
    """CPU per chunk of a window of chunks that has so many chunks of the same answer before it."""
    answer = material(dialect, before + window)
    costs: list[float] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        _client(dialect, answer, answer.frames, folder) as client,
    ):
        for _ in range(turns + 1):
            with client.stream(f"bench/{MODEL}", _PROMPT) as stream:
                for _ in range(before):
                    next(stream)
                start = time.process_time_ns()
                for _ in range(window):
                    next(stream)
                costs.append((time.process_time_ns() - start) / window / 1000)
    return {"us": min(costs[1:])}


def replay(dialect: Dialect, chunks: int, turns: int = 3) -> Figures:
    """Replay at full speed; floor: orjson.loads of the same lines."""
    answer = material(dialect, chunks)
    with (
        tempfile.TemporaryDirectory() as folder,
        _client(dialect, answer, answer.frames, folder) as client,
    ):
        path = _read(client).path
        if path is None:
            raise RuntimeError("nothing was recorded")

        def ours() -> None:
            for _ in vesselog.replay(path, speed="max"):
                pass

        def floor() -> None:
            with path.open("rb") as lines:
                for line in lines:
                    orjson.loads(line)

        return _compare(ours, floor, chunks, turns)


def _read(client: vesselog.Client) -> vesselog.Stream:
    with client.stream(f"bench/{MODEL}", _PROMPT) as stream:
        for _ in stream:
            pass
    return stream


def _compare(
    ours: Callable[[], object], floor: Callable[[], None], chunks: int, turns: int
) -> Figures:
    """Both in turns, after one turn to warm up; the least of each is what it costs undisturbed."""
    spent: dict[Callable[[], object], list[int]] = {ours: [], floor: []}
    for turn in range(turns + 1):
        for function, costs in spent.items():
            start = time.process_time_ns()
            function()
            if turn:
                costs.append(time.process_time_ns() - start)
    cost, least = (min(costs) / chunks / 1000 for costs in spent.values())
    return {"us": cost, "floor_us": least, "ratio": cost / least}


if __name__ == "__main__":
    serve(
        {
            "pipeline": pipeline,
            "async_pipeline": async_pipeline,
            "earlier": earlier,
            "replay": replay,
        }
    )
