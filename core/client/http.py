"""Makes the HTTP clients: one pool each, no redirects, no cookies, no timeouts of their own."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib.util import find_spec

import httpx

from ..errors import ConfigurationError
from .proxies import proxy_at, proxy_patterns, unusable
from .queueing import queue_tracing
from .settings import Limits

__all__ = ["async_http_client", "sync_http_client"]


_Make = Callable[[Limits, ssl.SSLContext, httpx.Proxy | None], httpx.AsyncBaseTransport]


def sync_http_client(limits: Limits, ssl_context: ssl.SSLContext | None) -> httpx.Client:
    """An httpx client whose reads a stream's alarm can interrupt."""
    # httpcore is slow to import, and brings h2 along where that is installed.
    from .transport import InterruptibleTransport  # noqa: PLC0415

    context = ssl_context or _certificates()
    mounts = {
        pattern: None
        if proxy is None
        else unusable(proxy) or InterruptibleTransport(limits, context, proxy_at(proxy))
        for pattern, proxy in proxy_patterns().items()
    }
    return httpx.Client(
        transport=InterruptibleTransport(limits, context),
        mounts=mounts,
        cookies=_no_cookies(),
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
    context = ssl_context or _certificates()
    make = _aiohttp_transport() if fast else _httpcore_transport(http2=http2)

    def transport(proxy: httpx.Proxy | None) -> httpx.AsyncBaseTransport:
        return make(limits, context, proxy)

    mounts = {
        pattern: None if proxy is None else unusable(proxy) or transport(proxy_at(proxy))
        for pattern, proxy in proxy_patterns().items()
    }
    return httpx.AsyncClient(
        transport=transport(None),
        mounts=mounts,
        cookies=_no_cookies(),
        timeout=None,  # noqa: S113 - each request brings its own
        follow_redirects=False,
        trust_env=False,
    )


def _no_cookies() -> CookieJar:
    # What a server sets for one key would be sent along with the next.
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


def _certificates() -> ssl.SSLContext:
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        raise ConfigurationError(
            f"the certificates at SSL_CERT_FILE or SSL_CERT_DIR cannot be read ({error.strerror})",
            setting="ssl_context",
        ) from None


def _httpcore_transport(*, http2: bool) -> _Make:
    if http2 and find_spec("h2") is None:
        raise ConfigurationError(
            "http2=True needs the http2 extra: pip install 'vesselog[http2]'", setting="http2"
        )
    from .async_transport import AsyncTransport  # noqa: PLC0415 - as above

    return partial(AsyncTransport, http2=http2)


def _aiohttp_transport() -> _Make:
    try:
        from aiohttp import ClientSession, DummyCookieJar, TCPConnector  # noqa: PLC0415 - an extra
        from httpx_aiohttp import AiohttpTransport  # noqa: PLC0415 - an extra
    except ImportError:
        raise ConfigurationError(
            "fast=True needs the fast extra: pip install 'vesselog[fast]'", setting="fast"
        ) from None

    def make(
        limits: Limits, context: ssl.SSLContext, proxy: httpx.Proxy | None
    ) -> httpx.AsyncBaseTransport:
        def session() -> ClientSession:
            connector = TCPConnector(
                limit=limits.max_connections,
                keepalive_timeout=limits.keepalive_expiry,
                ssl=context,
            )
            return ClientSession(
                connector=connector, cookie_jar=DummyCookieJar(), trace_configs=[queue_tracing()]
            )

        if proxy is not None and proxy.auth is not None:
            # In the form that aiohttp will go on to take.
            signed = next(httpx.BasicAuth(*proxy.auth).sync_auth_flow(httpx.Request("GET", "/")))
            proxy = httpx.Proxy(
                proxy.url, headers={"authorization": signed.headers["authorization"]}
            )
        return AiohttpTransport(verify=context, client=session, proxy=proxy)

    return make
