"""A stream's attempts at its request: its calls, what failed, and whether to try again.

The driver sends and reads; all that does not wait is here.
"""

from __future__ import annotations

import os
from math import inf
from pathlib import Path
from typing import Any

from ..completion import AnswerFacts, Outcome
from ..errors import ClientStateError, RecordingError, VesselogError
from ..exchange import Step
from ..http.failures import classify
from ..truth.session_pool import Entry, OpenSession
from .call import Call, SharedSettings
from .plan import Plan

__all__ = ["Attempts"]


class Attempts:
    """The calls of one stream; what it says of the stream is true of the last one.

    vessel: the vessel's own name. session, path: the name and the file of the session; None before
    it is open, and where nothing is recorded. call: the last call's number in it. current: the last
    call; answer: what is known of its answer. outcome: how the stream ended, None while it runs or
    waits for another attempt. error: why it failed. delay: seconds to wait before the next attempt,
    None if there is none. plan: until `release`.
    """

    def __init__(self, plan: Plan, open_session: OpenSession, settings: SharedSettings) -> None:
        self.plan = plan
        self.settings = settings
        self._open_session = open_session
        self._entry: Entry | None = None
        self._first: int | None = None
        self._count = 0
        self._process = os.getpid()
        self.vessel = str(plan.record["vessel"])
        self.session: str | None = None
        self.path: Path | None = None
        self.call: int | None = None
        self.current: Call | None = None
        self.answer: Call | AnswerFacts = AnswerFacts()
        self.outcome: Outcome | None = None
        self.error: VesselogError | None = None
        self.delay: float | None = None

    @property
    def forked(self) -> bool:
        """Whether this is a fork of the process that the stream belongs to."""
        return os.getpid() != self._process

    def check_process(self) -> None:
        """Raise ClientStateError in a fork: what it read would be missing in its parent."""
        if self.forked:
            raise ClientStateError("the stream belongs to the process that was forked")

    async def open(self) -> None:
        """Open the session; where that fails, the stream has failed."""
        try:
            entry = self._entry = await self._open_session()
        except VesselogError as error:
            self.outcome, self.error = "error", error
        else:
            self.session, self.path = entry.session, entry.path

    def begin(self) -> Call:
        """The next attempt: its request line is on disk when this returns.

        Raises RecordingError.
        """
        assert self._entry is not None  # noqa: S101 - the driver opens it first
        self.delay = None
        retry = {} if self._first is None else {"retry_of": self._first}
        try:
            writer = self._entry.begin({**self.plan.record, **retry})
        except RecordingError as error:
            self.outcome, self.error = "error", error
            raise
        self.call = writer.call
        self.answer = self.current = Call(self.plan, writer, self.settings, self._count)
        self._first = self._first or writer.call
        self._count += 1
        return self.current

    def now(self) -> float:
        """The time by which deadlines are given, in seconds."""
        return self.settings.clock.monotonic() / 1e6

    def deadline(self) -> tuple[float, str]:
        """The time of the deadline, infinite for never, and the phase that it ends."""
        call = self.current
        if call is None or call.outcome is not None:
            return inf, "total"
        return call.deadlines.next()

    def to_send(self) -> dict[str, str]:
        """The headers to send, with the key."""
        origin = self.plan.origin
        return {**self.plan.headers, **self.settings.closing_servers.headers(origin)}

    def answered(self, call: Call, status: int, headers: Any) -> None:
        """The response's status and headers have come. Raises RecordingError."""
        call.drains = self.settings.closing_servers.answered(self.plan.origin, headers)
        call.respond(status, headers)

    def failed(self, call: Call, failure: Exception, handled: BaseException | None) -> list[Step]:
        """Sending or reading raised: the steps that are left, and the verdict.

        handled: what the caller was handling meanwhile. A bug is raised again.
        """
        if isinstance(failure, RecordingError):
            call.fail(failure)
            return []
        if isinstance(failure, VesselogError):
            return self._finish(call, failure)
        settings = self.settings
        error = classify(
            failure,
            self.plan.origin,
            settings.timeouts,
            settings.limits,
            answering=call.status is not None,
            handled=handled,
        )
        if error is None:
            call.leave("error")
            raise failure
        if error.phase == "response":
            settings.closing_servers.hung_up(self.plan.origin)
        return self._finish(call, error)

    def stopped(self, call: Call, reason: str) -> list[Step]:
        """A deadline passed or the stream was cancelled: the steps that are left, the verdict."""
        if reason == "cancelled":
            self.leave()
            return []
        call.may_be_retried = False
        return self._finish(call, call.deadlines.expired(reason))

    def settle(self, call: Call, *, retry: bool) -> None:
        """The attempt is over: try again after `delay`, or let its verdict be the stream's."""
        if self.outcome is not None:
            return
        if retry:
            self.delay = call.retry_in
        if self.delay is None:
            self.outcome, self.error = call.outcome, call.error

    def leave(self) -> None:
        """The caller wants no more of it, or never wanted it to begin. Raises RecordingError."""
        if self.outcome is not None:
            return
        call = self.current
        if call is None or call.retry_in is not None:  # no attempt runs
            self.outcome = "cancelled"
            self.close()
            return
        try:
            call.leave("cancelled")
        finally:
            self.outcome, self.error = call.outcome, call.error
            self.close()  # now: freeing the connection may take longer

    def lose(self, call: Call, error: RecordingError) -> None:
        """What was written cannot be made safe: that is the verdict, unless one was given."""
        call.fail(error)
        if self.outcome is None:
            self.outcome, self.error = "error", error

    def close(self) -> None:
        """Let the session go."""
        if self._entry is not None:
            self._entry.close()

    def release(self) -> None:
        """The stream is over. A kept error keeps this object, but not the request with its key."""
        self.close()
        answer = self.answer
        self.answer = AnswerFacts(
            answer.status, answer.headers, answer.all_headers, answer.metrics, answer.natives
        )
        self.current = None
        del self.plan

    def abandon(self) -> None:
        """Nobody holds the stream any more; safe in a finaliser."""
        if (call := self.current) is not None:
            call.abandon()

    @staticmethod
    def _finish(call: Call, failure: VesselogError | None) -> list[Step]:
        """The steps that are left; none if they, or the end, cannot be recorded."""
        try:
            return call.finish(failure)
        except RecordingError as lost:
            call.fail(lost)
            return []
