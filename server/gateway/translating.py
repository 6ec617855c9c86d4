"""An answer of an upstream that speaks another dialect than the client.

What the upstream sends is recorded as it is, and its chunks are written in the client's dialect.
An error before the answer has a status; a later one is the stream's last event. Behind it the
connection is cut, unless it is the provider's own word or the answer was stopped on purpose. While
nothing comes, a stream has a heartbeat where the dialect knows one: the upstream's are not passed.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from ...core.client.async_stream import AsyncStream
from ...core.errors import ProviderError, VesselogError
from ..asgi import Send
from ..metrics import CallMeter
from ..protocols.problem import problem_of
from .answering import Answering
from .translation import Translation

__all__ = ["Translating"]

# Seconds of silence before a heartbeat. Proxies close connections that are silent for 30 to 60.
_HEARTBEAT = 15.0


class Translating(Answering):
    """translation: of the client's request, and of the answer to it."""

    def __init__(
        self,
        stream: AsyncStream,
        dialect: str | None,
        send: Send,
        meter: CallMeter,
        translation: Translation,
    ) -> None:
        super().__init__(stream, dialect, send, meter)
        self._translation = translation
        self._writing = asyncio.Lock()
        self._written = 0
        self._beats = translation.stream and bool(translation.heartbeat)

    async def run(self) -> None:
        """Send all of it."""
        beating = asyncio.create_task(self._beat())
        try:
            await super().run()
        finally:
            beating.cancel()

    async def _answer(self) -> None:
        stream, translation = self.stream, self._translation
        await stream.open()
        translation.recorded_as(stream.session, stream.call)
        async for chunk in stream:
            chunks = (chunk, *stream.ready())
            data = b"".join(map(translation.write, chunks)) if translation.stream else b""
            self._meter.read(len(chunks), len(data))
            if data:
                await self._write(data)

    async def _end(self, error: Exception | None) -> None:
        stream, translation = self.stream, self._translation
        self._beats = False
        async with self._writing:  # a heartbeat may be on its way
            pass
        if error is None and self._cancelled:
            await self._tell(self._stopped, events=True)
        elif error is None and translation.stream:
            await self._write(translation.end(stream.completion), more=False)
        elif error is None:
            body = translation.whole(stream.completion)
            await self._respond(200, _json_headers(body), body)
        elif not isinstance(error, VesselogError):
            await self._tell(
                problem_of(error, session=stream.session, call=stream.call), events=True
            )
        elif not self._started:
            await self._respond(*translation.error(error))
        else:
            ends = isinstance(error, ProviderError)
            await self._body(translation.error_event(error), more=not ends)

    async def _write(self, data: bytes, *, more: bool = True) -> None:
        self._written += 1
        async with self._writing:
            if not self._started:
                kind = self._translation.content_type.encode()
                await self._start(200, [(b"content-type", kind)])
            await self._body(data, more=more)

    def _is_silent_since(self, written: int) -> bool:
        return self._beats and self._written == written and not self.left

    async def _beat(self) -> None:
        """Send a heartbeat for each period in which nothing else was sent."""
        with suppress(OSError):  # the client has left, which whoever writes the answer finds too
            while self._beats:
                before = self._written
                await asyncio.sleep(_HEARTBEAT)
                if self._is_silent_since(before):
                    await self._write(self._translation.heartbeat)


def _json_headers(body: bytes) -> dict[str, str]:
    return {"content-type": "application/json", "content-length": str(len(body))}
