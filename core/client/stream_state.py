"""What every stream does with its steps, live or replayed: hands them out and adds them up."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from ..assembler import Assembler
from ..chunk import StreamChunk
from ..completion import Completion, Outcome
from ..errors import ClientStateError, VesselogError
from ..exchange import Step
from ..replay.replayed_answer import RecordedFacts
from ..response_headers import request_id_of
from ..vessel import Unpicklable
from .attempts import Attempts

__all__ = ["StreamState"]

_INSTEAD = {
    "entered": "call client.stream(…) again for another answer",
    "iterated": "to go on later, keep its iterator; what was handed out is in stream.completion",
}


class StreamState(Unpicklable):
    """Steps that are recorded and not yet handed out, and the sum of the chunks that were."""

    def __init__(self, facts: Attempts | RecordedFacts) -> None:
        self._facts = facts
        self._steps: deque[Step] = deque()
        self._chunks: deque[StreamChunk] = deque()
        self._assembler = Assembler()
        self._last: StreamChunk | None = None
        self._done: set[str] = set()
        self._opened = False
        self._raised = False
        self._cancelled = False

    @property
    def completion(self) -> Completion:
        """The answer as far as it was handed out."""
        return self._assembler.completion(
            outcome=self.outcome,
            metrics=self._facts.answer.metrics,
            session=self.session,
            call=self.call,
            vessel=self._facts.vessel,
            natives=self._facts.answer.natives if self.outcome else None,
            headers=self.headers,
        )

    @property
    def outcome(self) -> Outcome | None:
        """How the answer ended; None while it runs."""
        return self._facts.outcome

    @property
    def error(self) -> VesselogError | None:
        """What went wrong; None while nothing did."""
        return self._facts.error

    @property
    def headers(self) -> Mapping[str, str]:
        """The answer's headers that are kept (rate limits, ids), names in lower case.

        Empty before they arrived.
        """
        return self._facts.answer.headers

    @property
    def all_headers(self) -> Mapping[str, str]:
        """All headers of a live answer, an httpx.Headers. They are not recorded.

        Empty before they arrived, and for a recorded answer.
        """
        return self._facts.answer.all_headers

    @property
    def status(self) -> int | None:
        """The HTTP status of a live answer; None before it arrived."""
        return self._facts.answer.status

    @property
    def request_id(self) -> str | None:
        """The server's id for the request, to quote to its support; None if it sent none."""
        return request_id_of(self._facts.answer.headers)

    @property
    def session(self) -> str | None:
        """The name of the session that the stream is recorded in.

        None before the request is sent, and where nothing is recorded.
        """
        return self._facts.session

    @property
    def path(self) -> Path | None:
        """The recording's file; None where `session` is None."""
        return self._facts.path

    @property
    def call(self) -> int | None:
        """The call's number in its session, from 1; None where `session` is None."""
        return self._facts.call

    def ready(self) -> list[StreamChunk]:
        """The chunks that are there already, those of one network read or more. Never waits.

        They count as handed out: iteration goes on after them.
        """
        chunks: list[StreamChunk] = []
        while (chunk := self._take_chunk()) is not None:
            chunks.append(chunk)
        return chunks

    def _once(self, done: Literal["entered", "iterated"]) -> None:
        """Raise ClientStateError if this was done with the stream before."""
        if done in self._done:
            raise ClientStateError(f"a stream is {done} once: {_INSTEAD[done]}")
        self._done.add(done)

    def _hand_out_no_more(self) -> None:
        """A running stream was cancelled: what is there already is not handed out any more."""
        if self.outcome is None:
            self._cancelled = True

    def _take_chunk(self) -> StreamChunk | None:
        """The next chunk; None when more has to be read."""
        chunks = self._chunks
        while not chunks:
            if not self._steps:
                return None
            chunks.extend(self._steps.popleft().chunks)
        if self._cancelled:
            self._steps.clear()
            chunks.clear()
            return None
        self._last = chunk = chunks.popleft()
        self._assembler.add(chunk)
        return chunk

    def _take_step(self) -> Step | None:
        """The next frame with its chunks; None when more has to be read."""
        if self._cancelled:
            self._steps.clear()
        if not self._steps:
            return None
        step = self._steps.popleft()
        for chunk in step.chunks:
            self._assembler.add(chunk)
            self._last = chunk
        return step

    def _raise_at_the_end(self) -> None:
        """Raise what went wrong, once, with what had arrived."""
        error = self.error
        if error is None or self._raised:
            return
        self._raised = True
        error.completion = self.completion
        error.session, error.call = self.session, self.call
        error.seq = None if self._last is None else self._last.seq
        raise error

    def _raise_if_nothing_came(self) -> None:
        """Raise what went wrong before there was a chunk to hand out."""
        if not any(step.chunks for step in self._steps):
            self._raise_at_the_end()
