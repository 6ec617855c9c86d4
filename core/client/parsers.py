"""One HTTP/1.1 exchange: its request as bytes, and bytes as its response.

h11 writes the request. It reads the response too, or llhttp does (the parser of Node, by
httptools), which takes a small part of the time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import h11
import httpx

__all__ = ["H11Parser", "Head", "LlhttpParser", "Parser"]

# Bytes of a response's head, or of the fields behind its body; httpcore allows as many.
_HEAD_BYTES = 100 * 1024


class Head(NamedTuple):
    """How a response begins. version: "1.1" or "1.0". fields: its header fields as sent."""

    version: str
    status: int
    reason: bytes
    fields: list[tuple[bytes, bytes]]

    def response(
        self, body: httpx.SyncByteStream | httpx.AsyncByteStream, **extensions: object
    ) -> httpx.Response:
        """As httpx has it."""
        return httpx.Response(
            status_code=self.status,
            headers=self.fields,
            stream=body,
            extensions={
                "http_version": b"HTTP/" + self.version.encode("ascii"),
                "reason_phrase": self.reason,
                **extensions,
            },
        )


class Parser(ABC):
    """One exchange.

    head, body: fill as the response is fed; who takes parts of the body clears them. complete: the
    response is there to its end.
    """

    def __init__(self) -> None:
        self.head: Head | None = None
        self.body: list[bytes] = []
        self.complete = False
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD_BYTES)

    @property
    @abstractmethod
    def reusable(self) -> bool:
        """Whether the connection may carry another exchange after this one."""

    @abstractmethod
    def feed(self, data: bytes) -> None:
        """Bytes have come. Raises httpx.RemoteProtocolError."""

    @abstractmethod
    def end(self) -> None:
        """No more come. Raises httpx.RemoteProtocolError if the response is not whole."""

    def request(self, request: httpx.Request) -> bytes:
        """The request's head. Raises httpx.LocalProtocolError."""
        try:
            event = h11.Request(
                method=request.method, target=request.url.raw_path, headers=request.headers.raw
            )
        except h11.LocalProtocolError as error:
            raise httpx.LocalProtocolError(str(error)) from error
        return self._send(event)

    def part(self, data: bytes) -> bytes:
        """A part of the request's body. Raises httpx.LocalProtocolError."""
        return self._send(h11.Data(data=data))

    def last(self) -> bytes:
        """What ends the request's body. Raises httpx.LocalProtocolError."""
        return self._send(h11.EndOfMessage())

    def _send(self, event: h11.Request | h11.Data | h11.EndOfMessage) -> bytes:
        try:
            return self._http.send(event) or b""
        except h11.LocalProtocolError as error:
            raise httpx.LocalProtocolError(str(error)) from error


class H11Parser(Parser):
    """The response by h11."""

    @property
    def reusable(self) -> bool:
        """Whether both sides are done, and nothing came behind."""
        http = self._http
        done = http.our_state is h11.DONE and http.their_state is h11.DONE
        return done and http.trailing_data == (b"", False)

    def feed(self, data: bytes) -> None:
        """Read on."""
        http = self._http
        try:
            http.receive_data(data)
            while not self.complete:
                event = http.next_event()
                if isinstance(event, h11.Data):
                    self.body.append(bytes(event.data))
                elif isinstance(event, h11.Response):
                    self._begin(event)
                elif isinstance(event, h11.EndOfMessage):
                    self.complete = True
                elif not isinstance(event, h11.InformationalResponse):
                    break
        except h11.RemoteProtocolError as error:
            raise httpx.RemoteProtocolError(str(error)) from error
        if http.their_state is h11.SWITCHED_PROTOCOL:
            raise _unasked()

    def end(self) -> None:
        """The server has closed."""
        if not self.complete:
            self.feed(b"")
        if not self.complete:  # nothing was asked yet, so to h11 nothing is missing
            raise _nothing()

    def _begin(self, event: h11.Response) -> None:
        version, fields = event.http_version.decode("ascii"), event.headers.raw_items()
        self.head = Head(version, event.status_code, event.reason, fields)


class LlhttpParser(Parser):
    """The response by llhttp, but not to HEAD: it would wait for the body. Needs httptools.

    As lenient as h11: a bare LF ends a line (RFC 9112, 2.2), a field may go on in the next line
    (5.2), spaces may stand behind the size of a chunk, and of a chunked body the length does not
    count (6.3). As strict: no NUL in a field, no transfer coding but chunked, which is all that was
    asked for, and no other protocol. Stricter: the length is given once.
    """

    def __init__(self) -> None:
        import httptools  # noqa: PLC0415 - an extra

        super().__init__()
        # What it calls for each part of the body; no function of Python's own stands between.
        self.on_body = self.body.append
        self._reason = b""
        self._fields: list[tuple[bytes, bytes]] = []
        self._barren = 0
        self._framed = False
        self._keeps = False
        self._failed = httptools.HttpParserError, httptools.HttpParserUpgrade
        self._parser = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(
            lenient_chunked_length=True,
            lenient_headers=True,
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
        )

    @property
    def reusable(self) -> bool:
        """Whether both sides are done, and nothing came behind."""
        return self._keeps and self._http.our_state is h11.DONE

    def feed(self, data: bytes) -> None:
        """Read on."""
        if self.complete:
            self._keeps = False
            return
        parts = len(self.body)
        try:
            self._parser.feed_data(data)
        except self._failed as error:
            self._keeps = False
            if not self.complete:
                raise httpx.RemoteProtocolError(str(error)) from error
        # It keeps no more of what it reads than one field's name and value: they may be endless.
        self._barren = self._barren + len(data) if len(self.body) == parts else 0
        if self._barren > _HEAD_BYTES:
            raise httpx.RemoteProtocolError("the response's header fields are too long")

    def end(self) -> None:
        """The server has closed."""
        if self.head is None:
            raise _nothing()
        if self._framed and not self.complete:
            raise httpx.RemoteProtocolError("the server closed before the response was whole")
        self.complete = True

    # What httptools calls.

    def on_message_begin(self) -> None:
        """A response begins: the one that was asked for, or 1xx before it, or one behind it."""
        self._keeps = False  # another one, if there was one before

    def on_status(self, reason: bytes) -> None:
        """A part of the reason phrase."""
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head, or behind the body."""
        if b"\0" in value:
            raise httpx.RemoteProtocolError("a header field holds a NUL")
        self._fields.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """The head is there."""
        fields, self._fields = self._fields, []
        reason, self._reason = self._reason, b""
        status = self._parser.get_status_code()
        if status < 100 or status == 101:
            raise _unasked()
        if self.head is not None or status < 200:
            return
        framing = [
            (name.lower(), value.lower())
            for name, value in fields
            if name.lower() in {b"content-length", b"transfer-encoding"}
        ]
        codings = [value for name, value in framing if name == b"transfer-encoding"]
        if codings not in ([], [b"chunked"]):
            raise httpx.RemoteProtocolError("the body has a transfer coding other than chunked")
        self._framed = bool(framing)
        self.head = Head(self._parser.get_http_version(), status, reason, fields)

    def on_message_complete(self) -> None:
        """The response is there."""
        if self.head is not None and not self.complete:
            self.complete = True
            self._keeps = self._parser.should_keep_alive()


def _nothing() -> httpx.RemoteProtocolError:
    return httpx.RemoteProtocolError("the server closed before it answered")


def _unasked() -> httpx.RemoteProtocolError:
    return httpx.RemoteProtocolError("the status is none of HTTP, or changes to another protocol")
