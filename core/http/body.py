"""A response's body as the driver reads it, and how much of a body is handled at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from operator import attrgetter
from typing import Any

import httpx

__all__ = [
    "PART_BYTES",
    "SMALL_PART_BYTES",
    "TURN_BYTES",
    "HttpxBody",
    "free_connection",
    "has_bytes_behind",
    "part_size",
]

_LOGGER = logging.getLogger("vesselog")

# After these the event loop has a turn, though more is there: other streams have theirs. It is some
# seventy chunks. What is made of them is freed before the garbage collector begins to look at it.
TURN_BYTES = 24 * 1024
_PIECE = 100  # bytes that a piece counts for beside its own: a server may send chunks of one byte

# Bytes that are sent or decoded at once, and about as many lines: other streams have their time in
# between. Parts are not cut smaller than the last, whatever is in them.
PART_BYTES = 64 * 1024
_PART_LINES = 512
SMALL_PART_BYTES = 1024

# Of an ssl.SSLError: there is nothing to read yet.
_WANT_READ = 2


class HttpxBody:
    """The body of any async httpx response; httpx's `aiter_raw` would count and cut it again.

    A transport may give a body of its own, with the same methods, as the response's `body`
    extension.
    """

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._pieces: Any = aiter(response.stream)  # type: ignore[arg-type]

    async def deliver(self, receive: Callable[[bytes], bool]) -> bool:
        """Call `receive` with the bytes of each read until it returns False.

        Returns whether the body has ended. Raises what reading and `receive` raise.
        """
        delivered = 0
        async for data in self._pieces:
            if not receive(data):
                return False
            delivered += len(data) + _PIECE
            if delivered > TURN_BYTES:
                delivered = 0
                await asyncio.sleep(0)
        return True

    def use_no_more(self) -> None:
        """The connection is not to be used again, also where the body is read to its end.

        Nothing to do here: the driver reads no such body to its end, which closes the connection.
        """

    async def aclose(self) -> None:
        """Read no more. A connection with bytes behind the answer is closed."""
        network = self._response.extensions.get("network_stream")
        if network is not None and has_bytes_behind(self._response.stream, network):
            await network.aclose()
        close = getattr(self._pieces, "aclose", None)
        if close is not None:  # a generator, which is most often what it is
            await close()


def part_size(data: bytes) -> int:
    """How many of these bytes are decoded at once."""
    lines = data.count(b"\n") + data.count(b"\r")
    return min(PART_BYTES, max(SMALL_PART_BYTES, len(data) * _PART_LINES // max(lines, 1)))


async def free_connection(response: httpx.Response | None, body: HttpxBody | None) -> None:
    """Close a response, as far as there is one. What goes wrong then changes nothing any more."""
    try:
        if body is not None:
            await body.aclose()
        if response is not None:
            await response.aclose()
    except Exception as failure:  # noqa: BLE001 - of whatever transport
        _LOGGER.debug("closing a connection failed: %s", type(failure).__name__)


def has_bytes_behind(stream: object, network: Any) -> bool:
    """Whether something came behind the end of a body that was read from this network stream.

    httpcore 1.0 keeps it, and reads it as the next request's answer. It shows it in no public way:
    tests/faults/test_planted_bytes.py tells if these names change. What TLS has received but not
    given out is looked at too.
    """
    wrapped = getattr(stream, "_stream", stream)  # by httpx's client, or for the connection limit
    try:
        state = attrgetter("_httpcore_stream._stream._connection._h11_state")(wrapped)
    except AttributeError:
        return False
    return bool(state.trailing_data[0]) or _has_more(network.get_extra_info("ssl_object"))


def _has_more(tls: Any) -> bool:
    """Whether TLS has more to read, the end of the connection included; None is no TLS."""
    if tls is None:
        return False
    try:
        tls.read(1)
    except OSError as error:
        return error.errno != _WANT_READ
    return True
