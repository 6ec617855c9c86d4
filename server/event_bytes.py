"""An answer as bytes, for sync frameworks: Flask, Django and others that stand on WSGI."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator

from ..core.chunk import StreamChunk
from ..core.client.stream import Stream
from .answer_writer import RESPONSE_HEADERS, AnswerWriter, error_response, ready_of
from .check_arguments import check_chunks
from .protocols import Protocol, ProtocolName, protocol_of
from .protocols.problem import STOPPED

__all__ = ["EventBytes"]


class EventBytes:
    """The body of a response, to be iterated once, with its `status` and `headers`.

    The request is sent, and the first chunks are waited for, when this object is made, so that an
    error before them has a status of its own. `close`, which WSGI servers call when a client has
    left, cancels the request to the model. There are no heartbeats.

    Args:
        stream: A Stream that was not iterated yet; or a Follow, a Replay or any other iterable of
            chunks.
        protocol: How it is written, as for EventStream.

    Raises:
        ConfigurationError: The protocol is unknown, or `stream` has no chunks.
    """

    def __init__(
        self, stream: Iterable[StreamChunk], protocol: ProtocolName | Protocol = "vesselog"
    ) -> None:
        check_chunks(stream)
        self._source = stream
        self._protocol = protocol_of(protocol)
        self._writer = AnswerWriter(stream, self._protocol)
        self.status = 200
        self.headers = {**self._protocol.headers, **RESPONSE_HEADERS}
        self._pieces = self._write()
        try:
            first = next(filter(None, self._pieces), b"")
        except Exception as error:  # noqa: BLE001 - whatever it is, the client is told and it is logged
            stopped = isinstance(error, ConnectionAbortedError)
            problem = STOPPED if stopped else self._writer.problem(error)
            told, first = error_response(self._protocol, problem)
            self.status, self.headers = problem.status, {**self.headers, **told}
        self._body = self._tell_errors(first)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._body)

    def close(self) -> None:
        """Stop: the request to the model is cancelled, if it still runs."""
        self._body.close()
        self._pieces.close()
        if isinstance(self._source, Stream):
            self._source.close()

    def _write(self) -> Generator[bytes]:
        source, ready = self._source, ready_of(self._source)
        for chunk in source:
            yield self._writer.chunks((chunk, *ready()))
        last = self._writer.end()
        if last is None:
            raise ConnectionAbortedError("the answer was stopped")
        yield last

    def _tell_errors(self, first: bytes) -> Generator[bytes]:
        yield first
        try:
            yield from filter(None, self._pieces)
        except ConnectionAbortedError:
            raise
        except Exception as error:
            last = self._writer.fail(self._writer.problem(error))
            if last is None:  # to raise is how WSGI cuts a connection
                raise
            yield last
