"""A response's body as the driver reads it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import httpx

__all__ = ["Body", "HttpxBody"]


class HttpxBody:
    """The body of any async httpx response; httpx's `aiter_raw` would count and cut it again.

    read: the next bytes, or `end`: None or b"". A transport may give a body of its own, with the
    same attributes, as the response's `body` extension.
    """

    end: bytes | None = None

    def __init__(self, response: httpx.Response) -> None:
        self._pieces: Any = aiter(response.stream)  # type: ignore[arg-type]
        self.read: Callable[[], Awaitable[bytes]] = partial(anext, self._pieces, None)

    def use_no_more(self) -> None:
        """The connection is not to be used again, also where the body is read to its end.

        Nothing to do here: the driver reads no such body to its end, which closes the connection.
        """

    async def aclose(self) -> None:
        """Read no more. The response is closed next."""
        close = getattr(self._pieces, "aclose", None)
        if close is not None:  # a generator, which is most often what it is
            await close()


Body = HttpxBody
