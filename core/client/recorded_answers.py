"""Streams whose answers come from recordings: the same steps, none of the network.

The chunks are those that are stored, as fast as they are asked for; `replay` gives them at their
own pace.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

from ..completion import Metrics, Outcome
from ..errors import VesselogError
from ..exchange import Step
from ..truth.answer_index import AnswerIndex
from ..truth.recording import RecordedCall, outcome_of
from .plan import Plan

__all__ = ["AsyncRecordedSource", "RecordedFacts", "RecordedSource"]


class RecordedFacts:
    """What is known of a replayed stream: the recording's own words, once they were reached."""

    def __init__(self) -> None:
        self.recorded: RecordedCall | None = None
        self.outcome: Outcome | None = None
        self.error: VesselogError | None = None

    @property
    def session(self) -> str | None:
        """The recording's session."""
        return self.recorded.session if self.recorded else None

    @property
    def path(self) -> Path | None:
        """The recording's file."""
        return self.recorded.path if self.recorded else None

    @property
    def call(self) -> int | None:
        """The call's number in it."""
        return self.recorded.number if self.recorded else None

    @property
    def metrics(self) -> Metrics | None:
        """How the answer arrived then."""
        return self.recorded.metrics if self.recorded else None


class RecordedSource:
    """One recorded answer, found by the request's key."""

    def __init__(self, answers: AnswerIndex, plan: Plan) -> None:
        self._answers = answers
        self._plan = plan
        self._facts = RecordedFacts()
        self._steps: Iterator[Step] = iter(())

    @property
    def facts(self) -> RecordedFacts:
        """What is known of the stream."""
        return self._facts

    def open(self) -> None:
        """Find the answer. Raises ReplayMissError."""
        recorded = self._answers.answer(self._plan.key, self._plan.record).call
        self._facts.recorded = recorded
        self._steps = (stored.step() for stored in recorded.frames())

    def read(self) -> list[Step]:
        """The next frame's step; none when the answer is over."""
        facts = self._facts
        if facts.outcome is not None:
            return []
        step = next(self._steps, None)
        if step is not None:
            return [step]
        if facts.recorded is not None:
            facts.error = facts.recorded.error
            facts.outcome = outcome_of(facts.recorded.end) or "truncated"
        return []

    def cancel(self) -> None:
        """End the stream, from any thread."""
        self.leave()

    def leave(self) -> None:
        """The caller wants no more."""
        self._facts.outcome = self._facts.outcome or "cancelled"

    def abandon(self) -> None:
        """Nobody holds the stream any more: there is nothing to free."""


class AsyncRecordedSource:
    """One recorded answer, for an async stream."""

    def __init__(self, answers: AnswerIndex, plan: Plan) -> None:
        self._source = RecordedSource(answers, plan)
        self.facts = self._source.facts
        self.cancel = self._source.cancel
        self.leave = self._source.leave
        self.abandon = self._source.abandon

    async def open(self) -> None:
        """Find the answer. Raises ReplayMissError."""
        self._source.open()

    async def read(self) -> list[Step]:
        """The next frame's step; none when the answer is over."""
        # Let the loop go: a stream that never waits starves everything else.
        await asyncio.sleep(0)
        return self._source.read()
