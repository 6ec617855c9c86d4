"""The bodies of requests and responses, as they come and go."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

import httpx

__all__ = ["PIECE_BYTES", "READ_BYTES", "Into", "Pour", "pouring", "raw", "sliced"]

Into = Callable[[bytes], bool]
"""Takes bytes as they arrive, and tells whether more is wanted now."""

Pour = Callable[[Into], Awaitable[bool]]
"""Hands a body to a taker until it is whole (True), or no more is wanted now (False).

May be called again then. What the taker raises is raised.
"""

# A large request, with images, is sent in pieces of so many bytes: the write deadline is for each,
# and other streams have their turn.
PIECE_BYTES = 256 * 1024

# Bytes of a response that are handed over at once: a caller has the first of them before the last
# are decoded.
READ_BYTES = 16 * 1024


async def sliced(content: bytes) -> AsyncGenerator[bytes]:
    """A large request's body, piece by piece."""
    for start in range(0, len(content), PIECE_BYTES):
        yield content[start : start + PIECE_BYTES]


def raw(response: httpx.Response) -> Iterator[bytes]:
    """A response's body as it comes; httpx would count and copy it again."""
    stream = response.stream
    if not isinstance(stream, httpx.SyncByteStream):
        raise TypeError("the http_client given is not a sync one")
    return iter(stream)


def pouring(response: httpx.Response) -> Pour:
    """The same for the async client, by the connection's own way if it has one."""
    own: Pour | None = response.extensions.get("pour")
    stream = response.stream
    if own is not None:
        return own
    if not isinstance(stream, httpx.AsyncByteStream):
        raise TypeError("the http_client given is not an async one")
    return _Drawn(stream).pour


class _Drawn:
    """A body that is asked for each piece."""

    def __init__(self, stream: httpx.AsyncByteStream) -> None:
        self._pieces = aiter(stream)

    async def pour(self, into: Into) -> bool:
        async for data in self._pieces:
            if not into(data):
                return False
        return True
