"""What the library costs by itself: answers come from memory instead of a socket.

The library and the minimum (`orjson.loads` and `os.write` of the same text) take turns in one
process, and each round gives one ratio. Times are this process's CPU, kernel included.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from statistics import median

import httpx
import orjson
from child_process import Figures, serve
from sample_answer import MODEL, Dialect, SampleAnswer, sample_answer

import vesselog
from vesselog.vessels import Ollama, OpenAI

_VESSELS: dict[Dialect, Ollama | OpenAI] = {
    "openai": OpenAI(base_url="http://127.0.0.1:1/v1", api_key="sk-benchmark-0123456789abcdef"),
    "ollama": Ollama(base_url="http://127.0.0.1:1"),
}
_PROMPT = "Why is the sky blue?"


class _Body(httpx.AsyncByteStream):
    def __init__(self, reads: Sequence[bytes]) -> None:
        self._reads = reads

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for data in self._reads:
            yield data


class _PulledBody(_Body):
    """Gives a read only when the caller wants a chunk, so that the client cannot read ahead.

    It may be a few reads ahead: not every frame gives a chunk.
    """

    def __init__(self, reads: Sequence[bytes]) -> None:
        super().__init__(reads)
        self._allowed = asyncio.Semaphore(4)

    def allow_one(self) -> None:
        self._allowed.release()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for data in self._reads:
            await self._allowed.acquire()
            yield data


class _Memory(httpx.AsyncBaseTransport):
    """Answers every request with this body."""

    def __init__(self, content_type: str, body: _Body) -> None:
        self._headers = {"content-type": content_type}
        self._body = body

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers=self._headers, stream=self._body, request=request)


def _client(
    dialect: Dialect, answer: SampleAnswer, body: _Body, recordings: str | None
) -> vesselog.AsyncClient:
    return vesselog.AsyncClient(
        http_client=httpx.AsyncClient(transport=_Memory(answer.content_type, body)),
        vessels={"bench": _VESSELS[dialect]},
        recordings=recordings,
        environment={},
    )


def pipeline(
    dialect: Dialect, chunks: int, together: int = 1, *, record: bool = True, turns: int = 3
) -> Figures:
    """Bytes in, recorded, chunk out, against the minimum.

    together: frames that arrive in one read; the minimum then writes them together, too.
    """
    answer = sample_answer(dialect, chunks)
    frames = answer.frames
    reads = [b"".join(frames[at : at + together]) for at in range(0, len(frames), together)]
    with tempfile.TemporaryDirectory() as folder:
        recordings = folder if record else None

        def stream() -> None:
            asyncio.run(_stream(dialect, answer, reads, recordings))

        def minimum() -> None:
            fd = os.open(Path(folder) / "minimum", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            payloads = iter(answer.payloads)
            for read in reads:
                for _ in range(together):
                    payload = next(payloads, None)
                    if payload is not None:
                        orjson.loads(payload)
                os.write(fd, read)
            os.close(fd)

        return _compare(stream, minimum, chunks, turns)


def earlier(dialect: Dialect, before: int, window: int, turns: int) -> Figures:
    """CPU per chunk of a window of chunks that has so many chunks of the same answer before it."""
    answer = sample_answer(dialect, before + window)

    async def costs(folder: str) -> list[float]:
        found: list[float] = []
        for _ in range(turns + 1):
            body = _PulledBody(answer.frames)
            async with (
                _client(dialect, answer, body, folder) as client,
                client.stream(f"bench/{MODEL}", _PROMPT) as stream,
            ):
                chunks = aiter(stream)
                for number in range(before + window):
                    if number == before:
                        start = time.process_time_ns()
                    body.allow_one()
                    await anext(chunks)
                found.append((time.process_time_ns() - start) / window / 1000)
        return found

    with tempfile.TemporaryDirectory() as folder:
        return {"us": min(asyncio.run(costs(folder))[1:])}


def conversation(dialect: Dialect, calls: int, window: int) -> Figures:
    """CPU of a call of one named session: the median of the last `window` against the first.

    Each call opens the session and closes it again.
    """
    answer = sample_answer(dialect, 3)

    async def costs(folder: str) -> list[int]:
        found: list[int] = []
        body = _Body(answer.frames)
        async with _client(dialect, answer, body, folder) as client:
            await client.complete(f"bench/{MODEL}", _PROMPT, session="warm")
            for _ in range(calls):
                start = time.process_time_ns()
                await client.complete(f"bench/{MODEL}", _PROMPT, session="long")
                found.append(time.process_time_ns() - start)
        return found

    with tempfile.TemporaryDirectory() as folder:
        spent = asyncio.run(costs(folder))
    first, last = (median(part) / 1000 for part in (spent[:window], spent[-window:]))
    return {"us": last, "first_us": first, "ratio": last / first}


def replay(dialect: Dialect, chunks: int, turns: int = 3) -> Figures:
    """Replay at full speed, against `orjson.loads` of the same lines."""
    answer = sample_answer(dialect, chunks)
    with tempfile.TemporaryDirectory() as folder:
        path = asyncio.run(_stream(dialect, answer, answer.frames, folder))
        if path is None:
            raise RuntimeError("nothing was recorded")

        def replayed() -> None:
            for _ in vesselog.replay(path, speed="max"):
                pass

        def minimum() -> None:
            with path.open("rb") as lines:
                for line in lines:
                    orjson.loads(line)

        return _compare(replayed, minimum, chunks, turns)


async def _stream(
    dialect: Dialect, answer: SampleAnswer, reads: Sequence[bytes], recordings: str | None
) -> Path | None:
    async with (
        _client(dialect, answer, _Body(reads), recordings) as client,
        client.stream(f"bench/{MODEL}", _PROMPT) as stream,
    ):
        async for _ in stream:
            pass
    return stream.path


def _compare(
    measured: Callable[[], object], minimum: Callable[[], None], chunks: int, turns: int
) -> Figures:
    """Both in turns, after one turn to warm up; the least of each is what it costs undisturbed."""
    spent: dict[Callable[[], object], list[int]] = {measured: [], minimum: []}
    for turn in range(turns + 1):
        for function, costs in spent.items():
            start = time.process_time_ns()
            function()
            if turn:
                costs.append(time.process_time_ns() - start)
    cost, least = (min(costs) / chunks / 1000 for costs in spent.values())
    return {"us": cost, "minimum_us": least, "ratio": cost / least}


if __name__ == "__main__":
    serve(
        {
            "pipeline": pipeline,
            "earlier": earlier,
            "conversation": conversation,
            "replay": replay,
        }
    )
