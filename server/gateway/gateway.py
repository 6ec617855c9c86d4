"""The gateway: programs in any language speak to it as to their model server.

Every answer is recorded before it is passed on. It is an ASGI application; Starlette routes what is
the gateway's own (`/sessions`), and everything else goes to an upstream.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from ...core.client.async_client import AsyncClient
from ...core.client.async_stream import AsyncStream
from ...core.clock import SYSTEM_CLOCK, timestamp
from ...core.errors import (
    ClientStateError,
    ConfigurationError,
    UnknownVesselError,
    VesselogError,
)
from ...core.jsontext import dumps
from ...core.settings import Timeouts, check_setting
from ...core.vessel import Vessel, WireRequest
from ..asgi import Receive, Scope, Send
from ..check_arguments import check_async_client, check_vessels
from ..metrics import CallMeter, Metrics
from ..protocols.problem import STOPPED, STOPPING, Problem
from ..receiving import read_body, until_left
from ..session_routes import sessions_app
from ..stopping import stop_all
from .answering import Answering
from .background import InBackground
from .headers import request_headers
from .own_answers import own_answer
from .passing import Passing
from .problems import explained_problem, invalid, problem_response
from .request import Asked, read_asked
from .response_ids import Place
from .response_routes import ResponseRoutes
from .sessions import meta_of, session_rule
from .translating import Translating
from .translation import Translation
from .upstreams import Upstreams, gateway_vessels

__all__ = ["Gateway"]

# An upstream that keeps its connection open behind the terminator of its dialect is read on for so
# many seconds: what follows belongs to the answer's exact bytes.
_DRAIN = 2.0
_OWN = re.compile(r"/sessions(?:/|\Z)")


class Gateway:
    """An ASGI application that passes requests to model servers, and records what they answer.

    `GET /sessions` lists the running calls, `POST /sessions/{id}/stop` ends them, and
    `GET /sessions/{id}` sends one again. When the application shuts down, running answers end with
    an error of their dialect, and the client is closed.

    Args:
        client: Sends and records the requests. Its `vessels` are `gateway_vessels(upstreams)`, and
            it should not retry, since programs do so themselves.
        upstreams: The model servers by name; the first one of a dialect is its default.
        session_from: Which requests share a session, "user" or "header:NAME"; by default each has
            its own, unless it names one in `x-vesselog-session`.
        timeouts: Deadlines of the calls, in seconds; fields left out keep the client's values, but
            for `drain`, which is 2.
        metrics: Where requests and answers are counted.
        environment: Where hosts and keys are looked up, in place of os.environ.

    Attributes:
        upstreams: Chooses the upstream of a request.

    Raises:
        ConfigurationError: A setting cannot be used, or the client lacks an upstream's vessel.
    """

    def __init__(
        self,
        client: AsyncClient,
        upstreams: Mapping[str, Vessel],
        *,
        session_from: str | None = None,
        timeouts: Timeouts | None = None,
        metrics: Metrics | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        check_async_client(client, "a Gateway")
        check_vessels(upstreams)
        given = os.environ if environment is None else environment
        self._client = client
        self.upstreams = Upstreams({n: each.configured(given) for n, each in upstreams.items()})
        self._session_of = session_rule(session_from)
        deadlines = check_setting("timeouts", timeouts, Timeouts)
        self._timeouts = deadlines.over(Timeouts(drain=_DRAIN))
        _check_vessels_of(client, gateway_vessels(upstreams, given))
        self._metrics = metrics or Metrics()
        self._running: dict[Answering, Mapping[str, Any]] = {}
        self._responses = ResponseRoutes(client, self._stop_call)
        self._stopping = False
        sessions = sessions_app(client, authorize=_everyone)
        self._app = Starlette(
            routes=[
                Route("/sessions", self._list),
                Route("/sessions/", self._list),
                Mount("/sessions", sessions),
            ],
            lifespan=self._lifespan,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope.get("path", "").removeprefix(scope.get("root_path", ""))
        if scope["type"] == "http" and not _OWN.match(path):
            # Not by Starlette, whose layers each message of an answer would pass through.
            await self._answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def running(self) -> list[dict[str, Any]]:
        """The calls that run now: session, call, upstream, method, path, model, and since when."""
        return [
            {"session": each.stream.session, "call": each.stream.call, **told}
            for each, told in self._running.items()
        ]

    async def stop(self, within: float = 5.0) -> None:
        """End what runs, each with an error of its dialect; refuse later requests with status 503.

        Args:
            within: Seconds to wait for slow clients.
        """
        self._stopping = True
        await stop_all(self._running, within)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        content = await read_body(receive)
        if content is None:
            return
        headers = request_headers(scope["headers"])
        asked = read_asked(self.upstreams, scope, headers, content)
        if (wrong := _unfit(asked)) is not None:
            await _refuse(asked, wrong, send)
            return
        known = await self._responses.answer(asked.method, asked.path, asked.query)
        if known is not None:
            await known(scope, receive, send)
            return
        if self._stopping:
            await _refuse(asked, STOPPING, send)
            return
        try:
            own = await own_answer(self._client, asked)
        except VesselogError as error:
            await _refuse(asked, _problem_before(error), send)
            return
        if isinstance(own, Problem):
            await _refuse(asked, own, send)
            return
        if own is not None:
            await Response(dumps(own), media_type="application/json")(scope, receive, send)
            return
        meter = self._metrics.begin(asked.choice.upstream.name, asked.route.dialect)
        answering: Answering | None = None
        try:
            answering = self._answering(asked, send, meter)
            await self._run(answering, asked, receive)
        except VesselogError as error:
            await _refuse(asked, _problem_before(error), send)
        finally:
            outcome = "error" if answering is None else answering.stream.outcome
            meter.end(outcome or "cancelled")

    async def _run(self, answering: Answering, asked: Asked, receive: Receive) -> None:
        self._running[answering] = _told(asked)
        watching = asyncio.create_task(_leave_with_client(receive, answering))
        if asked.background:  # which is not for the client alone, who may come back
            watching.cancel()
        try:
            await answering.run()
        finally:
            watching.cancel()
            del self._running[answering]
            await answering.close()

    async def _stop_call(self, place: Place) -> bool:
        """End one call with the error of a stop; whether it ran here."""
        for each in tuple(self._running):
            if (each.stream.session, each.stream.call) == place:
                await each.leave(STOPPED)
                return True
        return False

    def _answering(self, asked: Asked, send: Send, meter: CallMeter) -> Answering:
        """The answer, whose request is not sent yet. Raises VesselogError."""
        dialect = asked.route.form
        if not asked.same_dialect:
            translation = Translation(
                dialect or "", asked.path, asked.body, asked.choice.upstream.vessel
            )
            stream = self._send(asked, asked.choice.upstream.name, translation.request)
            if asked.background and not translation.stream:
                kept = self._responses.is_kept
                return InBackground(stream, dialect, send, meter, translation, is_kept=kept)
            return Translating(stream, dialect, send, meter, translation)
        return Passing(
            self._send(asked, asked.choice.upstream.vessel_name(asked.route), asked.passed_on()),
            dialect,
            send,
            meter,
            at_once=asked.streams or not asked.decoded,
            head=asked.method == "HEAD",
        )

    def _send(self, asked: Asked, vessel: str, request: WireRequest) -> AsyncStream:
        return self._client.send(
            vessel,
            request,
            session=self._session_of(asked.headers, asked.body or {}),
            meta=meta_of(asked.headers),
            timeouts=self._timeouts,
        )

    async def _list(self, _: Request) -> Response:
        headers = {"cache-control": "no-store"}
        return Response(dumps(self.running()), headers=headers, media_type="application/json")

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncGenerator[None]:
        yield
        await self.stop()
        await self._client.aclose()


def _check_vessels_of(client: AsyncClient, needed: Mapping[str, Vessel]) -> None:
    """Raise ConfigurationError unless the client has these vessels: by name, at the same server."""
    for name, vessel in needed.items():
        try:
            found = client._planner.vessel(name)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        except UnknownVesselError:
            found = None
        # An installed vessel of the same name would send its own key to the upstream.
        if found is None or (found.name, found.base_url) != (vessel.name, vessel.base_url):
            raise ConfigurationError(
                f"the client of a Gateway needs the vessel {name!r} of its upstreams: make it with "
                "AsyncClient(vessels=gateway_vessels(upstreams))",
                setting="client",
            )


def _everyone(_: Request, __: str) -> bool:
    return True  # who may use the gateway may use its sessions


async def _leave_with_client(receive: Receive, answering: Answering) -> None:
    await until_left(receive)
    await answering.leave()


def _unfit(asked: Asked) -> Problem | None:
    """What no upstream may get: a path that would change its address, and what shows its key."""
    if not asked.path.startswith("/"):  # "*@host" behind http://upstream is another host
        return invalid("the request's target has no path", 400, "invalid_path")
    if asked.method in {"CONNECT", "TRACE"}:
        return invalid(f"{asked.method} is not passed on", 405, "method_not_allowed")
    return None


async def _refuse(asked: Asked, problem: Problem, send: Send) -> None:
    headers, body = problem_response(asked.route.form, problem)
    told = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": problem.status, "headers": told})
    await send({"type": "http.response.body", "body": body})


def _problem_before(error: VesselogError) -> Problem:
    """What is told where nothing was sent to the upstream."""
    if isinstance(error, ClientStateError):
        return STOPPING
    if isinstance(error, ConfigurationError) and error.setting in {"headers", "meta"}:
        return invalid(error.message)
    return explained_problem(error, session=None, call=None)


def _told(asked: Asked) -> dict[str, Any]:
    return {
        "upstream": asked.choice.upstream.name,
        "method": asked.method,
        "path": asked.path,
        "model": (asked.body or {}).get("model", asked.route.model),
        "since": timestamp(SYSTEM_CLOCK.wall()),
    }
