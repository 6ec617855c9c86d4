"""An answer in the client's own dialect: the upstream's exact bytes.

Each read of the upstream is recorded, then sent as one body message. A body that ended cleanly ends
cleanly here, whatever its content is worth. One that broke off does not: a stream of a known
dialect gets an error event of that dialect, and then the connection is cut, so that no client can
take a part for the whole. So is one that the dialect calls truncated where the upstream's HTTP
gives no end of the body to hold it to (neither a length nor chunks), or where the body was
compressed. Half a frame behind which the connection broke is recorded and not sent.
"""

from __future__ import annotations

from typing import Any

from ...core.client.async_stream import AsyncStream
from ...core.errors import ProtocolError, ProviderError, TruncatedError
from ...core.exchange import Step
from ..asgi import Send
from ..metrics import CallMeter
from ..protocols.problem import Problem
from .answering import Answering, is_stream, succeeded
from .headers import answer_headers
from .problems import explained_problem

__all__ = ["Passing"]


class Passing(Answering):
    """at_once: each read is sent; else the body in one piece, with its length.

    head: it answers a HEAD request.
    """

    def __init__(
        self,
        stream: AsyncStream,
        dialect: str | None,
        send: Send,
        meter: CallMeter,
        *,
        at_once: bool,
        head: bool = False,
    ) -> None:
        super().__init__(stream, dialect, send, meter)
        self._at_once = at_once and not head
        self._head = head
        self._whole: list[bytes] = []
        self._held = b""

    async def _answer(self) -> None:
        stream, send, meter = self.stream, self._send, self._meter
        await stream.open()
        headers = stream.all_headers
        at_once = succeeded(stream.status) and (
            self._at_once or (is_stream(headers) and not self._head)
        )
        if at_once:
            await self._start(stream.status or 200, answer_headers(headers))
        while steps := await stream.read():
            if len(steps) == 1 and not self._held and not steps[0].partial:
                data = steps[0].frame.raw
                meter.read(len(steps[0].chunks), len(data))
            else:
                data, self._held = _joined(self._held, steps)
                meter.read(sum(len(step.chunks) for step in steps), len(data))
            if not at_once:
                self._whole.append(data)
            elif data:
                await send({"type": "http.response.body", "body": data, "more_body": True})

    async def _end(self, error: Exception | None) -> None:
        problem = self._problem(error)
        if problem is not None:
            await self._tell(problem, events=is_stream(self.stream.all_headers))
        elif self._started:
            await self._body(self._held, more=False)
        else:
            await self._send_whole(b"".join([*self._whole, self._held]))

    def _problem(self, error: Exception | None) -> Problem | None:
        """What is to be told of an answer; None where its end passes on as it is."""
        stream = self.stream
        if error is None and self._cancelled:
            return self._stopped
        if stream.status is not None and not 200 <= stream.status < 600:
            return Problem(502, "unreadable_answer", f"There is no HTTP status {stream.status}.")
        if error is None or (stream.status and _ended_cleanly(error, stream.all_headers)):
            return None
        return explained_problem(error, session=stream.session, call=stream.call)

    async def _send_whole(self, body: bytes) -> None:
        stream = self.stream
        length = str(len(body))
        if self._head:
            length = stream.all_headers.get("content-length", length)
        headers = answer_headers(stream.all_headers)
        if stream.status not in {204, 304}:
            headers.append((b"content-length", length.encode()))
        await self._start(stream.status or 500, headers)
        await self._body(body, more=False)


def _joined(held: bytes, steps: list[Step]) -> tuple[bytes, bytes]:
    """The bytes to send, and those of a last frame that has not ended."""
    raws = [held, *(step.frame.raw for step in steps)]
    last = raws.pop() if steps[-1].partial else b""
    return b"".join(raws), last


def _ended_cleanly(error: Exception, headers: Any) -> bool:
    """Whether the body came to the end that HTTP gives it, though the answer failed."""
    if isinstance(error, ProviderError):
        return True
    if headers.get("content-encoding", "identity") != "identity":  # which may be what broke off
        return False
    if isinstance(error, TruncatedError):
        return "content-length" in headers or "transfer-encoding" in headers
    return isinstance(error, ProtocolError)
