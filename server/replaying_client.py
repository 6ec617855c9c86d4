"""The client of a gateway whose answers come from recordings, at least those that are there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from httpx import Headers

from ..core.client.async_client import AsyncClient
from ..core.client.async_stream import AsyncStream
from ..core.client.plan import Plan
from ..core.clock import SYSTEM_CLOCK
from ..core.errors import TruncatedError
from ..core.replay.answer_index import AnswerIndex
from ..core.replay.pace import Speed, checked_speed
from ..core.replay.recorded_source import AsyncRecordedSource
from ..core.replay.replayed_answer import Replaying
from ..core.settings import Timeouts
from ..core.truth.recording import RecordedCall
from .replay_answers import ReplayAnswers

__all__ = ["ReplayingClient"]


class ReplayingClient(AsyncClient):
    """answers: shared with the replay server, and read already. settings: those of an AsyncClient.

    With `replay` in them nothing is ever sent. Without, what has no recorded answer is sent and
    recorded.
    """

    def __init__(self, answers: ReplayAnswers, speed: Speed, **settings: Any) -> None:
        super().__init__(**settings)
        self._answers = answers
        self._played = Replaying(answers, checked_speed(speed), SYSTEM_CLOCK)
        if "replay" in settings:
            self._replaying = self._played

    def _stream(
        self,
        plan: Plan,
        session: str | None,
        timeouts: Timeouts | None,
        *,
        exclusive: bool = False,
        meta: Mapping[str, Any] | None = None,
    ) -> AsyncStream:
        found = self._answers.take(plan.record)
        if found is None:  # a client that replays then says why, in a thread
            return super()._stream(plan, session, timeouts, exclusive=exclusive, meta=meta)
        self._usable_loop()
        playing = replace(self._played, answers=_Taken(found))
        source = _Source(playing, plan.record, None)
        # A gateway passes them on where the client speaks the dialect of the answer.
        source.facts.answer.all_headers = Headers(found.headers)
        source.facts.answer.status = (found.response or {}).get("status")
        return AsyncStream(source)

    async def aclose(self) -> None:
        """Close the connections. Streams that still run are cancelled."""
        self._played.leave()
        await super().aclose()


class _Source(AsyncRecordedSource):
    """An answer that its caller of then left is truncated for the caller of now."""

    def _end(self) -> None:
        facts = self.facts
        left = facts.outcome is not None
        super()._end()
        if not left and facts.outcome in {"cancelled", "abandoned"} and facts.error is None:
            facts.error = TruncatedError(f"the recorded answer ended as {facts.outcome!r}")
            facts.outcome = "truncated"


class _Taken(AnswerIndex):
    """One answer that was taken already."""

    def __init__(self, call: RecordedCall) -> None:
        super().__init__()
        self._call = call

    def turn(self, request: Mapping[str, Any]) -> asyncio.Lock:  # noqa: ARG002 - nobody else asks
        """Never held by anybody else."""
        return asyncio.Lock()

    def look_for(self, request: Mapping[str, Any], wanted: Callable[[], bool]) -> None:
        """It is there."""

    def answer(
        self,
        request: Mapping[str, Any],  # noqa: ARG002 - it is this one's
        *,
        repeat: bool | None = None,  # noqa: ARG002 - it is given once
    ) -> RecordedCall:
        """The answer."""
        return self._call
