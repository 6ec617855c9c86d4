"""httpx-aiohttp's transport, with what it leaves out. Needs the `fast` extra.

aiohttp counts the wait for a free connection, name lookup and connecting under one timeout, which
httpx-aiohttp takes from `pool`. Here there is no wait for a free connection (connection_limit.py
has it), and the rest is `connect`. No cookies are kept. A kept connection on which the server sent
something while nobody asked is closed instead of used: its bytes would be read as the next answer.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import aiohttp
import httpx
from aiohttp.client_proto import ResponseHandler
from httpx_aiohttp import AiohttpTransport

from ..settings import Limits
from .body import TURN_BYTES

if TYPE_CHECKING:
    from ssl import SSLContext

__all__ = ["FastTransport"]

_READ_BYTES = 64 * 1024


class FastTransport(AiohttpTransport):
    """For requests that go to their server directly, over HTTP/1.1."""

    def __init__(self, limits: Limits, ssl_context: SSLContext) -> None:
        kept = httpx.Limits(keepalive_expiry=limits.keepalive_expiry)
        super().__init__(verify=ssl_context, trust_env=False, limits=kept)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; the response's headers are there when this returns."""
        if cancellable := request.extensions.get("cancellable"):
            cancellable()
        connect = request.extensions.get("timeout", {}).get("connect")
        request.extensions["timeout"] = {"pool": connect}
        response = await super().handle_async_request(request)
        response.extensions["body"] = _BODY.get()
        return response

    def get_client(self) -> aiohttp.ClientSession:
        """The session, which belongs to the running event loop."""
        connector = _Connector(
            limit=0,
            keepalive_timeout=self.limits.keepalive_expiry,
            ssl=self.ssl_context,
            ttl_dns_cache=10,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            response_class=_Response,
            trust_env=False,
        )


class _Response(aiohttp.ClientResponse):
    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        """Read the headers, and leave the body for the task that sent the request."""
        protocol = connection.protocol  # let go already if the whole answer is there
        try:
            started = await super().start(connection)
        except BaseException:
            protocol.abort()  # aiohttp would first send what is left of the request
            raise
        _BODY.set(_Body(started.content, protocol))
        return started


class _Protocol(ResponseHandler):
    """A connection that tells the body which is being read when something has come."""

    body: _Body | None = None
    failure: BaseException | None = None
    used = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        # asyncio reads four times as much at once: chunks of one byte would take 50 ms then. The
        # transports of other event loops (uvloop) have sizes of their own.
        if hasattr(transport, "max_size"):
            cast("Any", transport).max_size = _READ_BYTES

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if data and self.body is not None:
            self.body.received()

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - aiohttp's
        """Resume a paused connection; aiohttp asks for that at each read."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self.failure = exc or EOFError()
        if self.body is not None:
            self.body.lost(self.failure)


class _Body:
    """The body as aiohttp reads it: httpx's own way to the same bytes passes four generators.

    The bytes are delivered within asyncio's call of `data_received`: waking a task for them would
    take another iteration of the event loop. aiohttp does not tell its reader that a body turned
    out to be no HTTP any more; the end of the connection does.
    """

    def __init__(self, content: aiohttp.StreamReader, protocol: Any) -> None:
        self._content = content
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._receive: Callable[[bytes], bool] | None = None
        self._stopped: asyncio.Future[bool] | None = None
        self._due = False  # the rest of what is there is delivered in the loop's next iteration
        if not content.is_eof():  # else the connection may be another request's by now
            protocol.body = self
            if protocol.failure is not None:
                self.lost(protocol.failure)

    async def deliver(self, receive: Callable[[bytes], bool]) -> bool:
        """Call `receive` with the bytes of each read until it returns False.

        Returns whether the body has ended. Raises what reading and `receive` raise.
        """
        self._receive = receive
        self._stopped = self._loop.create_future()
        try:
            self._go_on()
            return await self._stopped
        finally:  # a context, which may live as long as the connection, holds this object
            self._receive = self._stopped = None

    def received(self) -> None:
        """Something has come: bytes, the end, or a failure."""
        stopped = self._stopped
        if self._due or stopped is None or self._receive is None or stopped.done():
            return  # `_go_on` or `deliver` will look first at what is there
        try:
            data = self._content.read_nowait(TURN_BYTES)
            if data and not self._receive(data):
                ended = False
            elif len(data) == TURN_BYTES:
                self._due = True
                self._loop.call_soon(self._go_on)
                return
            elif self._content.is_eof():
                ended = True
            else:
                return
            if not stopped.done():  # the receiver may have had the task cancelled
                stopped.set_result(ended)
        except BaseException as failure:
            if not stopped.done():
                stopped.set_exception(failure)
            if not isinstance(failure, Exception):
                raise

    def _go_on(self) -> None:
        self._due = False
        self.received()

    def lost(self, failure: BaseException) -> None:
        """The connection has ended."""
        if not self._content.is_eof() and self._content.exception() is None:
            self._content.set_exception(
                aiohttp.ClientPayloadError("the connection was lost"), failure
            )
        self.received()

    def use_no_more(self) -> None:
        """The connection is not to be used again; it may be among the kept ones already."""
        self._protocol.force_close()

    async def aclose(self) -> None:
        """Read no more. The response is closed next.

        A connection that is left early is closed at once: aiohttp would wait for TLS's goodbye.
        """
        if self._protocol.body is self:
            self._protocol.body = None
        if not self._content.is_eof():
            self._protocol.abort()
        del self._content  # a context, as in `deliver`: a failure's traceback has the whole call


# Of the request that the present task sends.
_BODY: ContextVar[_Body] = ContextVar("vesselog_body")


class _Connector(aiohttp.TCPConnector):
    """Closes a kept connection on which something came; aiohttp itself would use it."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)  # pyright: ignore[reportUnknownMemberType] - aiohttp's
        self._factory = partial(_Protocol, loop=self._loop)  # type: ignore[assignment]

    async def connect(self, *args: Any, **kwargs: Any) -> aiohttp.connector.Connection:
        """A new connection, or a kept one that is silent."""
        while True:
            connection = await super().connect(*args, **kwargs)
            protocol: Any = connection.protocol
            if not protocol.used:
                protocol.used = True
                return connection
            if not (protocol.should_close or _is_readable(connection.transport)):
                return connection
            connection.close()


def _is_readable(transport: asyncio.Transport | None) -> bool:
    """Whether data, or the connection's end, has come and was not read yet."""
    socket = None if transport is None else transport.get_extra_info("socket")
    if socket is None or socket.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(0))
