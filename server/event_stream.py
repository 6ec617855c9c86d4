"""An answer as a Starlette or FastAPI response.

This file is made of Starlette, an extra: `vesselog.server` imports it when it is asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Mapping
from typing import Literal

from starlette.background import BackgroundTask
from starlette.responses import Response

from ..core.chunk import StreamChunk
from ..core.client.async_stream import AsyncStream
from ..core.errors import ConfigurationError
from .answer_writer import RESPONSE_HEADERS
from .asgi import Receive, Scope, Send
from .check_arguments import check_headers, check_heartbeat, check_status, kind_of
from .delivery import Delivery
from .protocols import Protocol, ProtocolName, protocol_of
from .receiving import until_left

__all__ = ["EventStream"]

# The answers whose client has left and that go on: an event loop only holds its tasks weakly.
_DETACHED: set[asyncio.Task[None]] = set()


class EventStream(Response):
    """Sends an answer to a browser while it arrives: `return EventStream(client.stream(…))`.

    If the answer fails before anything was sent, the response has an error status; later, it ends
    with an error event. Both have a code, a fixed text, and an id that is logged with the error. If
    the browser reads slowly, the answer is read from the model as slowly.

    Args:
        stream: An AsyncStream that was not iterated yet; or a Follow, a Replay or any other async
            iterable of chunks. It is closed at the end.
        protocol: How it is written: a name, or a Protocol of your own. All protocols except "text"
            end every answer with a terminal event.
        heartbeat: After this many seconds of silence a comment is sent, which keeps the connection
            open; None for no comments.
        on_disconnect: What happens when a client leaves. "cancel": the request to the model is
            cancelled at once. "detach": the answer goes on in the background, recorded, until it
            ends or the client that asked for it is closed.
        status_code: The status of a response that does not fail at its beginning.
        headers: Further headers of the response.
        background: A task of Starlette's that is run after the response.
    """

    def __init__(
        self,
        stream: AsyncIterable[StreamChunk],
        protocol: ProtocolName | Protocol = "vesselog",
        *,
        heartbeat: float | None = 15.0,
        on_disconnect: Literal["cancel", "detach"] = "cancel",
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        """Make the response.

        Raises:
            ConfigurationError: A setting cannot be used.
        """
        if not hasattr(stream, "__aiter__"):
            raise ConfigurationError(
                f"an EventStream sends client.stream(…) of an AsyncClient, or other async chunks, "
                f"not {kind_of(stream)}",
                setting="stream",
            )
        if on_disconnect not in ("cancel", "detach"):
            raise ConfigurationError(
                f'no on_disconnect {on_disconnect!r}: choose "cancel" or "detach"',
                setting="on_disconnect",
            )
        check_heartbeat(heartbeat)
        check_headers(headers)
        check_status(status_code)
        self._stream = stream
        self._protocol = protocol_of(protocol)
        self._heartbeat = heartbeat
        self._detach = on_disconnect == "detach" and isinstance(stream, AsyncStream)
        self.status_code = status_code
        self.background = background
        self.init_headers({**self._protocol.headers, **RESPONSE_HEADERS, **(headers or {})})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        if _asks_for_none(scope, self._stream):
            await self._send_nothing(scope, send)
        else:
            await self._deliver(receive, send)
        if self.background is not None:
            await self.background()

    async def _deliver(self, receive: Receive, send: Send) -> None:
        delivery = Delivery(
            self._stream,
            self._protocol,
            send,
            status=self.status_code,
            headers=self.raw_headers,
            heartbeat=self._heartbeat,
            keeps_on=self._detach,
        )
        delivering = asyncio.create_task(delivery.run())
        leaving = asyncio.create_task(until_left(receive))
        try:
            await asyncio.wait({delivering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            delivery.left = not delivering.done()
            if delivery.left and self._detach:
                _DETACHED.add(delivering)
                delivering.add_done_callback(_DETACHED.discard)
                return
        finally:
            leaving.cancel()
            if delivering not in _DETACHED:
                delivering.cancel()  # nothing happens if it is done
                await asyncio.wait({delivering})
        if not delivering.cancelled():
            delivering.result()

    async def _send_nothing(self, scope: Scope, send: Send) -> None:
        if isinstance(self._stream, AsyncStream):
            await self._stream.aclose()
        status = self.status_code if scope["method"] == "HEAD" else 204
        start = {"status": status, "headers": self.raw_headers}
        await send({"type": "http.response.start", **start})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _asks_for_none(scope: Scope, stream: object) -> bool:
    """Whether there is nothing to send: a HEAD request, or an EventSource that reconnects.

    An EventSource asks again when a stream has ended, with the id of the last event, until it gets
    status 204. It must not have the model asked again.
    """
    if scope["method"] == "HEAD":
        return True
    last = dict(scope["headers"]).get(b"last-event-id", b"")
    if isinstance(stream, AsyncStream) and stream.call is None:
        return bool(last)
    position: str = last.decode("latin-1").partition(":")[2]
    return position == f"{getattr(stream, 'call', None)}:end"
