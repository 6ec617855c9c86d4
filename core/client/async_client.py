"""The async client: one per process, for the event loop that it is first used in."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import Self, Unpack

import httpx

from ..completion import Completion
from ..errors import ClientStateError, RecordingError
from ..request import RequestFields
from ..unpicklable import Unpicklable
from ..vessel import ModelInfo, WireRequest
from .async_live import AsyncLiveSource
from .async_stream import AsyncStream
from .common import ClientSettings, Common, Messages, check_given, question, read_answer
from .failures import classify
from .http import async_http_client
from .plan import Plan
from .replaying import AsyncRecordedSource
from .settings import Timeouts

__all__ = ["AsyncClient"]


class AsyncClient(Unpicklable):
    """Streams from model servers; each chunk is on disk before it is handed out.

    Make one for the process and close it by `async with`. It belongs to the event loop that it is
    first used in. `fast=True` has answers read by llhttp (the `fast` extra: less cost per chunk, no
    HTTP/2); `http2=True` speaks HTTP/2 over TLS (the `http2` extra). `http_client` is an
    httpx.AsyncClient of the caller's own. `ssl_context` says which certificates are trusted. The
    other settings are those of `ClientSettings`.
    """

    def __init__(
        self,
        *,
        http2: bool = False,
        fast: bool = False,
        http_client: httpx.AsyncClient | None = None,
        ssl_context: ssl.SSLContext | None = None,
        **settings: Unpack[ClientSettings],
    ) -> None:
        check_given(http_client, httpx.AsyncClient, http2=http2, fast=fast, ssl_context=ssl_context)
        self._common = Common(settings, http2=http2)
        self._own = http_client is None
        self._http = http_client or async_http_client(
            self._common.circumstances.limits, ssl_context, http2=http2, fast=fast
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running: set[AsyncLiveSource] = set()

    def stream(
        self,
        model: str,
        messages: Messages = None,
        *,
        session: str | None = None,
        timeouts: Timeouts | None = None,
        headers: Mapping[str, str] | None = None,
        **fields: Unpack[RequestFields],
    ) -> AsyncStream:
        """Ask `model` (an address, "vessel/model") for a streamed answer.

        Give `messages`, or `prompt=` for the generate and completions routes. The fields are those
        of ChatRequest. A named `session` collects many calls in one file. Raises UsageError before
        anything is sent; what goes wrong later is raised by the stream.
        """
        plan = self._common.chat(model, messages, {**fields, "stream": True}, headers)
        return self._stream(plan, session, timeouts)

    async def complete(
        self,
        model: str,
        messages: Messages = None,
        *,
        session: str | None = None,
        timeouts: Timeouts | None = None,
        headers: Mapping[str, str] | None = None,
        **fields: Unpack[RequestFields],
    ) -> Completion:
        """Ask for an answer in one piece.

        Takes what `stream` takes; also reads a stream if that comes.
        """
        plan = self._common.chat(model, messages, {**fields, "stream": False}, headers)
        async with self._stream(plan, session, timeouts) as stream:
            async for _ in stream:
                pass
        self._common.check_heard_out(stream.outcome)
        return stream.completion

    def send(
        self,
        vessel: str,
        request: WireRequest,
        *,
        session: str | None = None,
        timeouts: Timeouts | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncStream:
        """Send a prepared request, its body exactly as given.

        `AsyncStream.frames()` gives the answer's frames.
        """
        return self._stream(self._common.wire(vessel, request, headers), session, timeouts)

    async def models(self, vessel: str) -> list[ModelInfo]:
        """The models that a vessel's server offers. Not recorded."""
        self._check_loop()
        plan = self._common.models_plan(vessel)
        return read_answer(plan, *await self._ask(plan), plan.vessel.read_models)

    async def server_version(self, vessel: str) -> str:
        """The version of a vessel's server. Not recorded."""
        self._check_loop()
        plan = self._common.version_plan(vessel)
        return read_answer(plan, *await self._ask(plan), plan.vessel.read_version)

    async def aclose(self) -> None:
        """Close the connections. Streams that still run are cancelled.

        Raises RecordingError if that could not be recorded. At the levels "interval" and "power"
        what was written is on the medium when this returns.
        """
        self._common.closed = True
        running = tuple(self._running)
        failures: list[RecordingError] = []
        for source in running:
            try:
                source.leave()
            except RecordingError as failure:
                failures.append(failure)
        try:
            await asyncio.gather(*(source.finished() for source in running))
        finally:
            if self._own:
                await self._http.aclose()
        await self._common.ledger.flushed()
        if failures:
            raise failures[0]

    async def __aenter__(self) -> Self:
        self._check_loop()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _stream(self, plan: Plan, session: str | None, timeouts: Timeouts | None) -> AsyncStream:
        self._check_loop()
        enter = self._common.enter(session)
        if self._common.library is not None:
            return AsyncStream(AsyncRecordedSource(self._common.library, plan))
        return AsyncStream(
            AsyncLiveSource(
                plan,
                self._http,
                enter,
                self._common.given(timeouts),
                running=self._running,
            )
        )

    async def _ask(self, plan: Plan) -> tuple[int, bytes]:
        common = self._common.circumstances
        try:
            response = await self._http.send(question(self._http, plan), follow_redirects=False)
        except Exception as failure:
            error = classify(failure, plan.origin, common.timeouts, common.limits, answering=False)
            if error is None:
                raise
            raise error from None
        return response.status_code, response.content

    def _check_loop(self) -> None:
        self._common.check_usable()
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
