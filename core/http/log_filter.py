"""Keeps secrets out of what httpx and the libraries below it log.

httpx logs URLs at INFO, httpcore the headers of responses at DEBUG, hpack those of requests too: a
key in a query would stand there, and one that a server repeats. Their records pass a filter that
masks the secrets of this process's requests. It costs nothing while nothing is logged.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable
from functools import lru_cache

from ..masking import MASK, Masker

__all__ = ["keep_out_of_logs"]

# Those that are told of URLs and headers. A logger asks its own filters, not those above it.
_LOGGERS = (
    "hpack.hpack",
    "hpack.table",
    "httpcore.http11",
    "httpcore.http2",
    "httpx",
)

# The newest: tokens that are renewed with each request must not add up for ever.
_SECRETS: deque[str] = deque(maxlen=256)


def keep_out_of_logs(secrets: Iterable[str]) -> None:
    """Mask these from now on. Safe from any thread."""
    new = [secret for secret in secrets if secret not in _SECRETS]
    if new:
        _SECRETS.extend(new)
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(_mask)  # the same one again is not added


def _mask(record: logging.LogRecord) -> bool:
    if record.name == "hpack.hpack" and record.funcName in {"encode", "decode"}:
        # A block of headers as on the wire, where a key is Huffman-coded and begins within a byte.
        record.args = (MASK,)
        return True
    message = record.getMessage()
    masked = _masker(tuple(_SECRETS)).text(message)
    if masked != message:
        record.msg, record.args = masked, None
    return True


@lru_cache(maxsize=1)
def _masker(secrets: tuple[str, ...]) -> Masker:
    return Masker(secrets)
