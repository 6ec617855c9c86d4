"""Makes a client's httpx.AsyncClient: no redirects, no cookies, no timeouts.

httpx's own transport carries the bytes, or httpx-aiohttp's with `fast`. Environment proxies are
used through httpx's transport.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib.util import find_spec
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

import httpx

from ..errors import ConfigurationError
from ..settings import Limits
from .connection_limit import ConnectionLimit
from .proxies import ProxyRules, transport_through
from .url_and_headers import parse_url

if TYPE_CHECKING:
    from ssl import SSLContext

__all__ = ["check_http_client", "make_http_client"]

_LOGGER = logging.getLogger("httpx")  # what programs know, and log_filter.py masks


def make_http_client(
    limits: Limits,
    ssl_context: SSLContext | None,
    proxies: ProxyRules,
    *,
    http2: bool,
    fast: bool | None,
) -> httpx.AsyncClient:
    """An httpx client. Raises ConfigurationError where an extra is missing."""
    if fast and http2:
        raise ConfigurationError("fast=True has no HTTP/2: choose one of the two", setting="fast")
    for name, asked, module in (("http2", http2, "h2"), ("fast", fast, "httpx_aiohttp")):
        if asked and find_spec(module) is None:
            raise ConfigurationError(
                f"{name}=True needs the {name} extra: pip install 'vesselog[{name}]'", setting=name
            )
    context = ssl_context or _certificates()

    def own(proxy: httpx.Proxy | None) -> httpx.AsyncBaseTransport:
        if http2:
            from .unshared_http2 import UnsharedHttp2  # noqa: PLC0415 - only where it is used

            return UnsharedHttp2(limits, context, proxy)
        kept = httpx.Limits(
            max_keepalive_connections=limits.max_keepalive,
            keepalive_expiry=limits.keepalive_expiry,
        )
        return httpx.AsyncHTTPTransport(verify=context, trust_env=False, proxy=proxy, limits=kept)

    if fast or (fast is None and not http2 and find_spec("httpx_aiohttp") is not None):
        from .fast_transport import FastTransport  # noqa: PLC0415 - needs the extra

        direct: httpx.AsyncBaseTransport = FastTransport(limits, context)
    else:
        direct = own(None)
    return _PlainClient(direct, own, proxies, ConnectionLimit(limits.max_connections))


def check_http_client(client: Any, **ignored: object) -> None:
    """Raise ConfigurationError if this is no async client with httpx's interface.

    ignored: settings of the library's own transport, which would have no effect on it.
    """
    send = getattr(client, "send", None)
    if (
        isinstance(client, type)
        or not iscoroutinefunction(send)
        or not callable(getattr(client, "build_request", None))
    ):
        raise ConfigurationError(
            "http_client must be an httpx.AsyncClient, for vesselog.Client too: the sync client "
            "runs an event loop in a thread of its own",
            setting="http_client",
        )
    for setting, value in ignored.items():
        if value:
            raise ConfigurationError(
                f"{setting} has no effect on the http_client given: set it up on that client, or "
                "give no http_client",
                setting=setting,
            )


class _PlainClient(httpx.AsyncClient):
    """Sends each request as it is, and logs it: httpx's redirects, cookies and logins cost more.

    direct: the transport for requests without a proxy. own: makes one for requests through a proxy.
    """

    def __init__(
        self,
        direct: httpx.AsyncBaseTransport,
        own: Callable[[httpx.Proxy], httpx.AsyncBaseTransport],
        proxies: ProxyRules,
        limit: ConnectionLimit,
    ) -> None:
        super().__init__(transport=direct, trust_env=False)
        self._own = own
        self._proxies = proxies
        self._limit = limit
        self._transports: dict[str | None, httpx.AsyncBaseTransport] = {None: direct}

    def build_request(self, method: str, url: httpx.URL | str, **given: Any) -> httpx.Request:
        headers = {"accept": "*/*", "connection": "keep-alive", **given.pop("headers")}
        return httpx.Request(method, parse_url(str(url)), headers=headers, **given)

    async def send(self, request: httpx.Request, **_: Any) -> httpx.Response:
        proxy = self._proxies.proxy_for(request.url)
        if proxy is not None and proxy not in self._transports:
            self._transports[proxy] = transport_through(proxy, self._own)
        response = await self._limit.send(request, self._transports[proxy])
        response.request = request
        status = response.http_version, response.status_code, response.reason_phrase
        _LOGGER.info('HTTP Request: %s %s "%s %d %s"', request.method, request.url, *status)
        return response

    async def aclose(self) -> None:
        for transport in tuple(self._transports.values()):
            await transport.aclose()


def _certificates() -> SSLContext:
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        raise ConfigurationError(
            f"the certificates at SSL_CERT_FILE or SSL_CERT_DIR cannot be read ({error.strerror})",
            setting="ssl_context",
        ) from None
