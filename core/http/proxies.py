"""The environment's proxies: which requests go through which.

HTTP_PROXY, HTTPS_PROXY and ALL_PROXY, upper or lower case, and NO_PROXY, with names as urllib reads
it and addresses as ranges too (10.0.0.0/8). This machine itself is always asked directly. An entry
that means nothing is ignored, and the log says so; a proxy that cannot be used is an error where it
would be used.
"""

from __future__ import annotations

import base64
import ipaddress
import logging
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import httpx

from ..errors import ConfigurationError

__all__ = ["ProxyRules", "address_of", "is_this_machine", "transport_through"]

_LOGGER = logging.getLogger("vesselog")
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
# What `proxy_bypass` is on Linux; on macOS and Windows that asks the system instead.
_is_excepted: Any = vars(urllib.request)["proxy_bypass_environment"]  # typeshed leaves it out
_OF_NUMBERS = "0123456789abcdefxABCDEFX."  # int() takes 1_27, +127 and 0o177, too; resolvers do not


class ProxyRules:
    """The proxies of the environment, read once."""

    def __init__(self) -> None:
        found = urllib.request.getproxies()
        self._proxies = {
            scheme: proxy if "://" in proxy else f"http://{proxy}"
            for scheme in ("http", "https", "all")
            if (proxy := found.get(scheme))
        }
        self._excepted = {"no": found.get("no", "")}
        self._ranges = tuple(_ranges(found.get("no", "")))

    def proxy_for(self, url: httpx.URL) -> str | None:
        """The URL of the proxy that a request goes through; None if it goes directly."""
        proxy = self._proxies.get(url.scheme) or self._proxies.get("all")
        if proxy is None or is_this_machine(url.host):
            return None
        address = address_of(url.host)
        if address is not None and any(address in network for network in self._ranges):
            return None
        place = url.host if url.port is None else f"{url.host}:{url.port}"
        return None if _is_excepted(place, self._excepted) else proxy

    def secrets(self) -> Iterator[str]:
        """The proxies' passwords, plain and as they are sent."""
        for proxy in self._proxies.values():
            try:
                auth = httpx.Proxy(proxy).raw_auth
            except (httpx.InvalidURL, ValueError):
                continue
            if auth is not None:
                username, password = auth
                yield (password or username).decode()
                yield base64.b64encode(b":".join(auth)).decode()


def transport_through(
    proxy: str, make: Callable[[httpx.Proxy], httpx.AsyncBaseTransport]
) -> httpx.AsyncBaseTransport:
    """What `make` makes for this proxy. Raises ConfigurationError if the proxy cannot be used."""
    try:
        parsed = httpx.Proxy(proxy)
        if not 0 < (parsed.url.port or 1) < 1 << 16:
            raise ValueError("no port")
        return make(parsed)
    except ImportError:
        raise ConfigurationError(
            "the environment's proxy is a SOCKS proxy, which needs socksio: "
            "pip install 'httpx[socks]', or list the host in NO_PROXY"
        ) from None
    except (httpx.InvalidURL, ValueError):
        # Not repeated: it may hold a password.
        raise ConfigurationError(
            "a proxy in the environment (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY) is not a URL of "
            "an http, https or socks5 proxy"
        ) from None


def is_this_machine(host: str) -> bool:
    """Whether this is a name or an address of this machine itself, in any spelling."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = address_of(name)
    return address is not None and (address.is_loopback or address.is_unspecified)


def address_of(host: str) -> _Address | None:
    """The IP address that a host is; None for a name."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None if host.strip(_OF_NUMBERS) else _old_address(host)
    return getattr(address, "ipv4_mapped", None) or address


def _old_address(host: str) -> ipaddress.IPv4Address | None:
    """An address in a form that the system's resolver takes, too: 127.1, 0177.1, 2130706433.

    The last number fills the bytes that are left (inet_aton, POSIX.1-2017).
    """
    try:
        *first, last = (
            int(part, 16 if part[:2].lower() == "0x" else 8 if part[:1] == "0" else 10)
            for part in host.split(".")
        )
        return ipaddress.IPv4Address(bytes(first) + last.to_bytes(4 - len(first), "big"))
    except (ValueError, OverflowError):
        return None


def _ranges(excepted: str) -> Iterator[_Network]:
    for entry in map(str.strip, excepted.split(",")):
        try:
            yield ipaddress.ip_network(entry.strip("[]"), strict=False)
        except ValueError:  # a name, which urllib compares
            name, colon, port = entry.rpartition(":")
            if colon and (":" in name or not port.isdecimal()):
                _LOGGER.warning("NO_PROXY: %r is no name, address or range: ignored", entry)
