"""What a gateway costs: measures `vesselog serve` beside other proxies.

Each proxy has a process of its own, with the same model server behind it and the same client before
it.

    first data     one request at a time, each on a new connection, by turns to the proxy and to the
                   model server directly: what the proxy adds to the median
    CPU per chunk  100 streams of 50 chunks a second: user and kernel time of the proxy's processes
    delay          of these chunks, from the model server's send to the client, p50 and p99
    memory         the most that the proxy's processes had meanwhile
    one core       200 such streams, the proxy alone on one core: CPU of that core in use, and how
                   many streams kept their pace: half of their chunks of the last second came
                   before the next one was due

Figures are the medians of the rounds; ratios are made within a round.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from child_process import allow_many_files
from earlier_commit import unpacked
from model_server import running_server
from proxies import KEY, PROXIES, Proxy, ProxyError, Running, running

_RATE = 50
_FIRST_DATA_REQUESTS = 200
_STAMP = re.compile(rb'"content": ?"(\d{19}) light')
_CHAT = "/v1/chat/completions"
# A request that takes longer hangs.
_SECONDS = 600

Figures = dict[str, float]


class _Client(asyncio.Protocol):
    """Asks once. reads: what came, and when, in nanoseconds of the monotonic clock."""

    def __init__(self, path: str, number: int) -> None:
        # aimock answers what it has recorded: no two requests are the same.
        message = f'{{"role":"user","content":"Question {number}"}}'
        body = f'{{"model":"benchmark","stream":true,"messages":[{message}]}}'
        self._request = (
            f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
            f"authorization: Bearer {KEY}\r\ncontent-length: {len(body)}\r\n\r\n{body}"
        ).encode()
        self.reads: list[tuple[int, bytes]] = []
        self.sent = 0
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.sent = time.monotonic_ns()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self.reads.append((time.monotonic_ns(), data))
        if data.endswith(b"0\r\n\r\n"):
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        if not self.over.done():
            self.over.set_result(None)

    def first_data(self) -> float:
        """Milliseconds from the request to the first data of the body."""
        head = b""
        for when, data in self.reads:
            head += data
            _, end, body = head.partition(b"\r\n\r\n")
            if end and body:
                return (when - self.sent) / 1e6
        raise ProxyError(f"there was no answer, but {head[:300]!r}")

    def delays(self, pieces: int) -> list[float]:
        """Milliseconds that each piece was on its way. Raises ProxyError if one is missing."""
        whole = b"".join(data for _, data in self.reads)
        if len(_STAMP.findall(whole)) != pieces:
            raise ProxyError(f"the answer is not whole: {whole[:200]!r} … {whole[-100:]!r}")
        return [
            (when - int(stamp)) / 1e6
            for when, data in self.reads
            for stamp in _STAMP.findall(data)  # one that is cut in two is left out
        ]


class _Asker:
    def __init__(self) -> None:
        self._number = 0

    async def ask(self, port: int, path: str) -> _Client:
        """One request, and its whole answer."""
        self._number += 1
        loop = asyncio.get_running_loop()
        number = self._number
        _, client = await loop.create_connection(lambda: _Client(path, number), "127.0.0.1", port)
        async with asyncio.timeout(_SECONDS):
            await client.over
        return client


async def _first_data(asker: _Asker, proxy: Running, server: int, path: str) -> Figures:
    for _ in range(20):
        (await asker.ask(proxy.port, proxy.path)).first_data()
    direct: list[float] = []
    through: list[float] = []
    for _ in range(_FIRST_DATA_REQUESTS):
        direct.append((await asker.ask(server, path + _CHAT)).first_data())
        through.append((await asker.ask(proxy.port, proxy.path)).first_data())
    return {"first data": statistics.median(through) - statistics.median(direct)}


async def _paced(asker: _Asker, proxy: Running, streams: int, pieces: int) -> Figures:
    (await asker.ask(proxy.port, proxy.path)).delays(pieces)
    before, begun = proxy.cpu(), time.perf_counter()
    clients = await asyncio.gather(*(asker.ask(proxy.port, proxy.path) for _ in range(streams)))
    cpu, took = proxy.cpu() - before, time.perf_counter() - begun
    delays = [client.delays(pieces) for client in clients]
    late = sorted(delay for each in delays for delay in each)
    last = [statistics.median(each[-_RATE:]) for each in delays]
    return {
        "CPU": cpu / (streams * pieces) * 1e6,
        "delay p50": late[len(late) // 2],
        "delay p99": late[len(late) * 99 // 100],
        "memory": proxy.memory(),
        "core": cpu / took * 100,
        "kept": sum(delay <= 1000 / _RATE for delay in last),
    }


class _Measurements:
    """All measurements of one proxy, in one round."""

    def __init__(self, server: str, cores: tuple[int, int] | None, pieces: int) -> None:
        self._server = server
        self._cores = cores
        self._pieces = pieces
        self._asker = _Asker()

    def all(self, proxy: Proxy, streams: int, crowd: int) -> Figures:
        """Raises ProxyError."""
        figures = self._first(proxy) | self._streams(proxy, streams)
        del figures["core"], figures["kept"]
        if crowd:
            alone = self._alone(proxy, crowd)
            figures |= {name: alone[name] for name in ("core", "kept")}
        return figures

    def _first(self, proxy: Proxy) -> Figures:
        path, port = "/paced-1000-2", int(self._server.rpartition(":")[2])
        with _started(proxy, self._server, path) as found:
            return asyncio.run(_first_data(self._asker, found, port, path))

    def _streams(self, proxy: Proxy, streams: int) -> Figures:
        with _started(proxy, self._server, f"/paced-{_RATE}-{self._pieces}") as found:
            return asyncio.run(_paced(self._asker, found, streams, self._pieces))

    def _alone(self, proxy: Proxy, streams: int) -> Figures:
        """The proxy has one core; the model server and the client have the other."""
        path = f"/paced-{_RATE}-{self._pieces}"
        with ExitStack() as stack:
            if self._cores is None:
                server = self._server
            else:
                everywhere = os.sched_getaffinity(0)
                os.sched_setaffinity(0, {self._cores[0]})
                stack.callback(os.sched_setaffinity, 0, everywhere)
                server = stack.enter_context(running_server(self._cores[0]))
            found = stack.enter_context(_started(proxy, server, path))
            if self._cores is not None:
                found.keep_to(self._cores[1])
            return asyncio.run(_paced(self._asker, found, streams, self._pieces))


@contextmanager
def _started(proxy: Proxy, server: str, path: str) -> Generator[Running]:
    with (
        tempfile.TemporaryDirectory() as folder,
        running(proxy, server, path, Path(folder)) as found,
    ):
        yield found


@dataclass(frozen=True)
class _Column:
    """One column of the report: a figure, and how it is written."""

    title: str
    figure: str
    form: str


_COLUMNS = (
    _Column("first data, added, p50", "first data", "{:.2f} ms"),
    _Column("CPU per chunk", "CPU", "{:.0f} µs"),
    _Column("× barest", "CPU / barest", "{:.2f}"),
    _Column("delay of a chunk, p50", "delay p50", "{:.1f} ms"),
    _Column("p99", "delay p99", "{:.1f} ms"),
    _Column("memory", "memory", "{:.0f} MiB"),
    _Column("one core: in use", "core", "{:.0f} %"),
    _Column("kept pace", "kept", "{:.0f}"),
)
_OTHERS = ("barest", "litellm", "starlette")


def _with_ratios(round_: Mapping[str, Figures]) -> None:
    for figures in round_.values():
        for other in _OTHERS:
            if other in round_:
                figures[f"CPU / {other}"] = figures["CPU"] / round_[other]["CPU"]


def _report(rounds: Sequence[Mapping[str, Figures]], names: Iterable[str]) -> list[str]:
    """The medians as a table for people, and vesselog's figures beside their targets."""
    medians = {name: _medians([each[name] for each in rounds if name in each]) for name in names}
    lines = [
        "| proxy | records | " + " | ".join(each.title for each in _COLUMNS) + " |",
        "|---" * (len(_COLUMNS) + 2) + "|",
    ]
    for name, figures in medians.items():
        cells = [
            each.form.format(figures[each.figure]) if each.figure in figures else "not measured"
            for each in _COLUMNS
        ]
        records = "yes" if PROXIES[name].records else "no"
        lines.append(f"| {name} | {records} | {' | '.join(cells)} |")
    return [*lines, "", *_targets(medians.get("vesselog", {}))]


def _targets(figures: Figures) -> Iterator[str]:
    for title, name, most, form in (
        ("first data, added, p50", "first data", 1.0, "{:.2f} ms"),
        ("CPU per chunk, against barest", "CPU / barest", 2.5, "{:.2f} ×"),
        ("CPU per chunk, against litellm", "CPU / litellm", 0.1, "{:.2f} ×"),
        ("CPU per chunk, against starlette", "CPU / starlette", 1.0, "{:.2f} ×"),
        ("memory", "memory", 80 * 1e6 / 2**20, "{:.0f} MiB"),
    ):
        if name in figures:
            verdict = "met" if figures[name] <= most else "missed"
            yield f"- {title}: {form.format(figures[name])}, at most {form.format(most)}: {verdict}"


def _medians(found: Sequence[Figures]) -> Figures:
    names = {name for each in found for name in each}
    return {name: statistics.median(each[name] for each in found if name in each) for name in names}


def _available(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        try:
            PROXIES[name].install()
        except ProxyError as error:
            print(f"SKIPPED {name}: {error}", file=sys.stderr, flush=True)
        else:
            yield name


def _measured(
    measurements: _Measurements, names: Sequence[str], arguments: argparse.Namespace
) -> Iterator[dict[str, Figures]]:
    for number in range(1, arguments.rounds + 1):
        found: dict[str, Figures] = {}
        for name in names:
            try:
                found[name] = measurements.all(PROXIES[name], arguments.streams, arguments.crowd)
            except ProxyError as error:
                print(f"SKIPPED {name}: {error}", file=sys.stderr, flush=True)
                continue
            told = {figure: round(value, 2) for figure, value in found[name].items()}
            print(json.dumps({"round": number, "proxy": name, **told}), flush=True)
        _with_ratios(found)
        yield found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--pieces", type=int, default=500, help="chunks of a stream")
    parser.add_argument("--crowd", type=int, default=200, help="streams on one core; 0: leave out")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=PROXIES, action="append")
    parser.add_argument("--before", metavar="COMMIT", help="measure this commit's gateway, too")
    arguments = parser.parse_args()
    allow_many_files()
    with ExitStack() as stack:
        names = list(_available(arguments.only or PROXIES))
        if arguments.before:
            packages = stack.enter_context(unpacked(arguments.before))
            before = replace(PROXIES["vesselog"], environment={"PYTHONPATH": str(packages)})
            PROXIES["vesselog before"] = before
            names.append("vesselog before")
        server = stack.enter_context(running_server())
        cores = _two_cores() if arguments.crowd else None
        measurements = _Measurements(server, cores, arguments.pieces)
        rounds = list(_measured(measurements, names, arguments))
    print("\n".join(["", *_report(rounds, names)]))
    return 0


def _two_cores() -> tuple[int, int] | None:
    """One core for the proxy, and another for all else, where the system allows it."""
    if not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2:
        print("this process cannot choose between two cores: nothing is pinned", file=sys.stderr)
        return None
    cores = sorted(os.sched_getaffinity(0))
    return cores[0], cores[-1]


if __name__ == "__main__":
    sys.exit(main())
