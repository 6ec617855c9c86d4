"""A recorded answer at the pace at which it came, also one that is still written."""

from __future__ import annotations

from asyncio import sleep
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import cast

from ..core.chunk import StreamChunk
from ..core.clock import SYSTEM_CLOCK
from ..core.completion import Outcome
from ..core.errors import VesselogError
from ..core.follow.follow import Follow
from ..core.replay.pace import Pace

__all__ = ["Paced"]


class Paced:
    """The chunks of `followed`, none earlier than it came after the request.

    speed: 2.0 is twice as fast, 0 without waiting. from_start: whether the wait for the first chunk
    counts; else that chunk comes at once.
    """

    def __init__(self, followed: Follow, speed: float, *, from_start: bool) -> None:
        self._followed = followed
        self._speed = speed
        self._from_start = from_start

    @property
    def session(self) -> str:
        """The session's name."""
        return self._followed.session

    @property
    def call(self) -> int | None:
        """The call's number."""
        return self._followed.call

    @property
    def outcome(self) -> Outcome | None:
        """How the call ended; None before that."""
        return self._followed.outcome

    @property
    def error(self) -> VesselogError | None:
        """The error with which the call ended."""
        return self._followed.error

    async def __aiter__(self) -> AsyncIterator[StreamChunk]:
        pace = Pace(self._speed, SYSTEM_CLOCK)
        first: float | None = 0.0 if self._from_start else None
        async with aclosing(cast("AsyncGenerator[StreamChunk]", aiter(self._followed))) as chunks:
            async for chunk in chunks:
                if first is None:
                    first = chunk.t
                if (wait := pace.wait((chunk.t - first) * 1e6)) > 0:
                    await sleep(wait)
                yield chunk
