"""The bytes of one answer in a protocol; what async and sync responses share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..core.assembler import merge
from ..core.chunk import FinishReason, StreamChunk, Usage
from ..core.client.stream_state import StreamState
from ..core.completion import Outcome
from ..core.jsontext import dumps
from .protocols import Ending, Problem, Protocol
from .protocols.problem import problem_of

__all__ = ["RESPONSE_HEADERS", "AnswerWriter", "error_response", "ready_of"]

# No cache and no proxy may hold the answer back, or change it.
RESPONSE_HEADERS = {"cache-control": "no-cache, no-transform", "x-accel-buffering": "no"}


class AnswerWriter:
    """Writes what `source` gives: a stream, a Follow, a Replay, or any other iterable of chunks.

    Of these, `session`, `call`, `outcome` and `error` are read where they have them.
    """

    def __init__(self, source: Any, protocol: Protocol) -> None:
        self._source = source
        self._protocol = protocol
        self._begun = False
        self._finish_reason: FinishReason | None = None
        self._usage: Usage | None = None

    def chunks(self, chunks: Iterable[StreamChunk]) -> bytes:
        """These chunks."""
        written = [self._begin()]
        for chunk in chunks:
            if chunk.usage is not None:
                self._usage = merge(self._usage, chunk.usage)
            if chunk.finish_reason is not None and chunk.choice == 0:
                self._finish_reason = chunk.finish_reason
            written.append(self._protocol.chunk(chunk))
        return b"".join(written)

    def end(self) -> bytes | None:
        """The terminal event, after the last chunk; None if the protocol has to cut.

        Raises the answer's error.
        """
        if (error := self._fact("error")) is not None:
            raise error
        outcome: Outcome = self._fact("outcome") or "complete"
        ending = Ending(outcome, self._finish_reason, self._usage)
        begun = self._begin()
        if outcome == "complete":
            return begun + self._protocol.end(ending)
        last = self._protocol.stop(ending)
        return None if last is None else begun + last

    def fail(self, problem: Problem) -> bytes | None:
        """The terminal event of an answer that failed; None if the protocol has to cut."""
        begun, last = self._begin(), self._protocol.fail(problem)
        return None if last is None else begun + last

    def problem(self, error: Exception) -> Problem:
        """What the client is told of `error`, which is logged."""
        outcome, session, call = map(self._fact, ("outcome", "session", "call"))
        return problem_of(error, outcome=outcome, session=session, call=call)

    def _begin(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        return self._protocol.begin(self._fact("session"), self._fact("call"))

    def _fact(self, name: str) -> Any:
        return getattr(self._source, name, None)


def error_response(protocol: Protocol, problem: Problem) -> tuple[dict[str, str], bytes]:
    """Headers and body for a problem before anything was sent."""
    body = dumps(protocol.refuse(problem))
    headers = {"content-type": "application/json", "content-length": str(len(body))}
    if problem.retry_after is not None:
        headers["retry-after"] = str(math.ceil(problem.retry_after))
    return headers, body


def ready_of(source: object) -> Callable[[], Sequence[StreamChunk]]:
    """What gives the chunks that a stream has already: what came together goes out together."""
    return source.ready if isinstance(source, StreamState) else tuple[StreamChunk]
