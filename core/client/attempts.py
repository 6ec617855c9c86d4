"""A stream's attempts at its request: its calls, what failed, and whether to try again.

The sync and the async driver send and read; all that does not wait stands here, once.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import httpx

from ..completion import Metrics, Outcome
from ..errors import ClientStateError, RecordingError, VesselogError
from ..exchange import Step
from .call import Call
from .circumstances import Circumstances
from .failures import classify
from .ledger import Entry
from .plan import Plan

__all__ = ["Attempts"]


class Attempts:
    """The calls of one stream; the facts told are those of the last one."""

    def __init__(
        self, plan: Plan, enter: Callable[[], Entry], circumstances: Circumstances
    ) -> None:
        self._plan = plan
        self._enter = enter
        self._given = circumstances
        self._chance = random.Random()  # noqa: S311 - spreads retries, protects nothing
        self._entry: Entry | None = None
        self._first: int | None = None
        self._count = 0
        self.current: Call | None = None
        self._given_up = False
        self._cancelled = False
        self._process = os.getpid()

    @property
    def session(self) -> str | None:
        """The session's name."""
        return self._entry.session if self._entry else None

    @property
    def path(self) -> Path | None:
        """The session's file."""
        return self._entry.path if self._entry else None

    @property
    def call(self) -> int | None:
        """The last call's number in the session."""
        return self.current.number if self.current else None

    @property
    def outcome(self) -> Outcome | None:
        """How the stream ended; None while it runs, or is to be tried again."""
        if self._cancelled:
            return "cancelled"
        outcome = None if self.current is None else self.current.outcome
        return None if outcome is None or self._waiting else outcome

    def over(self) -> bool:
        """Whether the stream has ended."""
        return self.outcome is not None

    @property
    def error(self) -> VesselogError | None:
        """Why the stream failed."""
        if self.current is None or self._cancelled or self._waiting:
            return None
        return self.current.error

    @property
    def metrics(self) -> Metrics | None:
        """How the answer arrived so far."""
        return self.current.metrics if self.current else None

    @property
    def foreign(self) -> bool:
        """Whether this is a fork of the process that the stream belongs to."""
        return os.getpid() != self._process

    def check_process(self) -> None:
        """Raise ClientStateError in a fork: what it read would be missing in its parent."""
        if os.getpid() != self._process:  # as `foreign`; asked before every read
            raise ClientStateError("the stream belongs to the process that was forked")

    def enter(self) -> None:
        """Open the session. Raises RecordingError."""
        self._entry = self._enter()

    def begin(self) -> Call:
        """The next attempt: its request line is on disk when this returns.

        Raises RecordingError.
        """
        if self._entry is None:
            self.enter()
        assert self._entry is not None  # noqa: S101 - entered above
        self._given_up = True  # unless this attempt begins
        record = {**self._plan.record, "key": self._plan.key}
        if self._first is not None:
            record["retry_of"] = self._first
        given = self._given
        writer = self._entry.begin(record)
        self.current = Call(self._plan, writer, given.timeouts, given.limits, given.clock)
        self._first = self._first if self._first is not None else writer.call
        self._count += 1
        self._given_up = False
        return self.current

    def left(self) -> tuple[float | None, str]:
        """Seconds until the deadline, None for never, and the phase that then ends."""
        call = self.current
        return (None, "total") if call is None or call.outcome is not None else call.left()

    def end(self) -> float | None:
        """The deadline by the client's clock, in seconds, None for never; data moves it on."""
        return None if self.current is None else self.current.deadlines.next()[0]

    def headers(self) -> dict[str, str]:
        """The headers to be sent, with the key."""
        return {**self._plan.headers, **self._given.origins.headers(self._plan.origin)}

    def answered(self, call: Call, response: httpx.Response) -> None:
        """The response's status and headers have come. Raises RecordingError."""
        call.drains = self._given.origins.answered(self._plan.origin, response.headers)
        call.respond(response.status_code, response.headers)

    def failed(
        self, call: Call, failure: Exception, outer: BaseException | None = None
    ) -> list[Step]:
        """Sending or reading raised: the steps that it leaves, and the verdict.

        outer: what was being handled before, and has nothing to do with it. A bug is raised again.
        """
        if isinstance(failure, RecordingError):
            call.lose(failure)
            return []
        if isinstance(failure, VesselogError):
            return self._finish(call, failure)
        if isinstance(failure, httpx.ReadTimeout):  # of an injected client, given our deadlines
            return self.stopped(call, call.left()[1])
        given = self._given
        error = classify(
            failure,
            self._plan.origin,
            given.timeouts,
            given.limits,
            answering=call.answering,
            outer=outer,
        )
        if error is None:
            call.leave("error")
            raise failure
        if error.phase == "response":
            self._given.origins.hung_up(self._plan.origin)
        return self._finish(call, error)

    def stopped(self, call: Call, phase: str) -> list[Step]:
        """A deadline passed or the stream was cancelled.

        The steps that are left, and the verdict.
        """
        if phase == "cancelled":
            self.leave()
            return []
        return self._finish(call, call.deadlines.expired(phase))

    @staticmethod
    def _finish(call: Call, failure: VesselogError | None) -> list[Step]:
        """The steps that are left; none if they, or the end, cannot be recorded."""
        try:
            return call.finish(failure)
        except RecordingError as lost:
            call.lose(lost)
            return []

    def leave(self) -> None:
        """The caller wants no more of it, or never wanted it to begin."""
        if self.current is None or self._waiting:
            self._cancelled = True
        else:
            self.current.leave("cancelled")

    def retry_delay(self) -> float | None:
        """Seconds to wait before the next attempt; None if there is to be none."""
        error = None if self.current is None else self.current.error
        if error is None or self._given_up or self._cancelled:
            return None
        return self._given.retries.delay(self._count - 1, error, self._chance)

    @property
    def _waiting(self) -> bool:
        return self.retry_delay() is not None

    def close(self) -> None:
        """Let the session go."""
        if self._entry is not None:
            self._entry.close()

    def abandon(self) -> None:
        """Nobody holds the stream any more; safe in a finaliser."""
        if self.current is not None:
            self.current.abandon()

    def drop(self) -> None:
        """Let the session go, from a finaliser."""
        if self._entry is not None:
            self._entry.drop()
