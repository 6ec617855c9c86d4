"""One answer on its way from the upstream to the client, in the same dialect: its exact bytes.

Each read of the upstream is recorded, then sent as one body message. A body that ended cleanly ends
cleanly here, whatever its content is worth. One that broke off does not: a stream of a known
dialect gets an error event of that dialect, and then the connection is cut, so that no client can
take a part for the whole. So is one that the dialect calls truncated where the upstream's HTTP
gives no end of the body to hold it to (neither a length nor chunks). Half a frame behind which the
connection broke is recorded and not sent.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from ...core.client.async_stream import AsyncStream
from ...core.errors import ProtocolError, ProviderError, TruncatedError, VesselogError
from ...core.exchange import Step
from ..asgi import Send
from ..protocols.problem import STOPPED, Problem
from .headers import answer_headers
from .problems import explained_problem, problem_event, problem_response

__all__ = ["Passing"]

_EVENTS = ("event-stream", "ndjson", "jsonl")


class Passing:
    """Sends what `stream` reads.

    left: the client has gone. stopped: why it was ended from here. over: nothing is sent any more.
    """

    def __init__(self, stream: AsyncStream, dialect: str | None, send: Send) -> None:
        self.stream = stream
        self.left = False
        self.stopped: Problem | None = None
        self.over = asyncio.Event()
        self._dialect = dialect
        self._send = send
        self._started = False

    async def run(self, *, at_once: bool, head: bool = False) -> None:
        """Send all of it. at_once: each read; else the body in one piece, with its length.

        head: it answers a HEAD request.
        """
        stream, error = self.stream, None
        whole: list[bytes] = []
        held = b""
        try:
            await stream.open()
            status = stream.status
            if status is not None and 200 <= status < 300:
                kind = stream.all_headers.get("content-type", "")
                at_once = not head and (at_once or any(each in kind for each in _EVENTS))
                if at_once:
                    await self._start(status)
            else:
                at_once = False
            while steps := await stream.read():
                if len(steps) == 1 and not held and not steps[0].partial:
                    data = steps[0].frame.raw
                else:
                    data, held = _joined(held, steps)
                if not at_once:
                    whole.append(data)
                elif data:
                    await self._send(_body(data))
        except VesselogError as failure:
            error = failure
        await self._finish(error, whole if not at_once else None, held, head=head)

    async def leave(self, stopped: Problem | None = None) -> None:
        """End the call: the client has left, or, with a reason, it was stopped from here."""
        self.left = stopped is None
        self.stopped = stopped
        await self._close_stream()

    async def close(self) -> None:
        """It is over, or was given up."""
        await self._close_stream()
        self.over.set()

    async def _close_stream(self) -> None:
        with suppress(VesselogError):  # it could not be recorded; who waits for it is told
            await self.stream.aclose()

    async def _finish(
        self, error: VesselogError | None, whole: list[bytes] | None, held: bytes, *, head: bool
    ) -> None:
        if self.left:
            return
        problem = self._problem(error)
        if problem is None and whole is None:
            await self._send(_body(held, more=False))
        elif problem is None:
            await self._send_whole(b"".join([*(whole or ()), held]), head=head)
        elif not self._started:
            await self._refuse(problem)
        else:
            await self._break_off(problem)

    def _problem(self, error: VesselogError | None) -> Problem | None:
        """What is to be told of an answer; None where its end passes on as it is."""
        stream = self.stream
        if error is None:
            return self.stopped or (STOPPED if stream.outcome == "cancelled" else None)
        if stream.status is not None and _ended_cleanly(error, stream.all_headers):
            return None
        return explained_problem(error, session=stream.session, call=stream.call)

    async def _start(self, status: int, *more: tuple[bytes, bytes]) -> None:
        self._started = True
        stream = self.stream
        call = None if stream.call is None else str(stream.call)
        headers = answer_headers(stream.all_headers, session=stream.session, call=call)
        await self._send(
            {"type": "http.response.start", "status": status, "headers": [*headers, *more]}
        )

    async def _send_whole(self, body: bytes, *, head: bool) -> None:
        status = self.stream.status or 500
        length: str = str(len(body))
        if head:
            length = self.stream.all_headers.get("content-length", length)
        sized = () if status in {204, 304} else ((b"content-length", length.encode()),)
        await self._start(status, *sized)
        await self._send(_body(body, more=False))

    async def _refuse(self, problem: Problem) -> None:
        headers, body = problem_response(self._dialect, problem)
        call = None if self.stream.call is None else str(self.stream.call)
        own = answer_headers(_NO_HEADERS, session=self.stream.session, call=call)
        told = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self._send(
            {"type": "http.response.start", "status": problem.status, "headers": told + own}
        )
        await self._send(_body(body, more=False))

    async def _break_off(self, problem: Problem) -> None:
        """Without its last message, ASGI servers cut the connection."""
        kind: str = self.stream.all_headers.get("content-type", "")
        event = problem_event(self._dialect, problem)
        streams = event is not None and any(each in kind for each in _EVENTS)
        if streams:
            await self._send(_body(event or b"", more=self.stopped is None))


class _NoHeaders(dict[str, str]):
    def multi_items(self) -> list[tuple[str, str]]:
        return []


_NO_HEADERS = _NoHeaders()


def _body(data: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


def _joined(held: bytes, steps: list[Step]) -> tuple[bytes, bytes]:
    """The bytes to send, and those of a last frame that has not ended."""
    raws = [held, *(step.frame.raw for step in steps)]
    last = raws.pop() if steps[-1].partial else b""
    return b"".join(raws), last


def _ended_cleanly(error: VesselogError, headers: Any) -> bool:
    """Whether the body came to the end that HTTP gives it, though the answer failed."""
    if isinstance(error, TruncatedError):
        return "content-length" in headers or "transfer-encoding" in headers
    if isinstance(error, ProtocolError):  # or its compression is damaged
        return headers.get("content-encoding", "identity") == "identity"
    return isinstance(error, ProviderError)
