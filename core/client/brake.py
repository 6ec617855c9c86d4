"""Ends the task that owns a connection, at a moment and in a way that harm nothing.

httpcore loses pool slots when it is cancelled while it connects or closes (encode/httpcore#1093).
Its trace tells how far it is: the task is cancelled only between the first event of the HTTP
exchange and the closing of the response. On a shared HTTP/2 connection it is never cancelled; its
stream is reset. Where the task cannot be ended at once, whoever waits for it is told at once, and
the task follows as soon as it may, at the latest when no connecting can be under way any more. A
transport of our own (async_http11.py) may be cancelled at any time, and tells so before all else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from .carrying import Carrier
from .interrupt import Deadline, Interrupted
from .settings import Timeouts

__all__ = ["Brake"]


class Brake:
    """One task's brake, set as its `task` before it runs.

    left: the deadline as it stands; it may move on. end: the same as a time. conclude: called with
    the phase where the task cannot be ended at once. phase: why the task is to end, None while it
    is not. heard_out: the body was read to its end.
    """

    def __init__(
        self,
        timeouts: Timeouts,
        left: Deadline,
        end: Callable[[], float | None],
        conclude: Callable[[str], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeouts = timeouts
        self._left = left
        self._end = end
        self._conclude = conclude
        self._allowed = False
        self._closing = False
        self._pulled = False
        self._tunnelling = False
        self._carrier: Carrier | None = None
        self._stream: int | None = None
        self._timers: dict[str, asyncio.Handle] = {}
        self.task: asyncio.Task[None] | None = None
        self.phase: str | None = None
        self.heard_out = False

    @property
    def loop_runs(self) -> bool:
        """Whether there is an event loop to wait in."""
        return self._loop.is_running()

    def stop(self, phase: str) -> None:
        """Have the task end. Only the first reason counts."""
        task = self.task
        if task is None or task.done() or self.phase is not None:
            return
        self.phase = phase
        if task is asyncio.current_task(self._loop):
            return  # it looks by itself: cancelled here, it would stop at the next await, whatever
        if self._allowed:
            self._pull()
            return
        self._conclude(phase)
        self._reset()
        # A transport that tells nothing (not httpcore) is cancelled once no connecting can be under
        # way.
        latest = (self._timeouts.pool or 0.0) + (self._timeouts.connect or 0.0) + 1.0
        self._set("last", latest, self._pull)

    async def ended(self) -> None:
        """Wait until the task has ended. The client is closed: whatever still connects ends."""
        if self.task is not None:
            if not self._closing:
                self._pull()
            await asyncio.wait([self.task])

    def begin(self) -> None:
        """The task begins an attempt."""
        self._closing = self.heard_out = False
        self._carrier = self._stream = None
        self._allowed = False
        self.watch()

    @contextmanager
    def allowed(self) -> Generator[None]:
        """The task may be cancelled inside: it waits for something that is not the transport."""
        before, self._allowed = self._allowed, True
        try:
            yield
        finally:
            self._allowed = before

    def caught(self) -> str | None:
        """The task was cancelled: why, or None if by somebody else."""
        if self.phase is not None and self.task is not None:
            self.task.uncancel()
        return self.phase

    def close(self) -> None:
        """The task closes its connection, undisturbed."""
        self._allowed = False
        self._closing = True

    async def hang_up(self) -> None:
        """End an HTTP/2 stream whose end was not heard, for both sides."""
        if self._carrier is not None and self._stream is not None and not self.heard_out:
            self._carrier.reset(self._stream)
            await self._carrier.tell_reset(self._stream)

    def release(self) -> None:
        """The task is over."""
        for name in tuple(self._timers):
            self._unset(name)

    def watch(self) -> None:
        """Look at the deadline again when it passes as it stands; it may have moved on by then.

        To be called anew wherever it may pass sooner.
        """
        self._unset("deadline")
        if self.phase is not None:
            return
        left, _ = self._left()
        if left is not None:
            self._set("deadline", max(0.0, left), self._late)

    def _late(self, seen: float | None = None, turns: int = 1) -> None:
        """The deadline passes, unless it has moved on.

        A caller may have held the loop up, and the data with it. So the loop first has a whole turn
        in which it looks at its connections, and another one wherever that has moved the deadline.
        """
        (left, phase), end = self._left(), self._end()
        if left is None or left > 0:
            self.watch()
        elif end != seen:
            self._timers["deadline"] = self._loop.call_soon(self._late, end)
        elif turns:
            self._timers["deadline"] = self._loop.call_soon(self._late, end, turns - 1)
        else:
            self.stop(phase)

    async def trace(self, event: str, info: dict[str, Any]) -> None:
        """httpcore tells how far it is.

        Between a proxy's answer to CONNECT and the request it makes TLS: it still connects.
        """
        if not event.startswith(("http11.", "http2.")):
            return
        if event.endswith("response_closed.started"):
            self.close()
        elif event.endswith(("take_connection.started", "send_request_headers.started")):
            if self.phase is not None:
                raise Interrupted(self.phase)
            self._stream = info.get("stream_id")
            self._allowed = self._stream is None
            self._tunnelling = info["request"].method == b"CONNECT"
        elif event.endswith("receive_response_headers.complete") and self._tunnelling:
            self._allowed = False

    def carried(self, carrier: Carrier) -> None:
        """The transport tells which shared connection carries the stream."""
        if self._carrier is not carrier:
            self._carrier = carrier
            self._reset()

    def _reset(self) -> None:
        if self.phase is not None and self._carrier is not None and self._stream is not None:
            self._carrier.reset(self._stream)

    def _pull(self) -> None:
        """Cancel the task, once: a second time it would be in the middle of its closing."""
        if self.task is not None and not self.task.done() and not self._pulled:
            self._pulled = True
            self.task.cancel()

    def _set(self, name: str, seconds: float, then: Callable[[], None]) -> None:
        self._timers[name] = self._loop.call_later(seconds, then)

    def _unset(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()
