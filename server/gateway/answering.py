"""One answer on its way to one client; what passing on and translating have in common."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from ...core.client.async_stream import AsyncStream
from ...core.errors import VesselogError
from ..asgi import Send
from ..metrics import CallMeter
from ..protocols.problem import STOPPED, STOPPING, Problem
from .headers import own_headers
from .problems import problem_event, problem_response

__all__ = ["Answering", "is_stream", "succeeded"]


class Answering(ABC):
    """Sends what `stream` reads.

    meter: counts what is read. left: the client has gone. over: nothing is sent any more.
    """

    def __init__(
        self, stream: AsyncStream, dialect: str | None, send: Send, meter: CallMeter
    ) -> None:
        self.stream = stream
        self.left = False
        self.over = asyncio.Event()
        self._stopped = STOPPED
        self._dialect = dialect
        self._send = send
        self._meter = meter
        self._started = False

    async def run(self) -> None:
        """Send all of it."""
        error: Exception | None = None
        try:
            await self._answer()
        except OSError:  # how servers of ASGI 2.4 tell that the client has left
            self.left = True
        except Exception as failure:  # noqa: BLE001 - whatever it is, the client is told and it is logged
            error = failure
        if not self.left:
            with suppress(OSError):  # as above
                await self._end(error)

    async def leave(self, stopped: Problem | None = None) -> None:
        """End the call: the client has left, or it is stopped from here for the reason given."""
        if stopped is None:
            self.left = True
        else:
            self._stopped = stopped
        await self._close_stream()

    async def stop(self) -> None:
        """End it, since the server stops."""
        await self.leave(STOPPING)

    async def close(self) -> None:
        """It is over, or was given up."""
        await self._close_stream()
        self.over.set()

    @abstractmethod
    async def _answer(self) -> None:
        """Send the answer up to its end. Raises what went wrong."""

    @abstractmethod
    async def _end(self, error: Exception | None) -> None:
        """Send the end, or what is told of the error."""

    @property
    def _cancelled(self) -> bool:
        return self.stream.outcome == "cancelled"

    async def _start(self, status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
        self._started = True
        stream = self.stream
        call = None if stream.call is None else str(stream.call)
        own = own_headers(session=stream.session, call=call)
        start = {"status": status, "headers": [*headers, *own]}
        await self._send({"type": "http.response.start", **start})

    async def _body(self, data: bytes, *, more: bool = True) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": more})

    async def _respond(self, status: int, headers: dict[str, str], body: bytes) -> None:
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self._start(status, raw)
        await self._body(body, more=False)

    async def _tell(self, problem: Problem, *, events: bool) -> None:
        """Tell of a problem: by a status, or by the last event of a stream that has begun.

        events: the body is a stream of the dialect. Any other is cut: without its last message,
        ASGI servers close the connection. So is a stream that was not stopped on purpose, behind
        its last event.
        """
        if not self._started:
            await self._respond(problem.status, *problem_response(self._dialect, problem))
        elif events and (event := problem_event(self._dialect, problem)) is not None:
            await self._body(event, more=not self._cancelled)

    async def _close_stream(self) -> None:
        with suppress(VesselogError):  # it could not be recorded; who waits for it is told
            await self.stream.aclose()


def succeeded(status: int | None) -> bool:
    """Whether it is a status of success."""
    return status is not None and 200 <= status < 300


def is_stream(headers: Any) -> bool:
    """Whether a body with these headers is events or lines."""
    kind: str = headers.get("content-type", "")
    return any(each in kind for each in ("event-stream", "ndjson", "jsonl"))
