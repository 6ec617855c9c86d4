"""The environment's proxies, as httpx mount patterns. Loopback and NO_PROXY are always direct."""

from __future__ import annotations

import ipaddress
import urllib.request

__all__ = ["proxy_patterns"]

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


def _pattern(host: str) -> str:
    if "://" in host:
        return host
    try:
        version = ipaddress.ip_address(host.strip("[]")).version
    except ValueError:
        return f"all://{host}" if host == "localhost" else f"all://*{host}"
    return f"all://[{host.strip('[]')}]" if version == 6 else f"all://{host}"
