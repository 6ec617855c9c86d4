"""One exchange on an HTTP/1.1 connection, whose response is handed over where it arrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import cast

import httpx

from .asyncio_stream import AsyncioStream, wake
from .bodies import READ_BYTES, Into
from .bridge import as_httpx
from .parsers import Head, Parser

__all__ = ["AsyncAnswer"]

# Bytes that may wait to be taken before the socket is left alone.
_ENOUGH = 64 * 1024


class AsyncAnswer(httpx.AsyncByteStream):
    """The exchange, then the response's body: poured, or read piece by piece.

    timeouts: seconds, under httpx's names. closed: called at the end, with whether the connection
    may carry another exchange.
    """

    def __init__(
        self,
        stream: AsyncioStream,
        parser: Parser,
        timeouts: Mapping[str, float | None],
        closed: Callable[[bool], Awaitable[None]],
    ) -> None:
        self._stream = stream
        self._parser = parser
        self._timeouts = timeouts
        self._closed: Callable[[bool], Awaitable[None]] | None = closed
        self._loop = asyncio.get_running_loop()
        self._sending = False
        self._error: Exception | None = None
        self._waiting = 0  # bytes that came since all of the body was taken
        self._news: asyncio.Future[None] | None = None
        self._into: Into | None = None
        self._poured: asyncio.Future[bool] | None = None

    async def send(self, request: httpx.Request) -> None:
        """Send the request. Raises httpx.WriteTimeout and LocalProtocolError.

        Not on a connection that has ended, or on which the server has spoken first: raises why.
        """
        if self._error is not None:
            raise self._error
        parser, timeout = self._parser, self._timeouts.get("write")
        head = parser.request(request)
        self._sending = True
        try:
            with as_httpx():
                async for part in cast("httpx.AsyncByteStream", request.stream):
                    await self._stream.write(head + parser.part(part), timeout)
                    head = b""
                await self._stream.write(head + parser.last(), timeout)
        except httpx.WriteError:
            pass  # a server may have answered already, and closed: then the answer tells why
        finally:
            self._sending = False

    async def head(self) -> Head:
        """Wait for the head of the response. Raises httpx's errors."""
        while self._parser.head is None:
            await self._wait()
        return self._parser.head

    async def pour(self, into: Into) -> bool:
        """Hand the body over as it arrives: what one read brings at once, or large pieces of it.

        Until it is whole, or `into` gives False for "no more now": the result tells which. `into`
        is called by the event loop itself; what it raises is raised here. Raises httpx's errors.
        """
        self._into, self._poured = into, self._loop.create_future()
        try:
            # By the loop, not by this task: then the taker's own can go on in the midst of it.
            self._loop.call_soon(self._hand_over)
            return await self._poured
        finally:
            self._into = None

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        while True:
            if self._parser.body:
                yield self._take()
            elif self._parser.complete:
                return
            else:
                await self._wait()

    async def aclose(self) -> None:
        """Whoever takes it has enough of it."""
        closed, self._closed = self._closed, None
        if closed is not None:
            await closed(self._parser.reusable)

    def data_came(self, data: bytes) -> None:
        """The connection has brought bytes."""
        if len(data) <= READ_BYTES:
            self._feed(data)
        else:
            for start in range(0, len(data), READ_BYTES):
                self._feed(data[start : start + READ_BYTES])

    def connection_ended(self, error: Exception | None) -> None:
        """The connection brings no more."""
        if error is not None:
            self._fail(httpx.ReadError(str(error)))
        else:
            try:
                self._parser.end()
            except httpx.RemoteProtocolError as truncated:
                self._fail(truncated)
        self._hand_over()

    def _feed(self, data: bytes) -> None:
        self._waiting += len(data)
        try:
            self._parser.feed(data)
        except httpx.RemoteProtocolError as error:
            self._fail(error)
        if self._sending and self._parser.complete:
            self._stream.abort()  # it takes no more, and has said why
        self._hand_over()

    def _fail(self, error: Exception) -> None:
        if self._error is None and not self._parser.complete:
            self._error = error

    def _hand_over(self) -> None:
        into, poured = self._into, self._poured
        if into is None or poured is None or poured.done():
            if self._waiting > _ENOUGH and self._parser.body:
                self._stream.pause()
            wake(self._news)
            return
        wanted, error = True, self._error
        try:
            while self._parser.body and wanted and not poured.done():
                wanted = into(self._take())
        except Exception as failure:  # noqa: BLE001 - raised where it pours
            wanted, error = True, failure
        if poured.done():
            return
        if not wanted:
            poured.set_result(False)
        elif error is not None:
            poured.set_exception(error)
        elif self._parser.complete:
            poured.set_result(True)

    def _take(self) -> bytes:
        body = self._parser.body
        count = size = 0
        while count < len(body) and size < READ_BYTES:
            size += len(body[count])
            count += 1
        taken = body[0] if count == 1 else b"".join(body[:count])
        del body[:count]
        if not body:
            self._waiting = 0
            self._stream.resume()
        return taken

    async def _wait(self) -> None:
        if self._error is not None:
            raise self._error
        self._news = self._loop.create_future()
        try:
            async with asyncio.timeout(self._timeouts.get("read")):
                await self._news
        except TimeoutError as error:
            raise httpx.ReadTimeout(str(error)) from error
        finally:
            self._news = None
