"""Where a server's routes are, whatever form its address was given in.

A base URL may be the host, the dialect's root, or the full address of one of its routes. A query
(an API version, say) stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit, urlunsplit

from ..core.errors import ConfigurationError

__all__ = ["route_url", "split_address"]


def split_address(address: str) -> SplitResult:
    """The parts of a base URL. Raises ConfigurationError if it is none, without repeating it."""
    try:
        parts = urlsplit(address.strip())
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
        parts = SplitResult("", "", "", "", "")
    if not usable or any(character.isspace() for character in parts.netloc + parts.path):
        raise ConfigurationError(
            "the base URL must be http:// or https:// and a host, as http://127.0.0.1:11434",
            setting="base_url",
        )
    return parts


def route_url(address: str, route: str, *, routes: Sequence[str], root: str) -> str:
    """The URL of `route` at `address`.

    routes: the dialect's routes, one of which the address may end in. root: what stands before
    them where the address has no path of its own.
    """
    parts = split_address(address)
    path = parts.path.rstrip("/")
    ending = next((known for known in routes if path.endswith(known)), "")
    path = path.removesuffix(ending)
    if not path and not ending:
        path = root
    return urlunsplit(parts._replace(path=path + route, fragment=""))
