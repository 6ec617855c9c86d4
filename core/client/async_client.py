"""The async client: one per process, for the event loop that it is first used in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, Self, TypeVar, Unpack

from ..completion import Completion
from ..errors import ClientStateError
from ..replay.recorded_source import AsyncRecordedSource
from ..replay.replayed_answer import Replaying
from ..request import RequestFields
from ..settings import Timeouts
from ..truth.delete_recording import delete_recording
from ..truth.session_list import SessionSummary, list_sessions, next_sessions
from ..truth.session_pool import OpenSession
from ..vessel import ModelInfo
from .async_stream import AsyncStream, TaskSource
from .attempts import Attempts
from .client_state import ClientState, Messages
from .hand_over import TaskHandOver
from .plan import Planner
from .questions import ModelsQuestion, Question, VersionQuestion

__all__ = ["AsyncClient"]

_Reply = TypeVar("_Reply")


class AsyncClient(ClientState[AsyncStream]):
    """Asks models and streams their answers; each chunk is recorded before you get it.

    Make one for the process and close it by `async with`. It belongs to the event loop in which it
    is first used.
    """

    _loop: asyncio.AbstractEventLoop | None = None

    async def complete(
        self,
        model: str,
        messages: Messages = None,
        *,
        session: str | None = None,
        exclusive: bool = False,
        meta: Mapping[str, Any] | None = None,
        timeouts: Timeouts | None = None,
        headers: Mapping[str, str] | None = None,
        **fields: Unpack[RequestFields],
    ) -> Completion:
        """Ask a model for a whole answer. If the server streams it anyway, it is read to its end.

        It takes the arguments of `stream`, which explains them: model, messages, session,
        exclusive, meta, timeouts, headers and the fields of a request.

        Raises:
            UsageError: The request cannot be made; nothing was sent.
            VesselogError: The answer failed: ConnectionFailedError, StreamTimeoutError,
                ProviderError, TruncatedError, ProtocolError, RecordingError, ReplayMissError. The
                part that had arrived is the error's `completion`.
        """
        self._check_usable()
        plan = self._planner.chat(model, messages, {**fields, "stream": False}, headers)
        async with self._stream(plan, session, timeouts, exclusive=exclusive, meta=meta) as stream:
            async for _ in stream:
                pass
        self._check_complete(stream.outcome)
        return stream.completion

    async def models(self, vessel: str) -> list[ModelInfo]:
        """The models that a vessel's server offers. Not recorded.

        A client that replays returns the recorded list, or else the models of recorded requests.

        Args:
            vessel: The vessel's name, such as "ollama".

        Raises:
            ConfigurationError: The vessel is unknown, or has no such route.
            VesselogError: The request failed, or its answer cannot be read.
        """
        return await self._ask(ModelsQuestion, vessel)

    async def server_version(self, vessel: str) -> str:
        """The version of a vessel's server. Not recorded.

        A client that replays returns it if its recordings have it, from a call of `send`.

        Args:
            vessel: The vessel's name, such as "ollama".

        Raises:
            ConfigurationError: The vessel is unknown, or has no such route.
            VesselogError: The request failed, or its answer cannot be read.
        """
        return await self._ask(VersionQuestion, vessel)

    async def sessions(self) -> AsyncGenerator[SessionSummary]:
        """The sessions in the client's folder, the last written first. Files are read one by one.

        A session that cannot be read has an `error`. Files are read in a thread.

        Raises:
            RecordingError: The folder cannot be read.
            ConfigurationError: The client records nothing.
        """
        listed = await asyncio.to_thread(list_sessions, self._recordings())
        while sessions := await asyncio.to_thread(next_sessions, listed):
            for each in sessions:
                yield each

    async def delete(self, session: str) -> None:
        """Delete a session's file, and the `.torn` file that a repair after a crash left beside it.

        Args:
            session: The session's name.

        Raises:
            RecordingLockedError: The session is being written.
            SessionNameError: `session` cannot be a session's name.
            RecordingError: There is no such session, or it cannot be deleted.
        """
        await asyncio.to_thread(delete_recording, self._path_of(session))

    async def aclose(self) -> None:
        """Close the connections. Streams that still run are cancelled.

        With durability "interval" or "power", all that was written is synced when this returns.

        Raises:
            RecordingError: The end of a stream could not be recorded.
        """
        self._closed = True
        if self._replaying is not None:
            self._replaying.leave()
        await self._ending()()

    async def __aenter__(self) -> Self:
        self._usable_loop()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _replayed(
        self, replaying: Replaying, request: Mapping[str, Any], open_session: OpenSession | None
    ) -> AsyncStream:
        self._usable_loop()
        return AsyncStream(AsyncRecordedSource(replaying, request, open_session))

    def _driven(self, attempts: Attempts) -> AsyncStream:
        hand_over = TaskHandOver(self._usable_loop())
        return AsyncStream(TaskSource(self._driver(attempts, hand_over), hand_over))

    async def _ask(self, ask: Callable[[Planner, str], Question[_Reply]], vessel: str) -> _Reply:
        self._usable_loop()
        question = ask(self._planner, vessel)
        if self._replaying is not None:
            return await asyncio.to_thread(question.recorded, self._replaying.answers)
        async with self._asked(question.plan) as stream:
            data = [step.frame.data async for step in stream.frames()]
        return question.reply(data)

    def _usable_loop(self) -> asyncio.AbstractEventLoop:
        self._check_usable()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise ClientStateError(
                "an AsyncClient is used inside an event loop: asyncio.run(...)"
            ) from None
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise ClientStateError(
                "this AsyncClient belongs to another event loop: make one for each"
            )
        return loop
