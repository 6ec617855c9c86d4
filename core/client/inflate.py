"""Undoes a content encoding that was not asked for.

The client asks for `identity`. A server or gateway that compresses all the same is read, in pieces
of bounded size: a small body may expand to gigabytes. Other encodings than gzip and deflate are
refused.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from ..errors import ProtocolError

__all__ = ["Inflater"]

_PIECE = 256 * 1024


class Inflater:
    """Decompresses a gzip or deflate body.

    Raises ProtocolError for anything else and for bad data.
    """

    def __init__(self, encoding: str) -> None:
        if encoding.strip().lower() not in {"gzip", "x-gzip", "deflate"}:
            raise ProtocolError(
                f"the answer is encoded as {encoding!r} although identity was asked for",
                phase="body",
            )
        # 32: tell gzip and zlib apart by their header.
        self._inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """The decompressed bytes, in bounded pieces."""
        while data:
            try:
                piece = self._inflate.decompress(data, _PIECE)
            except zlib.error:
                raise ProtocolError("the compressed answer is damaged", phase="body") from None
            data = self._inflate.unconsumed_tail
            if piece:
                yield piece
