"""The bodies of requests and responses, as they come and go."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import cast

import httpx

__all__ = ["PIECE_BYTES", "raw", "raw_async", "sliced"]

# A large request, with images, is sent in pieces of so many bytes: the write deadline is for each,
# and other streams have their turn.
PIECE_BYTES = 256 * 1024


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


def raw_async(response: httpx.Response) -> AsyncGenerator[bytes]:
    """The same for the async client."""
    stream = response.stream
    if not isinstance(stream, httpx.AsyncByteStream):
        raise TypeError("the http_client given is not an async one")
    body = aiter(stream)
    if isinstance(body, AsyncGenerator):
        return cast("AsyncGenerator[bytes]", body)
    return _generator(body)


async def _generator(body: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    async for data in body:
        yield data
