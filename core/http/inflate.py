"""Undoes a content encoding that was not asked for.

The client asks for `identity`. A server or gateway that compresses all the same is read, in pieces
of bounded size. A small body may expand to gigabytes: one that expands more than text does is
refused, as are other encodings than gzip and deflate.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from ..errors import ProtocolError, TruncatedError

__all__ = ["Inflater"]

_PIECE = 64 * 1024
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32

# Frames of a model's stream, which differ in a word, shrink to a tenth or a twentieth; a bomb to a
# thousandth. A small answer may be anything.
_LARGEST_RATIO = 100
_ALLOWANCE = 1024 * 1024


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
        self._inflate = zlib.decompressobj(wbits=_GZIP_OR_ZLIB)
        self._allowed = _ALLOWANCE
        self._begun = False

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """The decompressed bytes, in bounded pieces."""
        self._allowed += len(data) * _LARGEST_RATIO
        self._begun = self._begun or bool(data)
        piece = b""
        # A full piece may leave output behind although no input is left.
        while data or len(piece) == _PIECE:
            if self._inflate.eof:  # a gzip body may have several members, one behind the other
                self._inflate = zlib.decompressobj(wbits=_GZIP_OR_ZLIB)
            try:
                piece = self._inflate.decompress(data, _PIECE)
            except zlib.error:
                raise ProtocolError("the compressed answer is damaged", phase="body") from None
            self._allowed -= len(piece)
            if self._allowed < 0:
                raise ProtocolError(
                    f"the compressed answer expands more than {_LARGEST_RATIO} times", phase="body"
                )
            if piece:
                yield piece
            data = self._inflate.unused_data or self._inflate.unconsumed_tail

    def cut_off(self) -> TruncatedError | None:
        """The error of a body that ends here, unless its compressed data has ended too."""
        whole = self._inflate.eof or not self._begun  # an answer to HEAD has no body
        return None if whole else TruncatedError("the compressed body is cut off", phase="body")
