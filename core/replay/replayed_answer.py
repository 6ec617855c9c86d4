"""The answers of a client that replays: the stored chunks, and none of the network.

Where the client records, an answer is recorded again, and each chunk is in the new recording before
it is handed out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..clock import Clock
from ..completion import AnswerFacts, Outcome
from ..errors import ConfigurationError, RecordingError, VesselogError
from ..exchange import Step
from ..metrics import Meter
from ..native import natives_of
from ..truth.fsync_thread import SyncedFile
from ..truth.recorded_frame import RecordedFrame
from ..truth.recording import RecordedCall, outcome_of
from ..truth.session_pool import Entry, OpenSession
from .answer_copy import AnswerCopy
from .answer_index import AnswerIndex
from .compare_requests import Match
from .pace import Pace, Speed, checked_speed

__all__ = ["RecordedFacts", "ReplayedAnswer", "Replaying"]


@dataclass(slots=True)
class RecordedFacts:
    """What is known of a replayed stream: what its recording says, once it was found."""

    session: str | None = None
    path: Path | None = None
    call: int | None = None
    vessel: str | None = None
    answer: AnswerFacts = field(default_factory=AnswerFacts)
    outcome: Outcome | None = None
    error: VesselogError | None = None


@dataclass(slots=True)
class Replaying:
    """How answers are replayed. speed: from `checked_speed`. running: those that have not ended."""

    answers: AnswerIndex
    speed: float
    clock: Clock
    running: set[ReplayedAnswer] = field(default_factory=set["ReplayedAnswer"])

    @classmethod
    def of(
        cls,
        path: Path | None,
        speed: Speed | None,
        match: Match | None,
        *,
        repeat: bool,
        clock: Clock,
    ) -> Replaying | None:
        """A client's settings; None without a path. Raises ConfigurationError, RecordingError."""
        if path is not None:
            factor = checked_speed(0 if speed is None else speed)
            return cls(AnswerIndex(path, match=match or "strict", repeat=repeat), factor, clock)
        given = {"speed": speed, "match": match, "repeat": None if repeat is False else repeat}
        for name, value in given.items():
            if value is not None:
                raise ConfigurationError(
                    f"{name} is a setting of replay: give replay=", setting=name
                )
        return None

    def leave(self) -> None:
        """Cancel the streams that have not ended. Safe in a signal handler."""
        for source in tuple(self.running):
            source.cancel()


class ReplayedAnswer:
    """One recorded answer, found by the request's key. Only `record` waits for anything.

    request: what its request line says, the key included. open_session: where the answer is
    recorded again; None to record nothing.
    """

    def __init__(
        self,
        replaying: Replaying,
        request: Mapping[str, Any],
        open_session: OpenSession | None = None,
    ) -> None:
        self._replaying = replaying
        self._asked = request
        self._open_session = open_session
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opening: asyncio.Task[Entry] | None = None
        self._copy: AnswerCopy | None = None
        self._recorded: RecordedCall  # once it is found, as the next two
        self._frames: Iterator[RecordedFrame]
        self._pace: Pace
        self._next: RecordedFrame | None = None
        self._last: RecordedFrame | None = None
        self._finished = False
        self._early: list[Step] = []
        self._meter = Meter()
        self.facts = RecordedFacts()

    def leave(self) -> None:
        """The caller wants no more. An answer that is whole already stays complete."""
        whole = not self._is_over() and self._is_whole()
        self._leave("complete" if whole else "cancelled")

    def cancel(self) -> None:
        """End the stream. Safe from any thread and in a signal handler."""
        self._leave("cancelled")

    def abandon(self) -> None:
        """Nobody holds the stream any more. Safe in a finaliser."""
        self._leave("abandoned")

    def fail(self, error: VesselogError) -> None:
        """The stream ends with this error, unless it was left meanwhile."""
        if self.facts.outcome != "cancelled":
            self._end_early("error", error)

    def wake(self) -> None:
        """End a wait of the stream. Safe from any thread and in a signal handler."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: nothing runs any more
                self._loop.call_soon_threadsafe(self._wake_in_loop)

    def find(self) -> None:
        """Find the answer, unless the stream was left. Raises ReplayMissError, RecordingError."""
        facts, answer, answers = self.facts, self.facts.answer, self._replaying.answers
        answers.look_for(self._asked, lambda: not self._is_over())
        if self._is_over():
            return
        recorded = self._recorded = answers.answer(self._asked)
        answer.metrics, answer.natives = recorded.metrics, natives_of(recorded.end)
        answer.headers, facts.vessel = recorded.headers, recorded.vessel
        facts.session, facts.path, facts.call = recorded.session, recorded.path, recorded.number
        self._frames = recorded.frames()
        self._pace = Pace(self._replaying.speed, self._replaying.clock)
        self._replaying.running.add(self)

    async def record(self) -> None:
        """Open a session, if there is one to open, and record the answer there too.

        Raises RecordingError.
        """
        # Set before the outcome is read: `wake` reads it after the outcome was set.
        self._loop = asyncio.get_running_loop()
        if self._open_session is None or self._is_over():
            return
        self._opening = asyncio.create_task(self._open_session())
        try:
            entry = await self._opening
        except asyncio.CancelledError:
            if self._is_over():
                return
            raise
        finally:
            self._opening = None
        if self._is_over():  # the stream was left meanwhile
            entry.close()
            return
        facts, copy = self.facts, AnswerCopy(self._recorded, entry, self._asked)
        facts.session, facts.path, facts.call = copy.session, copy.path, copy.call
        self._copy = copy
        if facts.outcome is not None:
            self._end_copy(facts.outcome, facts.error, later=True)

    def until_begin(self) -> float:
        """Seconds until the answer begins, or is refused."""
        if self._is_over():
            return 0.0
        recorded = self._recorded
        t = recorded.responded if self._succeeded else recorded.ended or recorded.responded
        return self._pace.wait(t - recorded.started)

    def begin(self) -> None:
        """The answer begins; one that was refused is read to its end, as a live one.

        This and all that follows raises RecordingError, for `fail`.
        """
        if self._copy is not None and not self._is_over():
            self._copy.respond()
        while not (self._is_over() or self._succeeded):
            self._early += self._advance()

    def until_next(self) -> float:
        """Seconds until the next frame, or the end."""
        if self._early or self._is_over() or not self._replaying.speed:
            return 0.0
        self._next = next(self._frames, None)
        due = self._recorded.ended if self._next is None else self._next.t
        return self._pace.wait((due or 0) - self._recorded.started)

    def take(self) -> list[Step]:
        """The next frame's step, recorded; none when the answer is over."""
        if self._early:
            steps, self._early = self._early, []
            return steps
        return [] if self._is_over() else self._advance()

    @property
    def gate(self) -> SyncedFile | None:
        """What has to pass before a step is shown."""
        return None if self._copy is None else self._copy.gate

    @property
    def _succeeded(self) -> bool:
        status = (self._recorded.response or {}).get("status")
        return isinstance(status, int) and 200 <= status < 300

    def _is_over(self) -> bool:
        return self.facts.outcome is not None

    def _advance(self) -> list[Step]:
        frame, self._next = self._next or next(self._frames, None), None
        if frame is None:
            self._end()
            return []
        step = frame.step() if self._copy is None else self._copy.step(frame)
        self._last = frame
        self._finished |= any(chunk.finish_reason is not None for chunk in step.chunks)
        self._meter.add([step], frame.t - self._recorded.started)
        return [step]

    def _is_whole(self) -> bool:
        """Whether what is left comes after the last finish reason: usage, a terminator."""
        last = self._last
        if last is None or not self._finished or self._recorded.outcome != "complete":
            return False
        with suppress(RecordingError):
            later = (each for each in self._recorded.frames() if each.n > last.n)
            return not any(fields.get("finish_reason") for each in later for fields in each.fields)
        return False

    def _leave(self, outcome: Outcome) -> None:
        if not self._is_over():
            self._end_early(outcome)
            self.wake()

    def _end(self) -> None:
        facts, recorded = self.facts, self._recorded
        error, outcome = recorded.error, outcome_of(recorded.end) or "truncated"
        self._end_copy(outcome, error, later=False)
        if facts.outcome is None:
            facts.error, facts.outcome = error, outcome

    def _end_early(self, outcome: Outcome, error: VesselogError | None = None) -> None:
        """What the recording says of the whole answer is not true of the part that was read."""
        facts, last = self.facts, self._last
        if facts.path is not None:
            age = 0 if last is None else last.t - self._recorded.started
            facts.answer.metrics = self._meter.metrics(age)
        if outcome != "complete":
            facts.answer.natives = {}
        facts.error, facts.outcome = error, outcome
        self._end_copy(outcome, error, later=True)

    def _end_copy(self, outcome: Outcome, error: VesselogError | None, *, later: bool) -> None:
        """Have the end recorded. later: now or by whoever writes, without ever blocking."""
        self._replaying.running.discard(self)
        if self._copy is not None:
            usage, answer = self._meter.usage, self.facts.answer
            self._copy.end(
                outcome, usage, answer.metrics, error=error, natives=answer.natives, later=later
            )

    def _wake_in_loop(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
