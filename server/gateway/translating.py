"""An answer of an upstream that speaks another dialect than the client.

What the upstream sends is recorded as it is, and its chunks are written in the client's dialect.
An error before the answer has a status; a later one is the stream's last event. Behind it the
connection is cut, unless it is the provider's own word or the answer was stopped on purpose.
"""

from __future__ import annotations

from ...core.client.async_stream import AsyncStream
from ...core.errors import ProviderError, VesselogError
from ..asgi import Send
from ..metrics import CallMeter
from ..protocols.problem import problem_of
from .answering import Answering
from .translation import Translation

__all__ = ["Translating"]


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

    async def _answer(self) -> None:
        stream, translation = self.stream, self._translation
        await stream.open()
        translation.recorded_as(stream.session, stream.call)
        async for chunk in stream:
            chunks = (chunk, *stream.ready())
            data = b"".join(map(translation.write, chunks)) if translation.stream else b""
            self._meter.read(len(chunks), len(data))
            if data:
                await self._begin()
                await self._body(data)

    async def _end(self, error: Exception | None) -> None:
        stream, translation = self.stream, self._translation
        if error is None and self._cancelled:
            await self._tell(self._stopped, events=True)
        elif error is None and translation.stream:
            await self._begin()
            await self._body(translation.end(stream.completion), more=False)
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

    async def _begin(self) -> None:
        if not self._started:
            await self._start(200, [(b"content-type", self._translation.content_type.encode())])


def _json_headers(body: bytes) -> dict[str, str]:
    return {"content-type": "application/json", "content-length": str(len(body))}
