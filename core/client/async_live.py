"""The async driver: one task owns a stream's connection from the first byte to the last.

A cancelled caller never touches the connection: httpcore loses pool slots when it is cancelled at a
bad moment (encode/httpcore#1093). The owner alone is cancelled, and only between the first event of
the HTTP exchange and the closing of the response, which httpcore's trace tells. A caller that
leaves or whose deadline has passed goes at once; the owner follows as soon as it may, at the latest
when the connect deadline passes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, suppress
from typing import Any, cast

import httpx

from ..errors import ClientStateError, RecordingError
from ..exchange import Step
from ..truth.writer import Gate
from .attempts import Attempts
from .call import Call
from .carrying import CARRIER_LISTENER, Carrier
from .circumstances import Circumstances
from .interrupt import Interrupted
from .ledger import Entry
from .plan import Plan
from .queueing import QUEUE_LISTENER

__all__ = ["AsyncLiveSource"]

# Steps read ahead of the caller. They are on disk already; this only bounds the memory of a slow
# caller.
_READ_AHEAD = 256

# A large request, with images, is sent in pieces of so many bytes: the write deadline is for each,
# and other streams have their turn.
_PIECE = 256 * 1024


class AsyncLiveSource:
    """One stream's connection to its server, retries inside; belongs to one event loop.

    `open` returns when the headers are there; `read` gives the next recorded steps, none at the
    end.
    """

    def __init__(
        self,
        plan: Plan,
        http: httpx.AsyncClient,
        enter: Callable[[], Entry],
        circumstances: Circumstances,
        *,
        cancellable: bool,
        running: set[AsyncLiveSource],
    ) -> None:
        self._plan = plan
        self._http = http
        self._timeouts = circumstances.timeouts
        self._attempts = Attempts(plan, enter, circumstances)
        self._always_cancellable = cancellable
        self._running = running
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._ready: list[Step] = []
        self._begun = False
        self._over = False
        self._failure: BaseException | None = None
        self._reader: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._passing = False
        self._stopping: str | None = None
        self._cancellable = False
        self._closing = False
        self._interrupted = False
        self._tunnelling = False
        self._carrier: Carrier | None = None
        self._stream: int | None = None
        self._heard_out = False
        self._timer: asyncio.TimerHandle | None = None
        self._queue_timer: asyncio.TimerHandle | None = None
        self._last_resort: asyncio.TimerHandle | None = None

    @property
    def facts(self) -> Attempts:
        """What is known of the stream."""
        return self._attempts

    async def open(self) -> None:
        """Send the request; return when the answer has begun, or failed."""
        if self._attempts.outcome is not None:
            return
        self._attempts.enter()
        self._task = self._loop.create_task(self._own(), name=f"vesselog {self._plan.name}")
        self._running.add(self)
        while not self._begun and not self._ended:
            await self._wait()
        self._check()
        call = self._attempts.current
        if call is not None and call.gate is not None and call.over():
            await self._pass(call, call.gate)

    async def read(self) -> list[Step]:
        """The next steps, recorded; none when the answer is over."""
        call = self._attempts.current
        while not self._ready:
            if self._over or self._attempts.outcome is not None:
                self._check()
                if call is not None and call.gate is not None:
                    await self._pass(call, call.gate)
                return []
            await self._wait()
        if call is not None and call.gate is not None:
            # All that is there now goes through in one sync; meanwhile more may come.
            count = len(self._ready)
            await self._pass(call, call.gate)
            ready, self._ready = self._ready[:count], self._ready[count:]
        else:
            ready, self._ready = self._ready, []
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        return ready

    def cancel(self) -> None:
        """End the stream, from any task or thread."""
        try:
            here = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            here = False
        if here:
            self.leave()
        else:
            with suppress(RuntimeError):  # the loop is closed: nothing runs any more
                self._loop.call_soon_threadsafe(self.leave)

    def leave(self) -> None:
        """The caller wants no more: write the outcome, and let the owner follow."""
        try:
            self._attempts.leave()
        finally:
            self._stop("cancelled")
            self._wake()

    async def finished(self) -> None:
        """Wait until the connection is free. The client is closed: whatever still connects ends."""
        if self._task is not None:
            if not self._closing:
                self._force()
            await asyncio.wait([self._task])

    def abandon(self) -> None:
        """Nobody holds the stream any more."""
        self._attempts.abandon()
        if self._over or self._task is None:
            return
        try:
            self._loop.call_soon_threadsafe(self._stop, "cancelled")
        except RuntimeError:  # the loop is closed, its connections with it
            self._attempts.drop()

    @property
    def _ended(self) -> bool:
        """Whether nothing more comes, though the owner may still have to free the connection."""
        stopped = self._stopping is not None and self._attempts.outcome is not None
        return self._over or stopped

    async def _own(self) -> None:
        QUEUE_LISTENER.set(self._queued)
        CARRIER_LISTENER.set(self._carried)
        try:
            await self._attempt()
            while (delay := self._next_delay()) is not None:
                self._cancellable = True
                await asyncio.sleep(delay)
                self._cancellable = False
                self._ready.clear()
                await self._attempt()
        except asyncio.CancelledError:
            # Only the loop's own shutdown cancels a task that nobody else knows.
            if self._stopping is None:
                self._leave_quietly()
                raise
        except BaseException as failure:  # noqa: BLE001 - handed to the caller
            self._failure = failure
            self._leave_quietly()
        finally:
            self._over = True
            self._running.discard(self)
            for timer in (self._timer, self._queue_timer, self._last_resort):
                if timer is not None:
                    timer.cancel()
            self._attempts.close()
            self._wake()

    def _next_delay(self) -> float | None:
        if self._begun or self._stopping is not None:
            return None
        return self._attempts.retry_delay()

    async def _attempt(self) -> None:
        if self._stopping is not None:
            return
        call = self._attempts.begin()
        self._closing = self._heard_out = False
        self._carrier = self._stream = None
        self._cancellable = self._always_cancellable
        self._set_timer()
        response: httpx.Response | None = None
        try:
            if call.gate is not None and not await self._may_leave(call, call.gate):
                return
            response = await self._http.send(self._request(), stream=True, follow_redirects=False)
            if self._enough(call):
                return
            self._attempts.answered(call, response)
            if response.is_success:
                self._begun = True
                self._wake()
            await self._read_body(call, response)
        except Interrupted as interrupted:
            self._put(self._attempts.stopped(call, interrupted.phase))
        except asyncio.CancelledError:
            phase = self._told()
            if phase is None:
                raise
            if self._task is not None:
                self._task.uncancel()
            self._put(self._attempts.stopped(call, phase))
        except Exception as failure:  # noqa: BLE001 - told apart by type, a bug is raised again
            self._put(self._attempts.failed(call, failure))
        finally:
            self._cancellable = False
            self._closing = True
            if response is not None:
                await response.aclose()
            await self._hang_up()

    async def _hang_up(self) -> None:
        """An HTTP/2 stream whose end was not heard is ended for both sides."""
        if self._carrier is not None and self._stream is not None and not self._heard_out:
            self._carrier.reset(self._stream)
            await self._carrier.tell_reset(self._stream)

    def _told(self) -> str | None:
        """Why the owner was told to stop, if it was."""
        return self._stopping

    async def _may_leave(self, call: Call, gate: Gate) -> bool:
        """Wait until the request may be shown to the server; tell if it is still wanted then."""
        before, self._cancellable = self._cancellable, True
        try:
            await gate.passed()
        finally:
            self._cancellable = before
        return not self._enough(call)

    async def _pass(self, call: Call, gate: Gate) -> None:
        """Wait until what was written may be shown; if it can never be, the stream has failed."""
        if self._passing:
            raise _read_twice()
        self._passing = True
        try:
            await gate.passed()
        except RecordingError as error:
            self._ready.clear()
            call.lose(error)
            self.leave()
        finally:
            self._passing = False

    async def _read_body(self, call: Call, response: httpx.Response) -> None:
        async with aclosing(_raw(response)) as body:
            async for data in body:
                for piece in call.pieces(data):
                    steps = call.receive(piece)
                    if steps:
                        self._put(steps)
                        self._hurry(call)
                        if len(self._ready) > _READ_AHEAD:
                            await self._wait_for_room(call)
                    if self._enough(call):
                        break
                if self._enough(call):
                    break
            else:
                self._heard_out = True
        self._put(self._attempts.stopped(call, self._stopping) if self._stopping else call.finish())

    def _enough(self, call: Call) -> bool:
        return call.read_enough or call.outcome is not None or self._stopping is not None

    def _request(self) -> httpx.Request:
        timeouts = self._timeouts
        # aiohttp's clock for the pool would run on while it connects; `_queued` has its own.
        pool = None if self._always_cancellable else timeouts.pool
        timeout = {"connect": timeouts.connect, "read": None, "write": timeouts.write, "pool": pool}
        headers, content = self._attempts.headers(), self._plan.request.content
        if large := len(content) > _PIECE:
            headers["content-length"] = str(len(content))
        return self._http.build_request(
            self._plan.request.method,
            self._plan.url,
            headers=headers,
            content=_sliced(content) if large else content or None,
            extensions={"timeout": timeout, "trace": self._trace},
        )

    async def _trace(self, event: str, info: dict[str, Any]) -> None:
        """httpcore tells how far it is: from its first HTTP event on it can be cancelled.

        But not between a proxy's answer to CONNECT and the request, where it makes TLS.
        """
        if not event.startswith(("http11.", "http2.")):
            return
        if event.endswith("response_closed.started"):
            self._cancellable = False
            self._closing = True
        elif event.endswith("send_request_headers.started"):
            if self._stopping is not None:
                raise Interrupted(self._stopping)
            self._stream = info.get("stream_id")
            self._cancellable = self._stream is None
            self._tunnelling = info["request"].method == b"CONNECT"
        elif event.endswith("receive_response_headers.complete") and self._tunnelling:
            self._cancellable = False

    def _queued(self, waiting: bool) -> None:  # noqa: FBT001 - the listener's one question
        """aiohttp tells whether it waits for a free connection."""
        if self._queue_timer is not None:
            self._queue_timer.cancel()
            self._queue_timer = None
        if waiting and self._timeouts.pool is not None:
            self._queue_timer = self._loop.call_later(self._timeouts.pool, self._stop, "pool")

    def _stop(self, phase: str) -> None:
        """Tell the owner to stop, now or as soon as it may be cancelled."""
        task, call = self._task, self._attempts.current
        if self._over or task is None or self._stopping is not None:
            return
        self._stopping = phase
        if task is asyncio.current_task(self._loop):
            return  # it looks by itself: cancelled here, it would stop at the next await, whatever
        if self._cancellable:
            self._force()
            return
        if call is not None and call.outcome is None:
            self._put(self._attempts.stopped(call, phase))
        self._wake()
        self._reset()
        # A transport that tells nothing (not httpcore) is cancelled once no connecting can be under
        # way.
        latest = (self._timeouts.pool or 0.0) + (self._timeouts.connect or 0.0) + 1.0
        self._last_resort = self._loop.call_later(latest, self._force)

    def _carried(self, carrier: Carrier) -> None:
        """The connection is an HTTP/2 one: its streams are never cancelled, but reset."""
        if self._carrier is not carrier:
            self._carrier = carrier
            self._reset()

    def _reset(self) -> None:
        if self._stopping is not None and self._carrier is not None and self._stream is not None:
            self._carrier.reset(self._stream)

    def _force(self) -> None:
        if not self._over and not self._interrupted and self._task is not None:
            self._interrupted = True
            self._task.cancel()

    def _set_timer(self) -> None:
        """Look at the deadline again when it passes as it stands; it may have moved on by then."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        call = self._attempts.current
        if call is None or call.outcome is not None or self._stopping is not None:
            return
        left, phase = call.left()
        if left is not None and left <= 0:
            self._stop(phase)
        elif left is not None:
            self._timer = self._loop.call_later(left, self._set_timer)

    def _hurry(self, call: Call) -> None:
        """Set the timer anew where the deadline now passes sooner than it was set for."""
        left, _phase = call.left()
        if left is not None and (
            self._timer is None or self._loop.time() + left < self._timer.when()
        ):
            self._set_timer()

    def _put(self, steps: list[Step]) -> None:
        if steps:
            self._ready += steps
            self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def _wait(self) -> None:
        if self._reader is not None:
            raise _read_twice()
        self._reader = self._loop.create_future()
        try:
            await self._reader
        finally:
            self._reader = None

    async def _wait_for_room(self, call: Call) -> None:
        call.pause()
        before, self._cancellable = self._cancellable, True
        self._room = self._loop.create_future()
        try:
            await self._room
        finally:
            self._cancellable = before
            self._room = None
            call.resume()
            self._set_timer()

    def _check(self) -> None:
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def _leave_quietly(self) -> None:
        if self._attempts.current is not None:
            with suppress(RecordingError):
                self._attempts.leave()


async def _sliced(content: bytes) -> AsyncGenerator[bytes]:
    for start in range(0, len(content), _PIECE):
        yield content[start : start + _PIECE]


def _read_twice() -> ClientStateError:
    return ClientStateError("another task waits for this stream: one reads it at a time")


def _raw(response: httpx.Response) -> AsyncGenerator[bytes]:
    """The body as it comes; httpx would count and copy it again."""
    stream = response.stream
    if not isinstance(stream, httpx.AsyncByteStream):
        raise TypeError("the http_client given is not an async one")
    body = aiter(stream)
    if isinstance(body, AsyncGenerator):
        return cast("AsyncGenerator[bytes]", body)
    return _generator(body)


async def _generator(body: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    async for data in body:
        yield data
