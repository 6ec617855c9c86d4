"""Transport errors of httpx, httpcore and aiohttp as errors of this library.

They are told apart by type and cause. Their texts are not repeated: they may hold a URL with a key,
or a header. httpx-aiohttp reports a refused connection, a full pool and a server that died after
the request all as ConnectTimeout; the cause tells them apart, since only the first two were
certainly not sent. Types are compared by name, so that a client of httpx2, which has httpx's
interface, fails in the same way, and aiohttp need not be installed.
"""

from __future__ import annotations

import os
from typing import Any

from ..errors import ConnectionFailedError, ProtocolError, StreamTimeoutError, VesselogError
from ..settings import Limits, Timeouts

__all__ = ["classify"]

# Errors of anyio, h2 and socksio get through httpcore as they are.
_HTTPX = ("httpx", "httpx2", "httpcore", "httpcore2", "anyio", "h2", "socksio")

# aiohttp's errors by httpx's names for the same, which those derived from them share.
_AIOHTTP = {
    # Refused, unreachable, unknown host, TLS, a proxy that is not there.
    "ClientConnectorError": "ConnectError",
    "ClientHttpProxyError": "ConnectError",
    # No connection in time, name lookup included: waiting for a free one has its own limit
    # (connection_limit.py).
    "ConnectionTimeoutError": "ConnectTimeout",
    "ServerTimeoutError": "TimeoutException",
    "ClientConnectionError": "TransportError",
    "ClientPayloadError": "TransportError",
    "ClientResponseError": "TransportError",
    "BadHttpMessage": "TransportError",
}
# EndOfStream: TLS is written to a connection that has ended. H2Error: the server breaks the rules
# of HTTP/2.
_BROKEN = frozenset(
    {
        *("TransportError", "ConnectionNotAvailable", "H2Error"),
        *("EndOfStream", "BrokenResourceError", "ClosedResourceError"),
    }
)
_REFUSED_STREAM = 7  # RFC 9113, 7


def classify(
    failure: BaseException,
    origin: str,
    timeouts: Timeouts,
    limits: Limits,
    *,
    answering: bool,
    handled: BaseException | None = None,
) -> VesselogError | None:
    """The typed error for a transport's exception; None if it is a bug instead.

    answering: the response had begun. handled: an exception that the caller was handling, which is
    a context of the failure, but no cause.
    """
    causes = _causes(failure, handled)
    if not answering and any(map(_is_refusal, causes)):
        return ConnectionFailedError(
            f"{origin} refused the request before it worked on it", phase="refused"
        )
    kinds = _kinds(causes)
    if "PoolTimeout" in kinds and timeouts.pool is not None:
        return StreamTimeoutError(
            f"no free connection within {timeouts.pool:g} s: all {limits.max_connections} of them "
            "are in use; raise Limits(max_connections=…), or wait longer with Timeouts(pool=…)",
            phase="pool",
            setting="max_connections",
        )
    if "ConnectTimeout" in kinds and timeouts.connect is not None:
        return StreamTimeoutError(
            f"no connection to {origin} within {timeouts.connect:g} s; to wait longer, set "
            "Timeouts(connect=…)",
            phase="connect",
            setting="connect",
        )
    if "TimeoutException" in kinds:
        return StreamTimeoutError(
            f"{origin} did not answer in time", phase="body" if answering else "first_chunk"
        )
    if kinds & {"ConnectError", "ProxyError", "SOCKSError"}:
        otherwise = "is the server running?" if "ConnectError" in kinds else "the proxy refused"
        reasons = (_reason(cause) for cause in causes if isinstance(cause, OSError))
        reason = next(filter(None, reasons), f"; {otherwise}")
        return ConnectionFailedError(f"cannot connect to {origin}{reason}", phase="connect")
    if kinds & {"UnsupportedProtocol", "LocalProtocolError", "InvalidURL"}:
        return ProtocolError(f"the request to {origin} could not be sent as HTTP", phase="write")
    if "DecodingError" in kinds:
        return ProtocolError(f"the compressed answer of {origin} is damaged", phase="body")
    if not (kinds & _BROKEN or isinstance(failure, (OSError, EOFError))):
        return None
    if answering:
        return ConnectionFailedError(
            f"the connection to {origin} broke in the middle of the answer", phase="body"
        )
    return ConnectionFailedError(
        f"{origin} closed the connection before it answered; the request had been sent, and is not "
        "sent again",
        phase="response",
    )


def _kinds(causes: list[BaseException]) -> set[str]:
    """The names of a failure's types; httpx's for aiohttp's error, where that is a cause."""
    for cause in causes:
        for kind in type(cause).__mro__:
            if kind.__name__ in _AIOHTTP and _package(kind) == "aiohttp":
                return {_AIOHTTP[kind.__name__]}
    return {kind.__name__ for kind in type(causes[0]).__mro__ if _package(kind) in _HTTPX}


def _package(kind: type) -> str:
    return kind.__module__.partition(".")[0]


def _causes(failure: BaseException, handled: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    cause: BaseException | None = failure
    while cause is not None and cause is not handled and cause not in found:
        found.append(cause)
        # httpcore raises again `from None`, which hides the cause but leaves the context.
        cause = cause.__cause__ or cause.__context__
    return found


def _reason(error: OSError) -> str:
    # The system's own words for the number: the exception's text may hold anything.
    if type(error).__name__ == "gaierror" or (error.errno or 0) < 0:  # the look-up's own numbers
        return " (the host name is unknown): check its spelling, and the network"
    if any(kind.__name__ == "SSLError" for kind in type(error).__mro__):
        # A word of OpenSSL's own list, such as CERTIFICATE_VERIFY_FAILED.
        reason = getattr(error, "reason", None) or "the handshake failed"
        return f" (TLS: {reason}): check the address, and the server's certificate"
    return f" ({os.strerror(error.errno)}); is the server running?" if error.errno else ""


def _is_refusal(failure: BaseException) -> bool:
    """Whether the server says that it did not work on the request (RFC 9113, 8.7).

    It resets the stream with REFUSED_STREAM, leaves it out in its GOAWAY, or takes no streams.
    httpcore's error holds h2's event; it sends a left out request again itself where it can, and
    httpx's StreamConsumed says that it could not.
    """
    event: Any = failure.args[0] if failure.args else None
    kind = type(event).__name__
    return (
        (kind == "StreamReset" and event.error_code == _REFUSED_STREAM)
        or (kind == "ConnectionTerminated" and event.last_stream_id == 0)
        or type(failure).__name__ in {"TooManyStreamsError", "StreamConsumed"}
    )
