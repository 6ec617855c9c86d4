"""The sync driver: sends a plan over httpx and reads the answer, one blocking read at a time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import httpx

from ..errors import RecordingError, VesselogError
from ..exchange import Step
from .attempts import Attempts
from .bodies import raw
from .call import Call
from .circumstances import Circumstances
from .interrupt import Alarm, Interrupted, Wait
from .ledger import Entry
from .outside import INSIDE, close_outside, next_inside
from .plan import Plan

__all__ = ["LiveSource"]

# For httpx and httpcore, which want a number where there is no limit. The alarm knows the real
# deadline.
_FOR_EVER = 1e9


class LiveSource:
    """One stream's connection to its server, retries inside.

    `open` sends the request and waits for the headers; `read` gives the next recorded steps, none
    at the end. interruptible: the transport asks the alarm whenever it waits; any other is asked
    for its patience, and the alarm when data came.
    """

    def __init__(
        self,
        plan: Plan,
        http: httpx.Client,
        enter: Callable[[], Entry],
        circumstances: Circumstances,
        *,
        interruptible: bool,
        running: set[LiveSource],
    ) -> None:
        self._plan = plan
        self._http = http
        self._timeouts = circumstances.timeouts
        self._attempts = Attempts(plan, enter, circumstances)
        self._interruptible = interruptible
        self._running = running
        self._alarm = Alarm(self._attempts.left)
        self._response: httpx.Response | None = None
        self._body: Iterator[bytes] = iter(())
        self._early: list[Step] = []

    @property
    def facts(self) -> Attempts:
        """What is known of the stream."""
        return self._attempts

    def open(self) -> None:
        """Send the request and wait for the headers, with retries. Raises RecordingError."""
        attempts = self._attempts
        if self._alarm.cancelled:
            self.leave()
        if attempts.over():
            return
        self._running.add(self)
        try:
            attempts.enter()
            self._early = self._attempt()
            while (delay := attempts.retry_delay()) is not None:
                self._free()
                try:
                    self._alarm.sleep(delay)
                except Interrupted:
                    self.leave()
                    return
                self._early = self._attempt()
        except BaseException:
            self._leave_behind()
            raise
        if attempts.over():
            self._close()
            call = attempts.current
            if call is not None and call.gate is not None:
                self._early = self._passed(call, self._early)

    def read(self) -> list[Step]:
        """The next steps, recorded; none when the answer is over. Raises ClientStateError."""
        if self._early:
            early, self._early = self._early, []
            return early
        call = self._attempts.current
        while call is not None and call.outcome is None:
            self._attempts.check_process()
            if steps := self._next(call):
                return steps
        return []

    def _next(self, call: Call) -> list[Step]:
        steps: list[Step] = []
        if self._alarm.cancelled:
            self.leave()
        else:
            steps = self._read(call)
        if call.outcome is not None:
            self._close()
        return steps if call.gate is None else self._passed(call, steps)

    def cancel(self) -> None:
        """End the stream, from any thread."""
        self._alarm.ring()

    def leave(self) -> None:
        """The caller wants no more: write the outcome, free the connection."""
        if self._attempts.foreign:
            return
        try:
            self._attempts.leave()
        finally:
            self._close()

    def abandon(self) -> None:
        """Nobody holds the stream any more; safe in a finaliser."""
        if self._attempts.foreign:
            return
        self._attempts.abandon()
        response, self._response = self._response, None
        if response is not None:
            close_outside(response, self._body)
        self._attempts.drop()
        self._alarm.close()
        self._running.discard(self)

    def _attempt(self) -> list[Step]:
        call = self._attempts.begin()
        outer = sys.exception()
        try:
            if call.gate is not None:
                call.gate.wait()
            with INSIDE:
                response = self._response = self._http.send(
                    self._request(), stream=True, follow_redirects=False
                )
            self._attempts.answered(call, response)
            self._body = call.pieces_of(raw(response))
        except Interrupted as interrupted:
            return self._attempts.stopped(call, interrupted.phase)
        except Exception as failure:  # noqa: BLE001 - told apart by type, a bug is raised again
            return self._failed(call, failure, outer)
        steps: list[Step] = []
        while not response.is_success and call.outcome is None:
            steps += self._read(call)
        return steps

    def _read(self, call: Call) -> list[Step]:
        call.resume()
        outer = sys.exception()
        try:
            data = next_inside(self._body)
            if not self._interruptible and (self._alarm.cancelled or call.late()):
                self._alarm.check()
            if data is None:
                return call.finish()
            steps = call.receive(data)
            return steps + call.finish() if call.read_enough else steps
        except Interrupted as interrupted:
            return self._attempts.stopped(call, interrupted.phase)
        except Exception as failure:  # noqa: BLE001 - told apart by type, a bug is raised again
            return self._failed(call, failure, outer)
        except BaseException:
            self._leave_behind()
            raise

    def _failed(self, call: Call, failure: Exception, outer: BaseException | None) -> list[Step]:
        if self._alarm.cancelled and not isinstance(failure, VesselogError):
            # The client was closed, and the connection under its reader.
            return self._attempts.stopped(call, "cancelled")
        return self._attempts.failed(call, failure, outer)

    def _passed(self, call: Call, steps: list[Step]) -> list[Step]:
        """The steps, when they may be shown; none if what was written can never be."""
        if call.gate is None or not (steps or call.outcome is not None):
            return steps
        try:
            call.gate.wait()
        except RecordingError as error:
            call.lose(error)
            self._close()
            return []
        except BaseException:
            self._leave_behind()
            raise
        return steps

    def _request(self) -> httpx.Request:
        return self._http.build_request(
            self._plan.request.method,
            self._plan.url,
            headers=self._attempts.headers(),
            content=self._plan.request.content or None,
            extensions={"timeout": self._patience()},
        )

    def _patience(self) -> dict[str, Any]:
        timeouts = self._timeouts
        connect, write, pool = timeouts.connect, timeouts.write, timeouts.pool
        if self._interruptible:
            return {
                "connect": Wait.of(self._alarm, _FOR_EVER if connect is None else connect),
                "read": Wait.of(self._alarm, _FOR_EVER),
                "write": Wait.of(self._alarm, _FOR_EVER if write is None else write),
                "pool": Wait.of(self._alarm, _FOR_EVER if pool is None else pool),
            }
        silences = (timeouts.first_chunk, timeouts.idle)
        read = max((each for each in silences if each is not None), default=None)
        if None in silences:
            read = None
        return {"connect": connect, "read": read, "write": write, "pool": pool}

    def _leave_behind(self) -> None:
        """An exception passes through that is not of the answer."""
        if self._attempts.current is not None:
            self.leave()
        else:
            self._close()

    def _free(self) -> None:
        response, self._response = self._response, None
        if response is not None:
            with INSIDE:
                response.close()

    def _close(self) -> None:
        self._free()
        self._attempts.close()
        self._alarm.close()
        self._running.discard(self)
