"""A stream's task is cancelled only where no connection can get lost by it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from patience import PATIENCE
from vesselog.core.http.cancel_gate import CancelGate, Stopped

LATEST = 1000.0


class Gated:
    """A task behind a gate, which does what the test tells it to."""

    def __init__(self, latest: float = LATEST) -> None:
        loop = asyncio.get_running_loop()
        self.blocked: list[str] = []
        self.gate = CancelGate(loop, latest, self.blocked.append)
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
    trace = gated.gate.trace
    await trace(*event("http11.send_request_headers.started", b"CONNECT"))
    await trace(*event("http11.receive_response_headers.complete", b"CONNECT"))
    task = gated.start(gated.wait)
    await turns()
    gated.gate.stop("cancelled")
    await turns()
    assert not task.done()
    with pytest.raises(Stopped):  # behind the tunnel's handshake
        await trace(*event("http11.send_request_headers.started"))
    gated.go_on.set()
    await task


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


async def test_released_it_leaves_no_timer() -> None:
    loop: Any = asyncio.get_running_loop()
    gated = Gated()
    task = gated.start(gated.wait)
    await turns()
    gated.gate.stop("cancelled")
    gated.go_on.set()
    await task
    gated.gate.release()
    assert [timer for timer in loop._scheduled if not timer.cancelled()] == []


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
