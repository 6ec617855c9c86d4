"""A translated answer in the background: its client is told its id at once, and asks for it later.

https://developers.openai.com/api/docs/guides/background. response_routes.py then gives it from the
recording. The call goes on in the task of the client's request, so that it counts among the
requests that run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from ...core.client.async_stream import AsyncStream
from ..asgi import Send
from ..metrics import CallMeter
from .headers import own_headers
from .translating import Translating
from .translation import Translation

__all__ = ["InBackground"]

# Seconds between two looks whether the request is recorded, which takes about as long.
_LOOK = 0.002


class InBackground(Translating):
    """translation: of a request for a whole answer. is_kept: whether a session can be read again.

    The client's leaving does not end it.
    """

    def __init__(
        self,
        stream: AsyncStream,
        dialect: str | None,
        send: Send,
        meter: CallMeter,
        translation: Translation,
        *,
        is_kept: Callable[[str | None], Awaitable[bool]],
    ) -> None:
        super().__init__(stream, dialect, self._hold, meter, translation)
        self._is_kept = is_kept
        self._to_client = send
        self._held: list[dict[str, Any]] = []

    async def run(self) -> None:
        """Tell that the answer has begun, and read it to its end.

        If it cannot be asked for later, it is told itself: it failed before it was recorded, or
        it is a recorded one.
        """
        running = asyncio.create_task(super().run())
        try:
            while self.stream.call is None and not running.done():
                await asyncio.wait((running,), timeout=_LOOK)
            later = self.stream.call is not None and await self._is_kept(self.stream.session)
            if later:
                with suppress(OSError):  # the client has left
                    await self._tell_begun()
            await running
            with suppress(OSError):
                for message in () if later else self._held:
                    await self._to_client(message)
        finally:
            running.cancel()

    async def _tell_begun(self) -> None:
        stream = self.stream
        self._translation.recorded_as(stream.session, stream.call)
        body = self._translation.begun()
        told = {"content-type": "application/json", "content-length": str(len(body))}
        headers = [(name.encode(), value.encode()) for name, value in told.items()]
        headers += own_headers(session=stream.session, call=str(stream.call))
        start = {"type": "http.response.start", "status": 200, "headers": headers}
        await self._to_client(start)
        await self._to_client({"type": "http.response.body", "body": body})

    async def _hold(self, message: Any) -> None:
        self._held.append(message)
