"""The sync client: one per process, shared by its threads."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Self, Unpack

import httpx

from ..completion import Completion
from ..request import RequestFields
from ..unpicklable import Unpicklable
from ..vessel import ModelInfo, WireRequest
from .common import ClientSettings, Common, Messages, check_given, question, read_answer
from .failures import classify
from .http import sync_http_client
from .live import LiveSource
from .outside import INSIDE
from .plan import Plan
from .replaying import RecordedSource
from .settings import Timeouts
from .stream import Stream

__all__ = ["Client"]


class Client(Unpicklable):
    """Streams from model servers; each chunk is on disk before it is handed out.

    Make one for the process and close it by `with`. Threads may share it. `fast=True` has answers
    read by llhttp (the `fast` extra: less cost per chunk). `http_client` is an httpx.Client of the
    caller's own: cancelling and deadlines then act at the next data. `ssl_context` says which
    certificates are trusted. The other settings are those of `ClientSettings`.
    """

    def __init__(
        self,
        *,
        fast: bool = False,
        http_client: httpx.Client | None = None,
        ssl_context: ssl.SSLContext | None = None,
        **settings: Unpack[ClientSettings],
    ) -> None:
        check_given(http_client, httpx.Client, fast=fast, ssl_context=ssl_context)
        self._common = Common(settings)
        self._own = http_client is None
        self._http = http_client or sync_http_client(
            self._common.circumstances.limits, ssl_context, fast=fast
        )
        self._running: set[LiveSource] = set()

    def stream(
        self,
        model: str,
        messages: Messages = None,
        *,
        session: str | None = None,
        timeouts: Timeouts | None = None,
        headers: Mapping[str, str] | None = None,
        **fields: Unpack[RequestFields],
    ) -> Stream:
        """Ask `model` (an address, "vessel/model") for a streamed answer.

        Give `messages`, or `prompt=` for the generate and completions routes. The fields are those
        of ChatRequest. A named `session` collects many calls in one file. Raises UsageError before
        anything is sent; what goes wrong later is raised by the stream.
        """
        plan = self._common.chat(model, messages, {**fields, "stream": True}, headers)
        return self._stream(plan, session, timeouts)

    def complete(
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
        with self._stream(plan, session, timeouts) as stream:
            for _ in stream:
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
    ) -> Stream:
        """Send a prepared request, its body exactly as given.

        `Stream.frames()` gives the answer's frames.
        """
        return self._stream(self._common.wire(vessel, request, headers), session, timeouts)

    def models(self, vessel: str) -> list[ModelInfo]:
        """The models that a vessel's server offers. Not recorded."""
        plan = self._common.models_plan(vessel)
        return read_answer(plan, *self._ask(plan), plan.vessel.read_models)

    def server_version(self, vessel: str) -> str:
        """The version of a vessel's server. Not recorded."""
        plan = self._common.version_plan(vessel)
        return read_answer(plan, *self._ask(plan), plan.vessel.read_version)

    def close(self) -> None:
        """Close the connections. Streams that still run are cancelled, in whatever thread.

        At the levels "interval" and "power" what was written is on the medium when this returns.
        """
        self._common.closed = True
        for source in tuple(self._running):
            source.cancel()
        if self._own:
            with INSIDE:
                self._http.close()
        self._common.ledger.flush()

    def __enter__(self) -> Self:
        self._common.check_usable()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _stream(self, plan: Plan, session: str | None, timeouts: Timeouts | None) -> Stream:
        enter = self._common.enter(session)
        if self._common.library is not None:
            return Stream(RecordedSource(self._common.library, plan))
        return Stream(
            LiveSource(
                plan,
                self._http,
                enter,
                self._common.given(timeouts),
                interruptible=self._own,
                running=self._running,
            )
        )

    def _ask(self, plan: Plan) -> tuple[int, bytes]:
        common = self._common.circumstances
        outer = sys.exception()
        try:
            with INSIDE:
                response = self._http.send(question(self._http, plan), follow_redirects=False)
        except Exception as failure:
            error = classify(
                failure,
                plan.origin,
                common.timeouts,
                common.limits,
                answering=False,
                outer=outer,
            )
            if error is None:
                raise
            raise error from None
        return response.status_code, response.content
