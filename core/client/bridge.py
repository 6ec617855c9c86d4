"""Between httpx and httpcore: pools, requests, responses and errors of one as those of the other.

What `httpx.HTTPTransport` does by itself, for pools over connections of our own.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Generator
from typing import Any, cast

import httpcore
import httpx

from .settings import Limits

__all__ = [
    "as_core",
    "as_httpx",
    "core_request",
    "extensions_of",
    "pool_settings",
    "proxy_settings",
]


def pool_settings(limits: Limits, ssl_context: ssl.SSLContext) -> dict[str, Any]:
    """What any pool is told, beside its network backend."""
    return {
        "ssl_context": ssl_context,
        "max_connections": limits.max_connections,
        "max_keepalive_connections": limits.max_keepalive,
        "keepalive_expiry": limits.keepalive_expiry,
    }


def proxy_settings(proxy: httpx.Proxy) -> dict[str, Any]:
    """What a pool that goes through a proxy is told, too."""
    return {
        "proxy_url": _core_url(proxy.url),
        "proxy_auth": proxy.raw_auth,
        "proxy_headers": proxy.headers.raw,
        "proxy_ssl_context": proxy.ssl_context,
    }


def core_request(request: httpx.Request) -> httpcore.Request:
    """httpx's request as httpcore's."""
    return httpcore.Request(
        method=request.method,
        url=_core_url(request.url),
        headers=request.headers.raw,
        content=request.stream,
        extensions=request.extensions,
    )


def extensions_of(message: httpcore.Request | httpcore.Response) -> dict[str, Any]:
    """A message's extensions, whose type httpcore leaves open."""
    return cast("dict[str, Any]", message.extensions)  # pyright: ignore[reportUnknownMemberType]


@contextlib.contextmanager
def as_core(timeout: type[Exception], broken: type[Exception]) -> Generator[None]:
    """A connection's errors become these of httpcore's."""
    try:
        yield
    except TimeoutError as error:
        raise timeout(str(error)) from error
    except OSError as error:
        raise broken(str(error)) from error


@contextlib.contextmanager
def as_httpx() -> Generator[None]:
    """httpx names its transport errors as httpcore does; each becomes its namesake."""
    try:
        yield
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "httpcore":
            raise
        namesake: type[httpx.TransportError] = getattr(
            httpx, type(error).__name__, httpx.TransportError
        )
        raise namesake(str(error)) from error


def _core_url(url: httpx.URL) -> httpcore.URL:
    """httpx's URL as httpcore's."""
    return httpcore.URL(
        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
    )
