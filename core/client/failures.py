"""What httpx, httpcore and aiohttp raise, told apart by type and cause, as errors of this library.

Their texts are not repeated: they may hold a URL with a key, or a header. The aiohttp transport,
which a caller's own client may stand on, reports a refused connection, a full pool and a server
that died after the request all as ConnectTimeout; the cause tells them apart, since only the first
two were certainly not sent.
"""

from __future__ import annotations

import os
import socket
import ssl

import httpx

from ..errors import ConnectionFailedError, ProtocolError, StreamTimeoutError, VesselogError
from .settings import Limits, Timeouts

__all__ = ["classify"]


def classify(
    failure: BaseException,
    origin: str,
    timeouts: Timeouts,
    limits: Limits,
    *,
    answering: bool,
    outer: BaseException | None = None,
) -> VesselogError | None:
    """The typed error for a transport's exception; None if it is no such thing, but a bug.

    answering: the response had begun. outer: an exception that was being handled when the transport
    was called, which is no cause of its failure.
    """
    causes = _causes(failure, outer)
    for cause in causes:
        name = _name(cause)
        if name in _AIOHTTP_UNSENT:
            return _not_connected(origin, causes)
        if name == "aiohttp.ConnectionTimeoutError":
            return _connect_timeout(origin, timeouts)
        if name in _AIOHTTP_BROKEN:
            return _broken(origin, answering=answering)
    if isinstance(failure, httpx.TimeoutException):
        return _timed_out(failure, origin, timeouts, limits, answering=answering)
    if isinstance(failure, (httpx.ConnectError, httpx.ProxyError)):
        return _not_connected(origin, causes)
    if isinstance(failure, (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL)):
        return ProtocolError(f"the request to {origin} could not be sent as HTTP", phase="write")
    if isinstance(failure, httpx.DecodingError):
        return ProtocolError(f"the compressed answer of {origin} is damaged", phase="body")
    broken = isinstance(failure, (httpx.TransportError, OSError, EOFError))
    if broken or _name(failure) == _ANYIO_BROKEN:
        return _broken(origin, answering=answering)
    return None


def _timed_out(
    failure: httpx.TimeoutException,
    origin: str,
    timeouts: Timeouts,
    limits: Limits,
    *,
    answering: bool,
) -> StreamTimeoutError:
    if isinstance(failure, httpx.PoolTimeout):
        return _pool_timeout(timeouts, limits)
    if isinstance(failure, httpx.ConnectTimeout):
        return _connect_timeout(origin, timeouts)
    if isinstance(failure, httpx.WriteTimeout):
        return StreamTimeoutError(
            f"{origin} took nothing of the request for {timeouts.write:g} s; to wait longer, set "
            "Timeouts(write=…)",
            phase="write",
            setting="write",
        )
    return StreamTimeoutError(
        f"{origin} did not answer in time", phase="body" if answering else "first_chunk"
    )


def _pool_timeout(timeouts: Timeouts, limits: Limits) -> StreamTimeoutError:
    return StreamTimeoutError(
        f"no free connection within {timeouts.pool:g} s: all {limits.max_connections} of them "
        "are in use; raise Limits(max_connections=…), or wait longer with Timeouts(pool=…)",
        phase="pool",
        setting="max_connections",
    )


# By name, since few have aiohttp installed. ClientConnectorError: refused, unreachable, unknown
# host.
_AIOHTTP_UNSENT = frozenset(
    {
        "aiohttp.ClientConnectorError",
        "aiohttp.ClientConnectorDNSError",
        "aiohttp.ClientConnectorSSLError",
        "aiohttp.ClientConnectorCertificateError",
        "aiohttp.ClientProxyConnectionError",
        "aiohttp.ClientHttpProxyError",
    }
)
_AIOHTTP_BROKEN = frozenset(
    {
        "aiohttp.ServerDisconnectedError",
        "aiohttp.ClientOSError",
        "aiohttp.ClientConnectionResetError",
        "aiohttp.ClientPayloadError",
        "aiohttp.ClientConnectionError",
        "aiohttp.ClientResponseError",
        "aiohttp.TransferEncodingError",
        "aiohttp.ContentLengthError",
        "aiohttp.BadStatusLine",
        "aiohttp.BadHttpMessage",
        "aiohttp.LineTooLong",
    }
)

# What anyio raises where TLS is to be written to a connection that has ended. httpcore, which makes
# errors of its own of the others, lets it through.
_ANYIO_BROKEN = "anyio.EndOfStream"


def _name(failure: BaseException) -> str:
    return f"{type(failure).__module__.partition('.')[0]}.{type(failure).__name__}"


def _causes(failure: BaseException, outer: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    cause: BaseException | None = failure
    while cause is not None and cause is not outer and cause not in found:
        found.append(cause)
        # httpcore raises again `from None`, which hides the cause but leaves the context.
        cause = cause.__cause__ or cause.__context__
    return found


def _not_connected(origin: str, causes: list[BaseException]) -> ConnectionFailedError:
    reasons = (_reason(cause) for cause in causes if isinstance(cause, OSError))
    reason = next(filter(None, reasons), "")
    return ConnectionFailedError(
        f"cannot connect to {origin}{reason}; is the server running?", phase="connect"
    )


def _reason(error: OSError) -> str:
    # The system's own words for the number: the exception's text may hold anything.
    if isinstance(error, socket.gaierror):
        return " (the host name is unknown)"
    if isinstance(error, ssl.SSLError):
        # A word of OpenSSL's own list, as CERTIFICATE_VERIFY_FAILED, or none.
        return f" (TLS: {getattr(error, 'reason', None) or 'the handshake failed'})"
    return f" ({os.strerror(error.errno)})" if error.errno else ""


def _connect_timeout(origin: str, timeouts: Timeouts) -> StreamTimeoutError:
    return StreamTimeoutError(
        f"no connection to {origin} within {timeouts.connect:g} s; to wait longer, set "
        "Timeouts(connect=…)",
        phase="connect",
        setting="connect",
    )


def _broken(origin: str, *, answering: bool) -> ConnectionFailedError:
    if answering:
        return ConnectionFailedError(
            f"the connection to {origin} broke in the middle of the answer", phase="body"
        )
    return ConnectionFailedError(
        f"{origin} closed the connection before it answered; the request had been sent, and is not "
        "sent again",
        phase="response",
    )
