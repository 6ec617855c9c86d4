"""Streams whose answers come from recordings: the same steps, none of the network.

The chunks are those that are stored, as fast as they are asked for; `replay` gives them at their
own pace.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..completion import Metrics, Outcome
from ..errors import VesselogError
from ..exchange import Step
from ..native import NativeMessages, natives_of
from ..truth.answer_index import AnswerIndex
from ..truth.recording import RecordedCall, outcome_of
from .plan import Plan

__all__ = ["AsyncRecordedSource", "RecordedFacts", "RecordedSource"]


@dataclass(slots=True)
class RecordedFacts:
    """What is known of a replayed stream: what its recording says, once it was found."""

    session: str | None = None
    path: Path | None = None
    call: int | None = None
    metrics: Metrics | None = None
    vessel: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    natives: NativeMessages = field(default_factory=dict[int, dict[str, Any]])
    outcome: Outcome | None = None
    error: VesselogError | None = None


class RecordedSource:
    """One recorded answer, found by the request's key."""

    def __init__(self, answers: AnswerIndex, plan: Plan) -> None:
        self._answers = answers
        self._plan = plan
        self._recorded: RecordedCall  # once it is open
        self._steps: Iterator[Step] = iter(())
        self.facts = RecordedFacts()

    def open(self) -> None:
        """Find the answer. Raises ReplayMissError, RecordingError."""
        facts, asked = self.facts, (self._plan.key, self._plan.record)
        try:
            self._answers.look_for(*asked, lambda: facts.outcome is None)
            if facts.outcome is not None:
                return
            recorded = self._answers.answer(*asked)
            facts.metrics, facts.natives = recorded.metrics, natives_of(recorded.end)
            facts.headers = recorded.headers
        except VesselogError as error:
            facts.outcome, facts.error = "error", error
            raise
        self._recorded = recorded
        facts.session, facts.path, facts.call = recorded.session, recorded.path, recorded.number
        facts.vessel = recorded.vessel
        self._steps = (stored.step() for stored in recorded.frames())

    def read(self) -> list[Step]:
        """The next frame's step; none when the answer is over."""
        facts = self.facts
        if facts.outcome is not None:
            return []
        step = next(self._steps, None)
        if step is not None:
            return [step]
        facts.error = self._recorded.error
        facts.outcome = outcome_of(self._recorded.end) or "truncated"
        return []

    def leave(self) -> None:
        """The caller wants no more. Safe from any thread."""
        self.facts.outcome = self.facts.outcome or "cancelled"

    cancel = leave

    def abandon(self) -> None:
        """Nobody holds the stream any more: there is nothing to free."""


class AsyncRecordedSource:
    """One recorded answer, for an async stream. turn: shared by the streams of a client."""

    def __init__(self, answers: AnswerIndex, plan: Plan, turn: asyncio.Lock) -> None:
        self._source = RecordedSource(answers, plan)
        self._turn = turn
        self.facts = self._source.facts
        self.cancel = self._source.cancel
        self.leave = self._source.leave
        self.abandon = self._source.abandon

    async def open(self) -> None:
        """Find the answer, in a thread. Raises ReplayMissError, RecordingError."""
        try:
            async with self._turn:  # equal requests get their answers in the order they asked
                await asyncio.to_thread(self._source.open)
        except asyncio.CancelledError:
            self.leave()  # the thread then ends
            raise

    async def read(self) -> list[Step]:
        """The next frame's step; none when the answer is over."""
        # Let the loop go: a stream that never waits starves everything else.
        await asyncio.sleep(0)
        return self._source.read()
