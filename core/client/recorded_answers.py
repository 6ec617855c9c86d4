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
        self._recorded: RecordedCall | None = None
        self._steps: Iterator[Step] = iter(())
        self.facts = RecordedFacts()

    def open(self) -> None:
        """Find the answer. Raises ReplayMissError."""
        recorded = self._answers.answer(self._plan.key, self._plan.record).call
        self._recorded = recorded
        self.facts.session, self.facts.path = recorded.session, recorded.path
        self.facts.call, self.facts.metrics = recorded.number, recorded.metrics
        self.facts.vessel, self.facts.natives = recorded.vessel, natives_of(recorded.end)
        self.facts.headers = recorded.headers
        self._steps = (stored.step() for stored in recorded.frames())

    def read(self) -> list[Step]:
        """The next frame's step; none when the answer is over."""
        facts = self.facts
        if facts.outcome is not None:
            return []
        step = next(self._steps, None)
        if step is not None:
            return [step]
        if self._recorded is not None:
            facts.error = self._recorded.error
            facts.outcome = outcome_of(self._recorded.end) or "truncated"
        return []

    def cancel(self) -> None:
        """End the stream, from any thread."""
        self.leave()

    def leave(self) -> None:
        """The caller wants no more."""
        self.facts.outcome = self.facts.outcome or "cancelled"

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
