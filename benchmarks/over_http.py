"""What streaming costs from the socket to the caller, over HTTP, each client in its own process.

CPU is that of this process, all threads, user and kernel, per piece of text. It is counted from
when the client is open and one stream has warmed it up, until the last stream is over.
"""

from __future__ import annotations

import asyncio
import io
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from child_process import Figures, allow_many_files, measure, serve
from clients import is_peer, open_client
from model_server import running_server
from sample_answer import STAMP_DIGITS, sample_answer

_WARM_UP = "burst-50"
# Growth is measured from so many chunks on.
_FEW = 20_000


class _Seen:
    """Counts the pieces of one stream, and notes when the first came."""

    def __init__(self) -> None:
        self.pieces = 0
        self.begun = time.monotonic_ns()
        self.first = 0

    def __call__(self, _text: str) -> None:
        if not self.pieces:
            self.first = time.monotonic_ns()
        self.pieces += 1

    @property
    def delay(self) -> float:
        """Milliseconds from the question to the first piece."""
        return (self.first - self.begun) / 1e6


class _Stamped(_Seen):
    """Also notes how many nanoseconds each piece was on its way, from its stamp."""

    def __init__(self, latencies: list[int]) -> None:
        super().__init__()
        self._latencies = latencies

    def __call__(self, text: str) -> None:
        now = time.monotonic_ns()
        self._latencies.append(now - int(text[:STAMP_DIGITS]))
        if not self.pieces:
            self.first = now
        self.pieces += 1


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _peak_mib() -> float:
    """The peak memory of this process.

    Not `ru_maxrss` on Linux: it begins with what the parent had.
    """
    if sys.platform == "linux":
        return _status_mib("VmHWM")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS counts bytes


def _now_mib() -> float:
    """The memory of this process now; on macOS its peak, since the system does not tell."""
    return _status_mib("VmRSS") if sys.platform == "linux" else _peak_mib()


def _status_mib(name: str) -> float:
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields[name].split()[0]) / 2**10


def _check(seen: list[_Seen], chunks: int) -> int:
    for each in seen:
        if each.pieces != chunks:
            raise RuntimeError(f"a stream had {each.pieces} pieces of text instead of {chunks}")
    return chunks * len(seen)


async def _warm_up(client: str, address: str) -> None:
    async with open_client(client, f"{address}/{_WARM_UP}", 1) as ask:
        await ask(_Seen())


def _per_piece(spent: float, pieces: int) -> float:
    return spent / pieces * 1e6


async def _burst(client: str, streams: int, chunks: int) -> Figures:
    with running_server() as address:
        await _warm_up(client, address)
        async with open_client(client, f"{address}/burst-{chunks}", 1) as ask:
            seen: list[_Seen] = []
            cpu, wall = _cpu(), time.monotonic()
            for _ in range(streams):
                seen.append(_Seen())
                await ask(seen[-1])
            cpu, wall = _cpu() - cpu, time.monotonic() - wall
    pieces = _check(seen, chunks)
    return {
        "us": _per_piece(cpu, pieces),
        "wall_us": _per_piece(wall, pieces),
        "first_ms": statistics.median(each.delay for each in seen),
        "peak_mib": _peak_mib(),
    }


async def _paced(
    client: str, streams: int, rate: int, chunks: int, *, one_core: bool = False
) -> Figures:
    client_core, server_core = _two_cores() if one_core else (None, None)
    if client_core is not None:
        os.sched_setaffinity(0, {client_core})
    latencies: list[int] = []
    seen: list[_Seen] = [_Stamped(latencies) for _ in range(streams)]
    with running_server(server_core) as address:
        await _warm_up(client, address)
        async with open_client(client, f"{address}/paced-{rate}-{chunks}", streams) as ask:
            cpu, wall = _cpu(), time.monotonic()
            for each in seen:
                each.begun = time.monotonic_ns()
            await asyncio.gather(*(ask(each) for each in seen))
            cpu, wall = _cpu() - cpu, time.monotonic() - wall
    pieces = _check(seen, chunks)
    latencies.sort()
    return {
        "us": _per_piece(cpu, pieces),
        "busy": cpu / wall,
        "p50_ms": latencies[len(latencies) // 2] / 1e6,
        "p99_ms": latencies[len(latencies) * 99 // 100] / 1e6,
        "first_ms": statistics.median(each.delay for each in seen),
        "peak_mib": _peak_mib(),
    }


def _two_cores() -> tuple[int | None, int | None]:
    """One core for this process and another for the model server, where the system allows it."""
    if sys.platform != "linux":
        return None, None
    cores = sorted(os.sched_getaffinity(0))
    return cores[0], cores[-1]


async def _steady(client: str, streams: int, rate: int, chunks: int) -> Figures:
    """CPU per piece from when every stream has begun until the first one ends."""
    begun, marks = 0, list[tuple[float, int]]()
    pieces = 0

    def mark() -> None:
        marks.append((_cpu(), pieces))

    class Seen(_Seen):
        def __call__(self, text: str) -> None:
            nonlocal begun, pieces
            super().__call__(text)
            pieces += 1
            if self.pieces == 1:
                begun += 1
                if begun == streams:
                    mark()
            elif self.pieces == chunks and len(marks) == 1:
                mark()

    with running_server() as address:
        await _warm_up(client, address)
        async with open_client(client, f"{address}/paced-{rate}-{chunks}", streams) as ask:
            seen: list[_Seen] = [Seen() for _ in range(streams)]
            await asyncio.gather(*(ask(each) for each in seen))
    _check(seen, chunks)
    if len(marks) < 2:
        raise RuntimeError("the first stream was over before the last had begun: more chunks")
    (cpu, before), (later, after) = marks
    return {"us": _per_piece(later - cpu, after - before)}


async def _growth(client: str, streams: int, chunks: int, warm_streams: int) -> Figures:
    """MiB by which a client's peak memory exceeds what it had after its first streams.

    The text that a single stream gathers is measured in a process of its own and subtracted.
    """
    few = min(chunks, _FEW)

    def seen(_text: str) -> None: ...

    with running_server() as address:
        async with (
            open_client(client, f"{address}/burst-{few}", 1) as warm_up,
            open_client(client, f"{address}/burst-{chunks}", 1) as ask,
        ):
            for _ in range(warm_streams):
                await warm_up(seen)
            before = _now_mib()
            for _ in range(streams):
                await ask(seen)
    grown = _peak_mib() - before
    held = 0.0
    if streams == 1:
        held = measure("over_http.py", "text_growth", {"chunks": chunks})["grown_mib"]
    return {"growth_mib": grown - held, "grown_mib": grown, "text_mib": held}


async def _text_growth(chunks: int) -> Figures:
    """MiB that joining the text of such a stream takes."""
    pieces = sample_answer("openai", 1000).texts
    _join(pieces, min(chunks, _FEW))
    before = _now_mib()
    _join(pieces, chunks)
    return {"grown_mib": _peak_mib() - before}


def _join(pieces: Sequence[str], count: int) -> None:
    text = io.StringIO()
    for number in range(count):
        text.write(pieces[number % len(pieces)])


async def _first_chunk(pairs: int) -> Figures:
    """The delay of the first chunk, recorded and unrecorded in turns; each stream has its own file.

    file_ms: how long creating an empty file takes, in the same turns.
    """
    files: list[float] = []
    delays: dict[str, list[float]] = {"vesselog-sync": [], "vesselog-sync-unrecorded": []}
    with running_server() as address, tempfile.TemporaryDirectory() as folder:
        async with (
            open_client("vesselog-sync", f"{address}/burst-1", 1) as recorded,
            open_client("vesselog-sync-unrecorded", f"{address}/burst-1", 1) as unrecorded,
        ):
            asks = dict(zip(delays, (recorded, unrecorded), strict=True))
            for turn in range(pairs + 10):
                files.append(_create_file(Path(folder, str(turn))))
                for name, ask in asks.items():
                    seen = _Seen()
                    await ask(seen)
                    if turn >= 10:
                        delays[name].append(seen.delay)
    with_file, without = (statistics.median(values) for values in delays.values())
    return {
        "recorded_ms": with_file,
        "unrecorded_ms": without,
        "added_ms": with_file - without,
        "file_ms": statistics.median(files[10:]),
    }


def _create_file(path: Path) -> float:
    """Milliseconds to create an empty file."""
    start = time.monotonic_ns()
    path.touch(exist_ok=False)
    return (time.monotonic_ns() - start) / 1e6


def _run(function: Callable[..., Coroutine[Any, Any, Figures]]) -> Callable[..., Figures]:
    def run(**settings: Any) -> Figures:
        allow_many_files()
        if is_peer(settings.get("client", "vesselog")):
            return asyncio.run(function(**settings))
        from vesselog import ConfigurationError  # the peers' processes do not load it

        try:
            return asyncio.run(function(**settings))
        except ConfigurationError as error:
            if error.setting != "durability":
                raise
            return {"skipped": error.message}

    return run


if __name__ == "__main__":
    functions: dict[str, Callable[..., Coroutine[Any, Any, Figures]]] = {
        "burst": _burst,
        "paced": _paced,
        "steady": _steady,
        "growth": _growth,
        "text_growth": _text_growth,
        "first_chunk": _first_chunk,
    }
    serve({name: _run(function) for name, function in functions.items()})
