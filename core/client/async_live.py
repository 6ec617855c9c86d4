"""The async driver: one task owns a stream's connection from the first byte to the last.

A cancelled caller never touches the connection. One that leaves or whose deadline has passed goes
at once; the owner follows as soon as it may (brake.py). What one read of the socket brings is
recorded in one write, and the caller goes on with it in the same turn of the loop
(async_answer.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import httpx

from ..errors import RecordingError
from ..exchange import Step
from ..truth.writer import Gate
from .attempts import Attempts
from .bodies import PIECE_BYTES, pouring, sliced
from .brake import Brake
from .call import Call
from .carrying import CARRIER_LISTENER
from .circumstances import Circumstances
from .interrupt import Interrupted
from .ledger import Entry
from .plan import Plan
from .read_ahead import ReadAhead, read_twice

__all__ = ["AsyncLiveSource"]


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
        running: set[AsyncLiveSource],
    ) -> None:
        self._plan = plan
        self._http = http
        self._timeouts = circumstances.timeouts
        self._attempts = Attempts(plan, enter, circumstances)
        self._running = running
        self._loop = asyncio.get_running_loop()
        attempts = self._attempts
        self._brake = Brake(self._timeouts, attempts.left, attempts.end, self._conclude)
        self._ahead = ReadAhead()
        self._begun = False
        self._over = False
        self._failure: BaseException | None = None
        self._passing = False

    @property
    def facts(self) -> Attempts:
        """What is known of the stream."""
        return self._attempts

    async def open(self) -> None:
        """Send the request; return when the answer has begun, or failed."""
        if self._attempts.outcome is not None:
            return
        self._attempts.enter()
        self._running.add(self)
        self._brake.task = self._loop.create_task(self._own(), name=f"vesselog {self._plan.name}")
        while not self._begun and not self._ended:
            await self._ahead.news()
        self._check()
        call = self._attempts.current
        if call is not None and call.gate is not None and call.outcome is not None:
            await self._pass(call, call.gate)

    async def read(self) -> list[Step]:
        """The next steps, recorded; none when the answer is over."""
        call, ahead = self._attempts.current, self._ahead
        while not ahead.steps:
            if self._over or self._attempts.outcome is not None:
                self._check()
                if call is not None and call.gate is not None:
                    await self._pass(call, call.gate)
                return []
            await ahead.news()
        # All that is there now goes through a gate in one sync; meanwhile more may come.
        count = len(ahead.steps)
        if call is not None and call.gate is not None:
            await self._pass(call, call.gate)
        return ahead.take(count)

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
            self._brake.stop("cancelled")
            self._ahead.wake()

    async def finished(self) -> None:
        """Wait until the connection is free. The client is closed: whatever still connects ends."""
        await self._brake.ended()

    def abandon(self) -> None:
        """Nobody holds the stream any more."""
        self._attempts.abandon()
        if self._over or self._brake.task is None:
            return
        try:
            self._loop.call_soon_threadsafe(self._brake.stop, "cancelled")
        except RuntimeError:  # the loop is closed, its connections with it
            self._attempts.drop()

    @property
    def _ended(self) -> bool:
        """Whether nothing more comes, though the owner may still have to free the connection."""
        stopped = self._brake.phase is not None and self._attempts.outcome is not None
        return self._over or stopped

    async def _own(self) -> None:
        self._brake.task = asyncio.current_task()  # an eager one runs before it is handed out
        CARRIER_LISTENER.set(self._brake.carried)
        try:
            await self._attempt()
            while (delay := self._next_delay()) is not None:
                with self._brake.allowed():
                    await asyncio.sleep(delay)
                self._ahead.clear()
                await self._attempt()
        except asyncio.CancelledError:
            # Only the loop's own shutdown cancels a task that nobody else knows.
            if self._brake.phase is None:
                self._leave_quietly()
                raise
        except BaseException as failure:  # noqa: BLE001 - handed to the caller
            self._failure = failure
            self._leave_quietly()
        finally:
            self._over = True
            self._running.discard(self)
            self._brake.release()
            self._attempts.close()
            self._ahead.wake()

    def _next_delay(self) -> float | None:
        if self._begun or self._brake.phase is not None:
            return None
        return self._attempts.retry_delay()

    async def _attempt(self) -> None:
        brake = self._brake
        if brake.phase is not None:
            return
        call = self._attempts.begin()
        brake.begin()
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
                self._ahead.wake()
            await self._read_body(call, response)
        except Interrupted as interrupted:
            self._ahead.put(self._attempts.stopped(call, interrupted.phase))
        except asyncio.CancelledError:
            phase = brake.caught()
            if phase is None:
                raise
            self._ahead.put(self._attempts.stopped(call, phase))
        except Exception as failure:  # noqa: BLE001 - told apart by type, a bug is raised again
            self._ahead.put(self._attempts.failed(call, failure))
        finally:
            brake.close()
            if brake.loop_runs:  # else the interpreter exits, and throws this task away
                if response is not None:
                    await response.aclose()
                await brake.hang_up()

    async def _may_leave(self, call: Call, gate: Gate) -> bool:
        """Wait until the request may be shown to the server; tell if it is still wanted then."""
        with self._brake.allowed():
            await gate.passed()
        return not self._enough(call)

    async def _pass(self, call: Call, gate: Gate) -> None:
        """Wait until what was written may be shown; if it can never be, the stream has failed."""
        if self._passing:
            raise read_twice()
        self._passing = True
        try:
            await gate.passed()
        except RecordingError as error:
            self._ahead.clear()
            call.lose(error)
            self.leave()
        finally:
            self._passing = False

    async def _read_body(self, call: Call, response: httpx.Response) -> None:
        pour = pouring(response)
        while not (whole := await pour(self._take)) and not self._enough(call):
            await self._wait_for_room(call)
        self._brake.heard_out = whole
        phase = self._brake.phase
        self._ahead.put(call.finish() if phase is None else self._attempts.stopped(call, phase))

    def _take(self, data: bytes) -> bool:
        """Record what arrived, then let the caller have it. Tell if more is wanted now."""
        call = self._attempts.current
        if call is None or call.outcome is not None:
            return False
        silence = call.deadlines.phase
        steps: list[Step] = []
        try:
            for piece in call.pieces(data):
                steps += call.receive(piece)
                if call.deadlines.phase != silence:
                    silence = call.deadlines.phase
                    self._brake.watch()
                if self._enough(call):
                    break
        finally:
            self._ahead.put(steps)
        return not (self._ahead.full or self._enough(call))

    def _enough(self, call: Call) -> bool:
        return call.read_enough or call.outcome is not None or self._brake.phase is not None

    def _request(self) -> httpx.Request:
        timeouts = self._timeouts
        timeout = {
            "connect": timeouts.connect,
            "read": None,  # the brake's
            "write": timeouts.write,
            "pool": timeouts.pool,
        }
        headers, content = self._attempts.headers(), self._plan.request.content
        if large := len(content) > PIECE_BYTES:
            headers["content-length"] = str(len(content))
        return self._http.build_request(
            self._plan.request.method,
            self._plan.url,
            headers=headers,
            content=sliced(content) if large else content or None,
            extensions={"timeout": timeout, "trace": self._brake.trace},
        )

    def _conclude(self, phase: str) -> None:
        """The owner cannot be ended now: the verdict does not wait for it."""
        call = self._attempts.current
        if call is not None and call.outcome is None:
            self._ahead.put(self._attempts.stopped(call, phase))
        self._ahead.wake()

    async def _wait_for_room(self, call: Call) -> None:
        call.pause()
        try:
            with self._brake.allowed():
                await self._ahead.room()
        finally:
            call.resume()
            self._brake.watch()

    def _check(self) -> None:
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def _leave_quietly(self) -> None:
        if self._attempts.current is not None:
            with suppress(RecordingError):
                self._attempts.leave()
