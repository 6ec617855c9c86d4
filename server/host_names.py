"""Names and addresses by which a server is called, as the headers `Host` and `Origin` have them."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

__all__ = ["is_address", "is_host", "is_loopback", "is_origin", "name_of"]

_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]/@\s]+)(?::\d{1,5})?")


def is_host(text: str) -> bool:
    """Whether this may be a `Host`: a name or an address, and maybe a port."""
    return _HOST.fullmatch(text) is not None


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server at this address."""
    if host.lower() == "localhost":
        return True
    return is_address(host) and ip_address(host).is_loopback


def is_address(host: str) -> bool:
    """Whether it is an IP address."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def name_of(host: str) -> str:
    """A `Host` without its port, in lower case; an address without its brackets."""
    if is_address(host):
        return host.lower()
    found = _HOST.fullmatch(host)
    return (found[1] if found else host).lower().strip("[]").rstrip(".")


def is_origin(text: str) -> bool:
    """Whether it is a scheme and a host, such as `https://app.example`."""
    parts = urlsplit(text)
    return bool(parts.scheme and parts.netloc) and text == f"{parts.scheme}://{parts.netloc}"
