"""Sends one answer over ASGI: start, body, heartbeats and the terminal event."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Sequence
from contextlib import suppress

from ..core.chunk import StreamChunk
from ..core.follow.follow import Follow
from .answer_writer import AnswerWriter, error_response, ready_of
from .asgi import Send
from .paced import Paced
from .protocols import Problem, Protocol
from .protocols.problem import STOPPING
from .stop_elsewhere import stoppable

__all__ = ["Delivery"]

# Seconds that a server which stops waits for a slow client to take the terminal event.
_LAST_WORDS = 1.0

_Headers = Sequence[tuple[bytes, bytes]]


class Delivery:
    """One answer on its way to one client.

    The status is sent with the first bytes, so that an error before them has a status of its own;
    after `heartbeat` seconds of silence it is sent all the same, and at once for a Follow. left:
    the client has left, and nothing is sent any more. keeps_on: whether the answer is read to its
    end then.
    """

    def __init__(
        self,
        source: AsyncIterable[StreamChunk],
        protocol: Protocol,
        send: Send,
        *,
        status: int,
        headers: _Headers,
        heartbeat: float | None,
        keeps_on: bool,
    ) -> None:
        self._source = source
        self._protocol = protocol
        self._writer = AnswerWriter(source, protocol)
        self._send = send
        self._status = status
        self._headers = headers
        self._heartbeat = heartbeat
        self._keeps_on = keeps_on
        self._sending = asyncio.Lock()
        self._time = asyncio.get_running_loop().time
        self._sent = self._time()
        self._started = False
        self.left = False

    async def run(self) -> None:
        """Send all of it. If this is cancelled, the client is told unless it has left."""
        beating = asyncio.create_task(self._beat())
        try:
            if isinstance(self._source, Follow | Paced):  # an answer that has begun already
                await self._write(b"", empty=True)
            with stoppable(self._source):
                await self._send_chunks()
            await self._finish(self._writer.end())
        except asyncio.CancelledError:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WORDS):
                    await self._fail(STOPPING)
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the client is told and it is logged
            await self._fail(self._writer.problem(error))
        finally:
            beating.cancel()

    async def _send_chunks(self) -> None:
        source = self._source
        ready = ready_of(source)
        chunks = aiter(source)
        try:
            async for chunk in chunks:
                arrived = (chunk, *ready())
                if not self.left:
                    await self._write(self._writer.chunks(arrived))
                elif not self._keeps_on:
                    return
        finally:
            for held in (chunks, source):
                if (close := getattr(held, "aclose", None)) is not None:
                    await close()

    async def _finish(self, last: bytes | None) -> None:
        """Send the terminal event. Without one the body is left without its end, which cuts it."""
        await self._write(last or b"", more=last is None, empty=True)

    async def _fail(self, problem: Problem) -> None:
        if self._started:
            await self._finish(self._writer.fail(problem))
            return
        headers, body = error_response(self._protocol, problem)
        replaced = [(name.encode(), value.encode()) for name, value in headers.items()]
        kept = [pair for pair in self._headers if pair[0] not in dict(replaced)]
        self._status, self._headers = problem.status, [*kept, *replaced]
        await self._write(body, more=False)

    async def _write(self, data: bytes, *, more: bool = True, empty: bool = False) -> None:
        """Send these bytes, if there are any, and wait until the client takes them."""
        async with self._sending:
            if self.left or not (data or empty):
                return
            try:
                if not self._started:
                    self._started = True
                    start = {"status": self._status, "headers": list(self._headers)}
                    await self._send({"type": "http.response.start", **start})
                await self._send({"type": "http.response.body", "body": data, "more_body": more})
            except OSError:  # how servers of ASGI 2.4 tell it
                self.left = True
            self._sent = self._time()

    async def _beat(self) -> None:
        """Send a heartbeat whenever nothing was sent for that long."""
        while self._heartbeat is not None and not self.left:
            wait = self._sent + self._heartbeat - self._time()
            if wait > 0:
                await asyncio.sleep(wait)
            else:
                await self._write(self._protocol.heartbeat, empty=True)
