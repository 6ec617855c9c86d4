"""Makes the HTTP clients: one pool each, no redirects, no cookies, no timeouts of their own."""

from __future__ import annotations

import ssl
from http.cookiejar import CookieJar
from importlib import import_module

import httpx

from ..errors import ConfigurationError
from .proxies import proxy_at, proxy_patterns, unusable
from .settings import Limits

__all__ = ["async_http_client", "sync_http_client"]


def sync_http_client(
    limits: Limits, ssl_context: ssl.SSLContext | None, *, fast: bool
) -> httpx.Client:
    """An httpx client whose every wait a stream's alarm can end; with `fast`, llhttp reads.

    Raises ConfigurationError without the extra.
    """
    # httpcore is slow to import, and brings h2 along where that is installed; h11 is slow, too.
    from .http11 import Http11Transport  # noqa: PLC0415
    from .transport import ProxyTransport  # noqa: PLC0415

    context = ssl_context or _certificates()
    if fast:
        _load("fast", "httptools")
    mounts = {
        pattern: None
        if proxy is None
        else unusable(proxy) or ProxyTransport(limits, context, proxy_at(proxy))
        for pattern, proxy in proxy_patterns().items()
    }
    return httpx.Client(
        transport=Http11Transport(limits, context, fast=fast),
        mounts=mounts,
        cookies=_NoCookies(),
        timeout=None,  # noqa: S113 - each request brings its own
        follow_redirects=False,
        trust_env=False,
    )


def async_http_client(
    limits: Limits, ssl_context: ssl.SSLContext | None, *, http2: bool, fast: bool
) -> httpx.AsyncClient:
    """An httpx client; with `fast`, llhttp reads.

    Raises ConfigurationError without the extra.
    """
    if fast and http2:
        raise ConfigurationError("fast=True has no HTTP/2: choose one of the two", setting="fast")
    context = ssl_context or _certificates()
    if http2:
        _load("http2", "h2")
    if fast:
        _load("fast", "httptools")
    # As above.
    from .async_http11 import AsyncHttp11Transport  # noqa: PLC0415
    from .async_transport import AsyncTransport  # noqa: PLC0415

    def transport(proxy: httpx.Proxy | None) -> httpx.AsyncBaseTransport:
        if proxy is None and not http2:
            return AsyncHttp11Transport(limits, context, fast=fast)
        return AsyncTransport(limits, context, proxy, http2=http2)

    mounts = {
        pattern: None if proxy is None else unusable(proxy) or transport(proxy_at(proxy))
        for pattern, proxy in proxy_patterns().items()
    }
    return httpx.AsyncClient(
        transport=transport(None),
        mounts=mounts,
        cookies=_NoCookies(),
        timeout=None,  # noqa: S113 - each request brings its own
        follow_redirects=False,
        trust_env=False,
    )


class _NoCookies(CookieJar):
    """What a server sets for one key would be sent along with the next."""

    def extract_cookies(self, response: object, request: object) -> None:
        """Keeps none."""

    def add_cookie_header(self, request: object) -> None:
        """Has none."""


def _certificates() -> ssl.SSLContext:
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        raise ConfigurationError(
            f"the certificates at SSL_CERT_FILE or SSL_CERT_DIR cannot be read ({error.strerror})",
            setting="ssl_context",
        ) from None


def _load(name: str, module: str) -> None:
    """What an extra brings is loaded here, not in the first stream's time."""
    try:
        import_module(module)
    except ImportError:
        raise ConfigurationError(
            f"{name}=True needs the {name} extra: pip install 'vesselog[{name}]'", setting=name
        ) from None
