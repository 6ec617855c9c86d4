"""The environment's proxies, as httpx mount patterns. Loopback and NO_PROXY are always direct."""

from __future__ import annotations

import base64
import ipaddress
import urllib.request
from collections.abc import Iterator

import httpx

from ..errors import ConfigurationError

__all__ = ["proxy_at", "proxy_patterns", "proxy_secrets", "unusable"]

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def proxy_patterns() -> dict[str, str | None]:
    """Proxy URLs by httpx mount pattern (`https://`, `all://*.example.com`); None means direct.

    The rules are those of httpx itself (https://www.python-httpx.org/environment_variables/), with
    loopback always direct: a model server on this machine is not behind a proxy.
    """
    found = urllib.request.getproxies()
    proxies = {
        f"{scheme}://": proxy if "://" in proxy else f"http://{proxy}"
        for scheme in ("http", "https", "all")
        if (proxy := found.get(scheme))
    }
    excepted = [host.strip() for host in found.get("no", "").split(",")]
    if not proxies or "*" in excepted:
        return {}
    patterns: dict[str, str | None] = dict(proxies)
    for host in filter(None, (*_LOOPBACK, *excepted)):
        patterns[_pattern(host)] = None
    return patterns


def proxy_secrets() -> Iterator[str]:
    """What the proxies are told to let requests through, plain and as it is sent."""
    for address in proxy_patterns().values():
        auth = None if address is None else proxy_at(address).raw_auth
        if auth is not None:
            username, password = auth
            yield (password or username).decode()
            yield base64.b64encode(b":".join(auth)).decode()


def _pattern(host: str) -> str:
    if "://" in host:
        return host
    try:
        version = ipaddress.ip_address(host.strip("[]")).version
    except ValueError:
        return f"all://{host}" if host == "localhost" else f"all://*{host}"
    return f"all://[{host.strip('[]')}]" if version == 6 else f"all://{host}"


def proxy_at(address: str) -> httpx.Proxy:
    """The proxy at this URL. Raises ConfigurationError if it is none."""
    try:
        return httpx.Proxy(address)
    except (httpx.InvalidURL, ValueError):
        # Not repeated: it may hold a password.
        raise ConfigurationError(
            "a proxy in the environment (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY) is not a proxy's URL"
        ) from None


def unusable(address: str) -> _Unusable | None:
    """What stands for a proxy that cannot be used, and says so when it would have to be."""
    scheme = proxy_at(address).url.scheme
    return None if scheme in {"http", "https"} else _Unusable(scheme)


class _Unusable(httpx.BaseTransport, httpx.AsyncBaseTransport):
    def __init__(self, scheme: str) -> None:
        self._message = (
            f"the environment's proxy is a {scheme} one, and only http and https proxies are "
            "supported: set HTTP_PROXY and HTTPS_PROXY to one, or list the host in NO_PROXY"
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:  # noqa: ARG002
        raise ConfigurationError(self._message)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:  # noqa: ARG002
        raise ConfigurationError(self._message)
