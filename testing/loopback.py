"""Serves recorded answers on a port of this machine, or records those of the real servers there.

One server is enough for all tests of a process. Each test has addresses of its own in it, so that
what a test left running cannot take the answers of the next one.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import ExitStack, suppress
from functools import cache, cached_property
from typing import Any

from ..core.client.async_client import AsyncClient
from ..core.clock import SYSTEM_CLOCK
from ..core.registry import find_vessel, installed_vessels
from ..core.replay.pace import Speed, checked_speed
from ..core.settings import Retries
from ..vessels import (
    ConfigurationError,
    RecordingError,
    ReplayMissError,
    Vessel,
    VesselogError,
    WireRequest,
    dumps,
)
from .answers import TestAnswers

try:
    from ..server import Gateway, gateway_vessels, serve_in_thread
    from ..server.asgi import Application, Receive, Scope, Send
    from ..server.gateway.headers import request_headers
    from ..server.gateway.problems import problem_response
    from ..server.gateway.request import Asked, read_asked
    from ..server.gateway.upstreams import Upstreams
    from ..server.listings import listing
    from ..server.playback import Playback
    from ..server.protocols.problem import Problem
    from ..server.receiving import Received, read_body
except ImportError:
    raise ConfigurationError(
        "base URLs for tests need the server extra: pip install 'vesselog[server]'"
    ) from None

__all__ = ["GatewayApp", "LoopbackServer", "ReplayApp", "translating_vessels", "upstream_vessels"]

_NOWHERE = "https://{}.invalid"


@cache
def _vessels() -> dict[str, type[Vessel]]:
    return {name: find_vessel(name) for name in sorted(installed_vessels())}


def upstream_vessels(
    environment: Mapping[str, str], given: Mapping[str, Vessel]
) -> dict[str, Vessel]:
    """All installed vessels by name, configured; before them those that are given.

    One whose address is not configured gets one that does not exist: its recordings can be
    replayed.
    """
    found = {name: vessel.configured(environment) for name, vessel in given.items()}
    for name, kind in _vessels().items():
        if name in found:
            continue
        vessel = kind().configured(environment)
        try:
            Upstreams({name: vessel})
        except ConfigurationError:
            vessel = kind(base_url=_NOWHERE.format(name))
        found[name] = vessel
    return found


@cache
def _unconfigured() -> Upstreams:
    """All installed vessels, for what is not sent on: making them takes longer than a replay."""
    return Upstreams(upstream_vessels({}, {}))


@cache
def _elsewhere() -> dict[str, Vessel]:
    return {name: kind(base_url=_NOWHERE.format(name)) for name, kind in _vessels().items()}


def translating_vessels(given: Mapping[str, Vessel]) -> dict[str, Vessel]:
    """All installed vessels by name, or those that are given.

    Their base URLs are no provider's own, which may have a second dialect.
    """
    return {**_elsewhere(), **{name: vessel.configured({}) for name, vessel in given.items()}}


class LoopbackServer:
    """Serves applications, each below a path of its own. It starts with the first of them."""

    def __init__(self) -> None:
        self._apps: dict[str, Application] = {}
        self._running = ExitStack()
        self._root = ""

    def add(self, app: Application) -> str:
        """Serve an application; gives its base URL, for `remove`."""
        if not self._root:
            self._root = self._running.enter_context(serve_in_thread(self))
        name = secrets.token_hex(8)
        self._apps[name] = app
        return f"{self._root}/{name}"

    def remove(self, url: str) -> None:
        """Serve it no longer."""
        self._apps.pop(url.rpartition("/")[2], None)

    def close(self) -> None:
        """End the server."""
        self._running.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the application whose path it has."""
        _, name, rest = (
            scope["path"].split("/", 2) if scope["path"].count("/") > 1 else ("", "", "")
        )
        app = self._apps.get(name)
        if app is None:
            await _refuse(send, None, 404, "the test that this address belongs to is over")
            return
        raw: bytes = scope.get("raw_path") or scope["path"].encode()
        inner = {**scope, "path": f"/{rest}", "raw_path": raw[len(name) + 1 :]}
        await app(inner, receive, _Closing(send))


class _Closing:
    """Sends an answer whose connection is not used again: a client that is left open keeps none."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            headers = [*message.get("headers", ()), (b"connection", b"close")]
            message = {**message, "headers": headers}
        await self._send(message)


class GatewayApp:
    """A gateway to `vessels`, configured. It is made in the server's event loop.

    make_client: makes its client, whose settings it is given.
    """

    def __init__(
        self, vessels: Mapping[str, Vessel], make_client: Callable[..., AsyncClient]
    ) -> None:
        self._vessels = vessels
        self._make_client = make_client
        self._gateway: Gateway | None = None
        self._client: AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @cached_property
    def upstreams(self) -> Upstreams:
        """The vessels, as upstreams."""
        return Upstreams(self._vessels)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self._gateway is None:
            self._loop = asyncio.get_running_loop()
            # Programs try again themselves, and the environment points to this server.
            self._client = self._make_client(
                vessels=gateway_vessels(self._vessels, {}), retries=Retries(count=0), environment={}
            )
            self._gateway = Gateway(self._client, self._vessels, environment={})
        await self._gateway(scope, receive, send)

    def close(self) -> None:
        """End what runs, and close the connections."""
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()

    async def _close(self) -> None:
        if self._gateway is not None and self._client is not None:
            await self._gateway.stop()
            await self._client.aclose()


class ReplayApp:
    """Answers by recorded answers: with their exact bytes, or translated, as they were recorded.

    vessels: whose names begin the paths, by default all installed ones. translating: gets the
    requests in another dialect than was recorded; its client replays `answers`. missing: gets what
    was not recorded; without it that is a 404 that says what differs.
    """

    def __init__(
        self,
        answers: TestAnswers,
        vessels: Mapping[str, Vessel],
        translating: GatewayApp,
        speed: Speed,
        missing: Application | None = None,
    ) -> None:
        self._answers = answers
        self._upstreams = Upstreams(vessels) if vessels else _unconfigured()
        self._translating = translating
        self._speed = checked_speed(speed)
        self._missing = missing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        content = await read_body(receive)
        if content is None:
            return
        asked = read_asked(self._upstreams, scope, request_headers(scope["headers"]), content)
        request = _line(asked)
        find = self._answers.has if self._missing is None else self._answers.reserve
        if not find(request, streams=asked.streams):
            translated = self._translated(scope, content)
            if translated is not None and find(translated):
                await self._translating(scope, Received(content, receive), send)
                return
            if self._missing is not None:
                await self._missing(scope, Received(content, receive), send)
                return
        try:
            playback = Playback(
                self._answers.attempt(request, streams=asked.streams),
                speed=self._speed,
                longest_wait=float("inf"),
                clock=SYSTEM_CLOCK,
                sleep=asyncio.sleep,
            )
        except ReplayMissError as miss:
            if asked.method == "GET" and await self._listed(request, send):
                self._answers.misses.remove(miss.message)
                return
            await _refuse(send, asked.route.dialect, 404, miss.message)
            return
        except RecordingError as error:
            # As the connection that broke before any response: cut, without one.
            await _refuse(send, asked.route.dialect, 502, error.message)
            return
        await playback(scope, receive, send)

    def _translated(self, scope: Scope, content: bytes) -> dict[str, Any] | None:
        """The request line in the dialect of the vessel; None if it is in that dialect already."""
        headers = request_headers(scope["headers"])
        asked = read_asked(self._translating.upstreams, scope, headers, content)
        if asked.same_dialect:
            return None
        with suppress(VesselogError):
            return _recorded(asked.translated(), asked)
        return None

    async def _listed(self, request: Mapping[str, Any], send: Send) -> bool:
        found = listing("GET", str(request["url"]), self._answers.requests)
        if found is not None:
            await _send(send, 200, {"content-type": "application/json"}, dumps(found))
        return found is not None


def _line(asked: Asked) -> dict[str, Any]:
    """The request as the request line of a recording would have it."""
    vessel = asked.choice.upstream.vessel.name
    with suppress(VesselogError):
        return _recorded(asked.passed_on(), asked)
    return {"method": asked.method, "url": asked.path, "body": asked.body, "vessel": vessel}


def _recorded(request: WireRequest, asked: Asked) -> dict[str, Any]:
    vessel = asked.choice.upstream.vessel.name
    return {"method": request.method, "url": request.url, "body": request.body, "vessel": vessel}


async def _refuse(send: Send, dialect: str | None, status: int, message: str) -> None:
    headers, body = problem_response(dialect, Problem(status, "replay_miss", message))
    await _send(send, status, headers, body)


async def _send(send: Send, status: int, headers: Mapping[str, str], body: bytes) -> None:
    told = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": told})
    await send({"type": "http.response.body", "body": body})
