"""Makes the HTTP clients: one pool each, no redirects, no timeouts of their own."""

from __future__ import annotations

import ssl
from importlib.util import find_spec
from typing import Any

import httpx

from ..errors import ConfigurationError
from .proxies import proxy_patterns
from .settings import Limits
from .transport import InterruptibleTransport

__all__ = ["async_http_client", "sync_http_client"]


def sync_http_client(limits: Limits, ssl_context: ssl.SSLContext | None) -> httpx.Client:
    """An httpx client whose reads a stream's alarm can interrupt."""
    context = ssl_context or httpx.create_ssl_context()
    mounts = {
        pattern: None
        if proxy is None
        else InterruptibleTransport(limits, context, httpx.Proxy(proxy))
        for pattern, proxy in proxy_patterns().items()
    }
    return httpx.Client(
        transport=InterruptibleTransport(limits, context),
        mounts=mounts,
        timeout=None,  # noqa: S113 - each request brings its own
        follow_redirects=False,
        trust_env=False,
    )


def async_http_client(
    limits: Limits, ssl_context: ssl.SSLContext | None, *, http2: bool, fast: bool
) -> httpx.AsyncClient:
    """An httpx client on httpcore, or with `fast` on aiohttp.

    Raises ConfigurationError without the extra.
    """
    if fast and http2:
        raise ConfigurationError("fast=True has no HTTP/2: choose one of the two", setting="fast")
    context = ssl_context or httpx.create_ssl_context()
    make = _aiohttp_transport() if fast else _httpcore_transport(http2=http2)

    def transport(proxy: httpx.Proxy | None) -> httpx.AsyncBaseTransport:
        pool = httpx.Limits(
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive,
            keepalive_expiry=limits.keepalive_expiry,
        )
        made: httpx.AsyncBaseTransport = make(verify=context, limits=pool, proxy=proxy)
        return made

    mounts = {
        pattern: None if proxy is None else transport(httpx.Proxy(proxy))
        for pattern, proxy in proxy_patterns().items()
    }
    return httpx.AsyncClient(
        transport=transport(None),
        mounts=mounts,
        timeout=None,  # noqa: S113 - each request brings its own
        follow_redirects=False,
        trust_env=False,
    )


def _httpcore_transport(*, http2: bool) -> Any:
    if http2 and find_spec("h2") is None:
        raise ConfigurationError(
            "http2=True needs the http2 extra: pip install 'vesselog[http2]'", setting="http2"
        )

    def make(**settings: Any) -> httpx.AsyncHTTPTransport:
        return httpx.AsyncHTTPTransport(http2=http2, trust_env=False, **settings)

    return make


def _aiohttp_transport() -> Any:
    try:
        from httpx_aiohttp import AiohttpTransport  # noqa: PLC0415 - an extra
    except ImportError:
        raise ConfigurationError(
            "fast=True needs the fast extra: pip install 'vesselog[fast]'", setting="fast"
        ) from None
    return AiohttpTransport
