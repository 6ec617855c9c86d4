"""What a protocol of this room is: how one answer is written to a client.

A protocol has no I/O. Every answer ends with a terminal event, by which a client tells a whole
answer from a part: that of `end`, `stop` or `fail`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ...core.chunk import FinishReason, StreamChunk, Usage
from ...core.completion import Outcome
from ...core.errors import SessionNameError
from ...core.jsontext import dumps
from ...core.truth.session_names import check_session_name
from .problem import STOPPED, Problem

__all__ = ["Ending", "EventProtocol", "Protocol"]


@dataclass(frozen=True, slots=True)
class Ending:
    """How an answer ended without an error: its outcome, and what its chunks told."""

    outcome: Outcome
    finish_reason: FinishReason | None = None
    usage: Usage | None = None


class Protocol(ABC):
    """Writes one answer: `begin` once, `chunk` for each chunk, then `end`, `stop` or `fail` once.

    headers: of the response. heartbeat: what is sent after some seconds of silence; clients ignore
    it. It is empty where the protocol has no such thing.
    """

    headers: ClassVar[Mapping[str, str]]
    heartbeat: ClassVar[bytes] = b""

    session: str | None = None
    call: int | None = None

    def begin(self, session: str | None, call: int | None) -> bytes:
        """What comes before the first chunk. session, call: where the answer is recorded."""
        self.session, self.call = session, call
        return b""

    @abstractmethod
    def chunk(self, chunk: StreamChunk) -> bytes:
        """The chunk; nothing if the protocol cannot express it."""

    @abstractmethod
    def end(self, ending: Ending) -> bytes:
        """The answer is complete."""

    def stop(self, ending: Ending) -> bytes | None:  # noqa: ARG002 - for subclasses
        """The answer was cancelled. None as in `fail`."""
        return self.fail(STOPPED)

    @abstractmethod
    def fail(self, problem: Problem) -> bytes | None:
        """The answer failed after its beginning was sent.

        None if the protocol cannot say so; the connection is then cut, so that no client takes the
        part for the whole.
        """

    def refuse(self, problem: Problem) -> dict[str, Any]:
        """The JSON body of an error status, if the answer failed before anything was sent."""
        return {"error": problem.to_dict()}


class EventProtocol(Protocol):
    """A protocol of server-sent events, https://html.spec.whatwg.org/multipage/server-sent-events.html.

    The last event of each chunk has the id `<session>:<call>:<seq>`, and the terminal event
    `<session>:<call>:end`; there are no ids if nothing is recorded. chunk_event: the `event` field
    of chunks.
    """

    headers: ClassVar[Mapping[str, str]] = {"content-type": "text/event-stream"}
    # A comment without a blank line after it: with ids, that line would give an empty event in
    # httpx-sse, which the OpenAI SDK fails on.
    heartbeat: ClassVar[bytes] = b":\n"
    chunk_event: ClassVar[bytes] = b""

    _session = ""

    def begin(self, session: str | None, call: int | None) -> bytes:
        """Nothing is sent."""
        super().begin(session, call)
        if session is not None:
            try:
                self._session = check_session_name(session)
            except SessionNameError:  # of a file that another program wrote: no ids
                self._session = ""
        return b""

    @abstractmethod
    def payloads(self, chunk: StreamChunk) -> Sequence[Any]:
        """The JSON values of the events for this chunk."""

    def chunk(self, chunk: StreamChunk) -> bytes:
        """The chunk's events."""
        written = [self.event(each, self.chunk_event) for each in self.payloads(chunk)]
        if written and self._session:
            written.insert(-1, f"id: {self._session}:{chunk.call}:{chunk.seq}\n".encode())
        return b"".join(written)

    def last(self, payload: Any, name: bytes = b"") -> bytes:
        """The terminal event."""
        position = f"id: {self._session}:{self.call}:end\n".encode() if self._session else b""
        return position + self.event(payload, name)

    @staticmethod
    def event(payload: Any, name: bytes = b"") -> bytes:
        """An event. payload: a JSON value, or bytes that are sent as they are."""
        data = payload if isinstance(payload, bytes) else dumps(payload)
        field = b"event: %b\n" % name if name else b""
        return b"%bdata: %b\n\n" % (field, data)
