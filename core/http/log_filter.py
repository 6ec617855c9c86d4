"""Keeps secrets out of what httpx and the libraries below it log.

httpx logs URLs at INFO, httpcore the headers of responses at DEBUG, hpack those of requests too: a
key in a query would stand there, and one that a server repeats. Their records pass a filter that
masks the secrets of all requests in use, and no others. Where nothing is logged it costs nothing.
"""

from __future__ import annotations

import logging
from functools import cache
from weakref import ReferenceType, ref

from ..masking import MASK, Masker

__all__ = ["keep_out_of_logs"]

_MODULES = ("connection", "http11", "http2", "proxy", "socks")
# Those that are told of URLs, headers and passwords, httpx2's too, for a client of a caller's own.
# A logger asks its own filters, not those above it.
_LOGGERS = (
    *("aiohttp.client", "aiohttp.internal", "hpack.hpack", "hpack.table", "httpx", "httpx2"),
    *(f"{package}.{module}" for package in ("httpcore", "httpcore2") for module in _MODULES),
)

# A request's masker lives as long as its stream. A plain dict, since any thread may read and write
# it at any time, a finaliser among them.
_LIVING: dict[int, ReferenceType[Masker]] = {}


def keep_out_of_logs(masker: Masker) -> None:
    """Mask this masker's secrets as long as it lives. Safe from any thread."""
    if not masker.idle:
        _install()
        key = id(masker)
        _LIVING[key] = ref(masker, lambda _: _LIVING.pop(key, None))


@cache
def _install() -> None:
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_mask)


def _mask(record: logging.LogRecord) -> bool:
    if record.name.startswith("hpack.") and isinstance(record.args, tuple):
        # Headers as on the wire, where a key is Huffman-coded and begins within a byte; and those
        # that a connection keeps after their requests are over.
        record.args = tuple(each if isinstance(each, int) else MASK for each in record.args)
        return True
    message = record.getMessage()
    # Copied in one step: a tuple of its values is made in two, between which a finaliser may come.
    living = (each() for each in _LIVING.copy().values())
    found = [each.secrets for each in living if each is not None and each.text(message) != message]
    if found:  # one masker for all of them: one's secret may begin as another's does
        record.msg = Masker(frozenset[str]().union(*found)).text(message)
        record.args = None
    return True
