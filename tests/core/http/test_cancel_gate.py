"""A stream's task is cancelled only where no connection can get lost by it.

VESSELOG_TEST_CANCELS says how many cancels at random moments each client has to survive (100).
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from loopback import Conversation, LoopbackServer, ollama_lines
from patience import PATIENCE
from vesselog import AsyncClient, Client, Limits, Recording, StreamTimeoutError, Timeouts
from vesselog.core.http.cancel_gate import CancelGate, Stopped
from vesselog.vessels.ollama import Ollama

CANCELS = int(os.environ.get("VESSELOG_TEST_CANCELS", "100"))
SEED = int(os.environ.get("VESSELOG_TEST_SEED", "20261121"))

LATEST = 1000.0


class Gated:
    """A task behind a gate, which does what the test tells it to."""

    def __init__(self, latest: float = LATEST) -> None:
        loop = asyncio.get_running_loop()
        self.blocked: list[str] = []
        self.gate = CancelGate(loop, Timeouts(), self.blocked.append)
        self.gate._latest = latest
        self.go_on = asyncio.Event()

    async def wait(self) -> None:
        await self.go_on.wait()

    def start(self, work: Callable[[], Any]) -> asyncio.Task[None]:
        self.gate.task = asyncio.get_running_loop().create_task(work())
        return self.gate.task


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def ended(task: asyncio.Task[None]) -> str:
    """How it ended."""
    await asyncio.wait([task], timeout=PATIENCE)
    return "cancelled" if task.cancelled() else "done"


def event(name: str, method: bytes = b"POST") -> tuple[str, dict[str, Any]]:
    return name, {"request": SimpleNamespace(method=method)}


async def test_while_it_connects_whoever_waits_is_told_and_the_task_goes_on() -> None:
    gated = Gated()
    task = gated.start(gated.wait)
    await turns()
    gated.gate.stop("cancelled")
    await turns()
    assert (gated.blocked, gated.gate.reason, task.done()) == (["cancelled"], "cancelled", False)
    gated.go_on.set()
    assert await ended(task) == "done"


async def test_it_is_cancelled_when_no_connecting_can_be_under_way_any_more() -> None:
    gated = Gated(latest=0.01)
    task = gated.start(gated.wait)
    await turns()
    gated.gate.stop("cancelled")
    assert await ended(task) == "cancelled"


async def test_stopped_while_connecting_it_sends_nothing() -> None:
    gated = Gated()

    async def connect_and_send() -> None:
        await gated.wait()
        await gated.gate.trace(*event("http11.send_request_headers.started"))

    task = gated.start(connect_and_send)
    await turns()
    gated.gate.stop("total")
    gated.go_on.set()
    with pytest.raises(Stopped):
        await task


@pytest.mark.parametrize("protocol", ["http11", "http2"])
async def test_in_the_exchange_it_is_cancelled_at_once(protocol: str) -> None:
    gated = Gated()
    await gated.gate.trace(*event("connection.connect_tcp.complete"))
    await gated.gate.trace(*event(f"{protocol}.send_request_headers.started"))
    task = gated.start(gated.wait)
    await turns()
    gated.gate.stop("idle")
    await turns()
    assert (task.cancelled(), gated.blocked, gated.gate.reason) == (True, [], "idle")


@pytest.mark.parametrize("told_by", ["driver", "httpcore"])
async def test_while_it_closes_it_is_never_cancelled(told_by: str) -> None:
    gated = Gated(latest=0.0)
    await gated.gate.trace(*event("http11.send_request_headers.started"))
    if told_by == "driver":
        gated.gate.close()
    else:
        await gated.gate.trace(*event("http11.response_closed.started"))
    task = gated.start(gated.wait)
    await turns()
    gated.gate.stop("cancelled")
    await asyncio.sleep(0.01)
    assert (gated.blocked, task.done()) == (["cancelled"], False)
    gated.go_on.set()
    assert await ended(task) == "done"


async def test_a_request_for_a_tunnel_is_followed_by_connecting() -> None:
    gated = Gated()

    async def tunnels() -> None:
        async with gated.gate.sending() as extensions:
            trace = extensions["trace"]
            await trace(*event("http11.send_request_headers.started", b"CONNECT"))
            await trace(*event("http11.receive_response_headers.complete", b"CONNECT"))
            await gated.wait()
            # Behind the tunnel's handshake.
            await trace(*event("http11.send_request_headers.started"))

    task = gated.start(tunnels)
    await turns()
    gated.gate.stop("cancelled")
    await turns()
    assert not task.done()
    gated.go_on.set()
    with pytest.raises(Stopped):
        await task


class SocksConnection:
    """A connection to a proxy, as httpcore tells of it: a SOCKS proxy that never answers."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()

    async def aclose(self) -> None:
        self.closed.set()


@pytest.mark.parametrize("connect", [0.01, LATEST, None])
async def test_a_socks_proxy_that_does_not_answer_is_hung_up_on_and_not_cancelled(
    connect: float | None,
) -> None:
    """At the `connect` deadline, or when the stream is cancelled before that."""
    gated, connection, cancelled = Gated(), SocksConnection(), False
    gated.gate = CancelGate(
        asyncio.get_running_loop(), Timeouts(connect=connect), gated.blocked.append
    )

    async def shakes_hands() -> None:
        nonlocal cancelled
        async with gated.gate.sending() as extensions:
            trace = extensions["trace"]
            await trace("socks.setup_socks5_connection.started", {"stream": connection})
            try:
                await connection.closed.wait()
            except asyncio.CancelledError:
                cancelled = True
                raise
            await trace("socks.setup_socks5_connection.failed", {})
            raise ConnectionResetError

    task = gated.start(shakes_hands)
    await turns()
    if connect != 0.01:
        assert not connection.closed.is_set()
        gated.gate.stop("cancelled")
    with pytest.raises(ConnectionResetError if connect is None else StreamTimeoutError):
        await task
    assert not cancelled


async def test_a_wait_that_is_not_the_transports_may_be_cancelled() -> None:
    gated = Gated()

    async def wait_to_try_again() -> None:
        with gated.gate.allowed():
            await gated.wait()

    task = gated.start(wait_to_try_again)
    await turns()
    gated.gate.stop("cancelled")
    await turns()
    assert (task.cancelled(), gated.blocked) == (True, [])


async def test_behind_such_a_wait_it_is_as_before() -> None:
    gated = Gated()
    with gated.gate.allowed():
        pass
    task = gated.start(gated.wait)
    await turns()
    gated.gate.stop("cancelled")
    await turns()
    assert not task.done()
    gated.go_on.set()
    await task


async def test_only_the_first_reason_counts() -> None:
    gated = Gated()
    gated.gate.allow()
    cancels = 0

    async def counts() -> None:
        nonlocal cancels
        while True:
            try:
                await gated.wait()
            except asyncio.CancelledError:
                cancels += 1
            else:
                return

    task = gated.start(counts)
    await turns()
    for reason in ("idle", "cancelled", "total"):
        gated.gate.stop(reason)
        await turns()
    assert (gated.gate.reason, cancels) == ("idle", 1)
    gated.go_on.set()
    await task


async def test_a_task_that_stops_itself_looks_at_the_reason() -> None:
    gated = Gated()

    async def stops() -> None:
        gated.gate.allow()
        gated.gate.stop("cancelled")
        await asyncio.sleep(0)

    assert await ended(gated.start(stops)) == "done"
    assert (gated.gate.reason, gated.blocked) == ("cancelled", [])


async def test_a_task_that_is_over_is_not_stopped() -> None:
    gated = Gated()
    gated.go_on.set()
    await gated.start(gated.wait)
    gated.gate.stop("cancelled")
    assert (gated.gate.reason, gated.blocked) == (None, [])


async def test_before_it_has_a_task_there_is_nothing_to_stop() -> None:
    gated = Gated()
    gated.gate.stop("cancelled")
    await gated.gate.ended()
    assert gated.gate.reason is None


@pytest.mark.asyncio(loop_factories=["asyncio"])  # only this one tells its timers
async def test_released_it_leaves_no_timer() -> None:
    gated = Gated()
    task = gated.start(gated.wait)
    await turns()
    gated.gate.stop("cancelled")
    timer = gated.gate._timer
    assert timer is not None
    gated.go_on.set()
    await task
    gated.gate.release()
    assert timer.cancelled()


async def test_waiting_for_the_end_cancels_what_still_connects() -> None:
    gated = Gated()
    task = gated.start(gated.wait)
    await turns()
    gated.gate.stop("cancelled")
    async with asyncio.timeout(PATIENCE):
        await gated.gate.ended()
    assert task.cancelled()


async def test_waiting_for_the_end_lets_it_close_its_connection() -> None:
    gated = Gated()
    gated.gate.close()
    task = gated.start(gated.wait)
    await turns()
    gated.gate.stop("cancelled")
    waiting = asyncio.create_task(gated.gate.ended())
    await turns()
    assert not waiting.done()
    gated.go_on.set()
    await waiting
    assert await ended(task) == "done"


async def test_a_new_attempt_connects_anew() -> None:
    gated = Gated()
    gated.gate.allow()
    gated.gate.begin()
    task = gated.start(gated.wait)
    await turns()
    gated.gate.stop("cancelled")
    await turns()
    assert (gated.blocked, task.done()) == (["cancelled"], False)
    gated.go_on.set()
    await task


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def sound(folder: Path) -> dict[str, int]:
    """How many calls ended how; each has one end."""
    outcomes: dict[str, int] = {}
    for path in folder.iterdir():
        recording = Recording(path)
        calls = list(recording.calls())
        ends = [line["call"] for line in recording.lines() if line["type"] == "end"]
        assert sorted(ends) == [call.number for call in calls], path
        for call in calls:
            outcomes[call.outcome] = outcomes.get(call.outcome, 0) + 1
    return outcomes


needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts files in /proc")


def trickles(conversation: Conversation) -> None:
    """An answer that takes some milliseconds, so that a cancel may hit it anywhere."""
    pause = threading.Event()
    pause.wait(0.002)
    conversation.begin()
    for line in ollama_lines("a", "b", "c"):
        pause.wait(0.001)
        conversation.chunk(line)
    conversation.end()


@needs_proc
@pytest.mark.parametrize("fast", [False, True], ids=["plain", "fast"])
async def test_cancels_at_random_moments_lose_nothing(fast: bool, tmp_path: Path):  # noqa: FBT001
    """No connection, socket, task or file is left; afterwards all connections can be had."""
    chance = random.Random(SEED)
    limits = Limits(max_connections=8)
    tasks = len(asyncio.all_tasks())
    with LoopbackServer([trickles]) as server:
        async with AsyncClient(
            vessels={"lab": Ollama(base_url=server.url)},
            environment={},
            limits=limits,
            timeouts=Timeouts(pool=30),
            fast=fast,
        ) as client:

            async def listen() -> None:
                async with client.stream("lab/m", "hi") as stream:
                    async for _ in stream:
                        pass

            async def cancelled() -> None:
                task = asyncio.create_task(listen())
                if chance.random() < 0.3:
                    for _ in range(chance.randrange(40)):
                        await asyncio.sleep(0)
                else:
                    await asyncio.sleep(chance.random() * 0.012)
                task.cancel()
                if chance.random() < 0.5:
                    for _ in range(chance.randrange(3)):
                        await asyncio.sleep(0)
                    task.cancel()
                await asyncio.gather(task, return_exceptions=True)

            await listen()
            gc.collect()
            before = open_files()
            left = CANCELS
            while left > 0:
                await asyncio.gather(*(cancelled() for _ in range(min(16, left))))
                left -= 16
            while client._running:
                await next(iter(client._running)).finished()
            # All connections at once: none is held by a stream that is gone.
            barrier = asyncio.Barrier(limits.max_connections)

            async def hold() -> None:
                async with client.stream("lab/m", "hi", timeouts=Timeouts(pool=5)) as stream:
                    await barrier.wait()
                    async for _ in stream:
                        pass
                assert stream.outcome == "complete"

            await asyncio.gather(*(hold() for _ in range(limits.max_connections)))
            gc.collect()
            assert open_files() <= before + limits.max_connections * 2
        assert len(asyncio.all_tasks()) == tasks
        await asyncio.to_thread(server.wait_until, lambda: server.open_connections == 0)
    outcomes = sound(tmp_path / "recordings")
    assert set(outcomes) <= {"complete", "cancelled"}, outcomes
    assert outcomes["cancelled"] > CANCELS / 10


@needs_proc
@pytest.mark.parametrize("fast", [False, True], ids=["plain", "fast"])
def test_cancels_from_threads_at_random_moments_lose_nothing(fast: bool, tmp_path: Path):  # noqa: FBT001
    """The same for the sync client: cancelled from another thread, by `break`, or dropped."""
    chance = random.Random(SEED)
    limits = Limits(max_connections=8)
    threads = threading.active_count()
    with LoopbackServer([trickles]) as server:
        vessels = {"lab": Ollama(base_url=server.url)}
        with (
            ThreadPoolExecutor(16) as pool,
            Client(
                vessels=vessels,
                environment={},
                limits=limits,
                timeouts=Timeouts(pool=30),
                fast=fast,
            ) as client,
        ):

            def listen(wait: float, way: str, chunks: int) -> None:
                stream = client.stream("lab/m", "hi")
                timer = threading.Timer(wait, stream.cancel)
                if way == "cancel":
                    timer.start()
                with stream:
                    for _, _ in zip(stream, range(chunks), strict=False):
                        pass
                timer.cancel()

            def drop() -> None:
                stream = client.stream("lab/m", "hi")
                stream.__enter__()
                next(stream, None)

            client.complete("lab/m", "hi")
            gc.collect()
            before = open_files()
            jobs = [
                pool.submit(drop)
                if chance.random() < 0.2
                else pool.submit(
                    listen,
                    chance.random() * 0.012,
                    chance.choice(["cancel", "break"]),
                    chance.randrange(1, 6),
                )
                for _ in range(CANCELS)
            ]
            for job in jobs:
                job.result(PATIENCE)
            barrier = threading.Barrier(limits.max_connections)

            def hold() -> None:
                with client.stream("lab/m", "hi", timeouts=Timeouts(pool=5)) as stream:
                    barrier.wait(PATIENCE)
                    for _ in stream:
                        pass
                assert stream.outcome == "complete"

            for job in [pool.submit(hold) for _ in range(limits.max_connections)]:
                job.result(PATIENCE)
            gc.collect()
            assert client._running == set()
            assert open_files() <= before + limits.max_connections * 2
        server.wait_until(lambda: server.open_connections == 0)
    assert threading.active_count() == threads
    outcomes = sound(tmp_path / "recordings")
    assert set(outcomes) <= {"complete", "cancelled", "abandoned"}, outcomes
