"""Clients of tests, whose answers come from one recording.

What they answer is also recorded again, to a folder that lives as long as the test: a stream has
its session and its path, and the client its sessions, as in the program itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..core.client.async_client import AsyncClient
from ..core.client.async_stream import AsyncStream
from ..core.client.client import Client
from ..core.client.plan import Plan
from ..core.client.stream import Stream
from ..core.settings import Timeouts
from .answers import TestAnswers

__all__ = ["AsyncReplayingClient", "AsyncTestClient", "ReplayingClient"]


class ReplayingClient(Client):
    """A client that is answered by `answers`.

    missing: sends what was not recorded; without it that is a ReplayMissError. folder: for what is
    recorded again.
    """

    def __init__(
        self, answers: TestAnswers, folder: Path, *, missing: Client | None = None, **settings: Any
    ) -> None:
        given: dict[str, Any] = {"recordings": folder, **settings, "replay": answers.path}
        super().__init__(**given)
        assert self._replaying is not None  # noqa: S101 - it was given a replay
        self._replaying.answers = answers
        self._answers = answers
        self._missing = missing

    def _stream(
        self,
        plan: Plan,
        session: str | None,
        timeouts: Timeouts | None,
        *,
        exclusive: bool = False,
        meta: Mapping[str, Any] | None = None,
    ) -> Stream:
        live = self._missing is not None and not self._answers.reserve(plan.record)
        stream = self._missing._stream if live and self._missing else super()._stream  # noqa: SLF001
        return stream(plan, session, timeouts, exclusive=exclusive, meta=meta)

    def close(self) -> None:
        """Close this client, and the one that sends what is missing."""
        super().close()
        if self._missing is not None:
            self._missing.close()


class AsyncTestClient(AsyncClient):
    """An async client that a test may leave open."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The event loop that it was first used in; None before."""
        return self._loop


class AsyncReplayingClient(AsyncTestClient):
    """An async client that is answered by `answers`, as ReplayingClient."""

    def __init__(
        self,
        answers: TestAnswers,
        folder: Path,
        *,
        missing: AsyncClient | None = None,
        **settings: Any,
    ) -> None:
        given: dict[str, Any] = {"recordings": folder, **settings, "replay": answers.path}
        super().__init__(**given)
        assert self._replaying is not None  # noqa: S101 - it was given a replay
        self._replaying.answers = answers
        self._answers = answers
        self._missing = missing

    def _stream(
        self,
        plan: Plan,
        session: str | None,
        timeouts: Timeouts | None,
        *,
        exclusive: bool = False,
        meta: Mapping[str, Any] | None = None,
    ) -> AsyncStream:
        live = self._missing is not None and not self._answers.reserve(plan.record)
        stream = self._missing._stream if live and self._missing else super()._stream  # noqa: SLF001
        return stream(plan, session, timeouts, exclusive=exclusive, meta=meta)

    async def aclose(self) -> None:
        """Close this client, and the one that sends what is missing."""
        await super().aclose()
        if self._missing is not None:
            await self._missing.aclose()
