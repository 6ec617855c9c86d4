"""Drives one stream: sends its request, reads and records the answer, and tries again.

One task, the owner, has the stream's connection from the first byte to the last. The caller never
touches the connection, takes the recorded steps from the hand-over, and may leave at any time: the
owner is then cancelled as soon as that can leak nothing. A deadline and a cancel end the owner in
the same way, `CancelGate.stop`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any

import httpx

from ..errors import RecordingError
from ..exchange import Step
from ..http.body import PART_BYTES, SMALL_PART_BYTES, HttpxBody, free_connection, part_size
from ..http.cancel_gate import CancelGate, Stopped
from .attempts import Attempts
from .call import Call
from .deadline_timer import DeadlineTimer
from .hand_over import ENOUGH, TaskHandOver, ThreadHandOver

__all__ = ["Driver"]


class Driver:
    """One stream's owner; belongs to the hand-over's event loop.

    facts: the attempts, and what is known of the stream. running: the client's drivers that have
    not ended. over: the owner has ended, and the connection is free.
    """

    def __init__(
        self,
        attempts: Attempts,
        http: httpx.AsyncClient,
        hand_over: TaskHandOver | ThreadHandOver,
        running: set[Driver],
    ) -> None:
        self.facts = attempts
        self._http = http
        self._hand_over = hand_over
        self._running = running
        self._loop = loop = hand_over.loop
        self._gate = CancelGate(loop, attempts.settings.timeouts, self._conclude)
        self._timer = DeadlineTimer(loop, attempts.now, attempts.deadline, self._gate.stop)
        self._early: list[Step] = []
        self._unsafe: list[Step] = []
        self._pieces: Iterable[bytes] = ()
        self._full: bool | None = False
        self._releasing: asyncio.Task[None] | None = None
        # The steps of an error status count only if it is not tried again.
        self._put: Callable[[list[Step]], bool | None] = self._early.extend
        # What the caller handled when the loop began to run, a context of all that is raised in it.
        self._handled: BaseException | None = None
        self._cancelled = False
        self.over = False

    def start(self) -> None:
        """Open the session and send the request."""
        if self.facts.outcome is None:
            self._running.add(self)
            self._gate.task = self._loop.create_task(
                self._own(), name=f"vesselog {self.facts.plan.name}"
            )

    def cancel(self) -> None:
        """End the stream, from any thread or signal handler; it ends in the loop's next turn."""
        if not self.facts.forked:
            with suppress(RuntimeError):  # the loop is closed: nothing runs any more
                self._loop.call_soon_threadsafe(self._leave_quietly)
                self._cancelled = True

    def leave(self) -> None:
        """The caller wants no more: the outcome is written, and the owner follows.

        Raises RecordingError.
        """
        try:
            self.facts.leave()
        finally:
            self._gate.stop("cancelled")
            self._hand_over.end()

    async def finished(self) -> None:
        """Wait until the connection is free; one that is still being made is given up."""
        await self._gate.ended()

    def abandon(self) -> None:
        """Nobody holds the stream any more. Safe in a finaliser."""
        if self.facts.forked or self.over or self._cancelled:
            return
        self.facts.abandon()
        try:
            self._loop.call_soon_threadsafe(self._gate.stop, "cancelled")
        except RuntimeError:  # the loop is closed, its connections with it
            self.facts.close()

    async def _own(self) -> None:
        facts, gate = self.facts, self._gate
        failure: BaseException | None = None
        self._handled = sys.exception()
        gate.task = asyncio.current_task()  # an eager task runs before `create_task` returns it
        try:
            if gate.reason is None:
                with gate.allowed():
                    await facts.open()
            while facts.outcome is None and (facts.call or gate.reason is None):
                await self._attempt()
                if facts.delay is not None:
                    with gate.allowed():
                        await asyncio.sleep(facts.delay)
            self._hand_over.put(self._early)
        except asyncio.CancelledError:
            if gate.reason is None:  # the event loop shuts down
                self._leave_quietly()
                raise
        except BaseException as bug:  # noqa: BLE001 - raised to the caller
            failure = bug
            self._leave_quietly()
        finally:
            self.over = True
            self._running.discard(self)
            self._timer.stop()
            if self._releasing is not None:
                self._releasing.cancel()
            gate.release()
            self._put = self._hand_over.put  # a method of its own would keep it from being freed
            try:
                facts.release()
            except Exception as bug:  # noqa: BLE001 - raised to the caller, who must not wait for ever
                failure = failure or bug
            self._hand_over.end(failure)

    async def _attempt(self) -> None:
        gate, facts = self._gate, self.facts
        call = facts.begin()
        gate.begin()
        self._early.clear()
        self._timer.watch()
        response: httpx.Response | None = None
        body: Any = None  # an HttpxBody, or what the transport gives in its place
        try:
            with gate.allowed():
                safe = await self._make_safe(call)
            if safe and gate.reason is None:
                response = await self._send(call)
                if gate.reason is not None:  # the transport did not ask
                    raise Stopped
                facts.answered(call, response.status_code, response.headers)
                if response.is_success:
                    self._hand_over.begin()
                    self._put = self._hand_over.put if call.gate is None else self._hold
                body = response.extensions.get("body") or HttpxBody(response)
                if not call.drains:
                    body.use_no_more()
                await self._read(call, body)
            self._end(call)
            if self._releasing is not None:
                with gate.allowed():
                    await self._releasing
        except (Stopped, asyncio.CancelledError):
            if gate.reason is None:
                raise
            self._end(call)
        except Exception as failure:  # noqa: BLE001 - told apart by type, a bug is raised again
            self._put(facts.failed(call, failure, self._handled))
        finally:
            gate.close()
            if self._loop.is_running():  # else the interpreter exits, and drops this task
                await free_connection(response, body)
        with gate.allowed():
            await self._make_safe(call)
        facts.settle(call, retry=not self._hand_over.begun and gate.reason is None)

    async def _read(self, call: Call, body: HttpxBody) -> None:
        """Record what arrives and hand it over, until it is enough."""
        receive = partial(self._set_aside if call.cuts else self._receive, call)
        ended = False
        while not (ended or self._is_enough(call)):
            ended = await body.deliver(receive)
            pieces, self._pieces = self._pieces, ()
            for piece in pieces:
                self._take(call, piece)
                if self._full:
                    await self._wait_for_room(call)
                else:
                    await asyncio.sleep(0)
                if self._is_enough(call):
                    return
            if self._full:
                await self._wait_for_room(call)

    def _receive(self, call: Call, data: bytes) -> bool:
        """Record what arrived and hand it over. False where the owner has to act before more."""
        if len(data) > SMALL_PART_BYTES and len(data) > part_size(data):
            return self._set_aside(call, data)
        return self._take(call, data)

    def _take(self, call: Call, data: bytes) -> bool:
        deadlines = call.deadlines
        phase = deadlines.phase
        steps = call.receive(data)
        if deadlines.phase is not phase:
            self._timer.watch()
        self._full = self._put(steps)
        return not (self._full or self._is_enough(call))

    def _set_aside(self, call: Call, data: bytes) -> bool:
        """Leave what is too much for one iteration of the loop to the owner."""
        self._pieces = call.pieces(data)
        return False

    def _is_enough(self, call: Call) -> bool:
        return call.enough or call.outcome is not None or self._gate.reason is not None

    def _end(self, call: Call) -> None:
        """The body has been read as far as it is: the last steps, and the verdict."""
        reason = self._gate.reason
        self._put(call.finish() if reason is None else self.facts.stopped(call, reason))

    def _hold(self, steps: list[Step]) -> bool:
        """Hand steps over once they are safe; what comes meanwhile shares the next sync."""
        self._unsafe += steps
        if steps and self._releasing is None:
            self._releasing = self._loop.create_task(self._release())
        return len(self._unsafe) > ENOUGH

    async def _release(self) -> None:
        call = self.facts.current
        while self._unsafe and call is not None:
            count = len(self._unsafe)
            if not await self._make_safe(call):
                self._gate.stop("lost")
                return
            self._hand_over.put(self._unsafe[:count])
            del self._unsafe[:count]
        self._releasing = None

    async def _make_safe(self, call: Call) -> bool:
        """Wait until what was written may be shown, if the durability level asks for that.

        False if it can never be shown: the stream has failed.
        """
        if call.gate is not None:
            try:
                await call.gate.passed()
            except RecordingError as error:
                self._unsafe.clear()
                self._hand_over.clear()
                self.facts.lose(call, error)
                return False
        return True

    async def _wait_for_room(self, call: Call) -> None:
        self._full = False
        call.pause()
        try:
            with self._gate.allowed():
                if self._releasing is not None:
                    await self._releasing
                await self._hand_over.room()
        finally:
            call.resume()
            self._timer.watch()

    def _conclude(self, reason: str) -> None:
        """The owner cannot be cancelled now: the verdict does not wait for it."""
        call = self.facts.current
        if call is not None and call.outcome is None:
            steps = self.facts.stopped(call, reason)
            self.facts.settle(call, retry=False)
            self.facts.close()
            self._put(steps)  # last: the caller may run meanwhile
        self._hand_over.end()

    async def _send(self, call: Call) -> httpx.Response:
        request = self.facts.plan.request
        headers, content = self.facts.to_send(), request.content
        if large := len(content) > PART_BYTES:
            headers["content-length"] = str(len(content))
        async with self._gate.sending() as extensions:
            built = self._http.build_request(
                request.method,
                str(self.facts.plan.url),
                headers=headers,
                content=self._parts(call) if large else content or None,
                extensions=extensions,
            )
            return await self._http.send(built, stream=True, follow_redirects=False)

    async def _parts(self, call: Call) -> AsyncGenerator[bytes]:
        for part in call.parts(self.facts.plan.request.content):
            self._timer.watch()
            yield part

    def _leave_quietly(self) -> None:
        with suppress(RecordingError):  # it is the stream's error then
            self.leave()
