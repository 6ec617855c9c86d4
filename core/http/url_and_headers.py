"""Checks the URL and the headers of a request, and finds what in them is secret."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from urllib.parse import unquote, urlsplit

import httpx

from ..errors import ConfigurationError, InvalidRequestError
from ..vessel import SHORTEST_SECRET
from .proxies import ProxyRules, address_of, is_this_machine

__all__ = [
    "carries_key",
    "check_headers",
    "check_path_of_key",
    "credentials_in",
    "is_private",
    "lower",
    "parse_url",
    "with_basic_auth",
]

_CREDENTIALS = ("auth", "cookie", "key", "password", "secret", "signature", "token")
_PRIVATE_SUFFIXES = (".local", ".internal", ".lan", ".home.arpa", ".localhost", ".test")

# HTTP's own framing, which the transport sets by the body, and what would change the protocol.
_FRAMING = frozenset({"content-length", "expect", "transfer-encoding", "upgrade"})


def carries_key(name: str) -> bool:
    """Whether a header of this name carries a vessel's key."""
    return name == "authorization" or name.endswith("api-key")


def credentials_in(fields: Iterable[tuple[str, str]]) -> Iterator[str]:
    """The values of headers and query parameters whose names tell that they are secret."""
    for name, value in fields:
        if any(word in name.lower() for word in _CREDENTIALS):
            yield value
            yield value.partition(" ")[2]  # without its scheme
        if name == "cookie":
            yield from (each.partition("=")[2] for each in value.split("; "))


def lower(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers with lower-case names."""
    return {str(name).lower(): value for name, value in headers.items()}


@lru_cache
def parse_url(text: str) -> httpx.URL:
    """The URL of a request. Raises ConfigurationError, InvalidRequestError for .. in its path."""
    try:
        url = httpx.URL(text)
        host = url.host  # which may be no name of a host, after all
        url.raw_host.decode("ascii").encode("idna")  # a name with an empty or a too long part
        names = urlsplit(text).path.split("/")
    except (httpx.InvalidURL, TypeError, ValueError):
        raise ConfigurationError("the base URL is not a URL", setting="base_url") from None
    if url.scheme not in {"http", "https"} or not host:
        raise ConfigurationError(
            "the base URL must be http:// or https:// and a host, such as http://127.0.0.1:11434",
            setting="base_url",
        )
    if any(unquote(name) in {".", ".."} for name in names):
        raise InvalidRequestError("the path of the URL has . or .. in it: give the path it means")
    return url


def with_basic_auth(url: httpx.URL, headers: dict[str, str]) -> tuple[httpx.URL, dict[str, str]]:
    """A URL with a user name and a password becomes one without, and a header."""
    bare = httpx.Request("POST", url.copy_with(username=None, password=None))
    signed = next(httpx.BasicAuth(url.username, url.password).sync_auth_flow(bare))
    return signed.url, {"authorization": signed.headers["authorization"], **headers}


def check_headers(headers: Mapping[str, object]) -> None:
    """Raise ConfigurationError for a header that cannot be sent."""
    for name, value in headers.items():
        token = name.replace("-", "").replace("_", "")
        if not (token.isascii() and token.isalnum()):
            raise ConfigurationError(f"{name!r} is not a header name", setting="headers")
        if name in _FRAMING:
            raise ConfigurationError(f"the client sets {name}: leave it out", setting="headers")
        if not (isinstance(value, str) and value.isascii() and value.isprintable()):
            reason = f"the header {name} must be text of printable ASCII characters"
            raise ConfigurationError(reason, setting="headers")


def check_path_of_key(
    vessel: str, key: str, url: httpx.URL, headers: Mapping[str, str], proxies: ProxyRules
) -> None:
    """Raise ConfigurationError if a key would be sent over plain HTTP where others can read it."""
    carried = (value.split(" ")[-1] for name, value in headers.items() if carries_key(name))
    secret = any(len(value) >= SHORTEST_SECRET for value in (key, *carried))
    if url.scheme != "http" or not secret:
        return
    if not is_private(url.host):
        raise ConfigurationError(
            f"the key of {vessel!r} would cross the network in the clear to {url.host}: use https"
        )
    if proxies.proxy_for(url) is not None:
        raise ConfigurationError(
            f"the key of {vessel!r} for {url.host} would go to the environment's proxy in the "
            "clear: use https, or list the host in NO_PROXY"
        )


def is_private(host: str) -> bool:
    """Whether a host is this machine or on a private network, as far as its name tells."""
    address = address_of(host)
    if address is None:
        return "." not in host or host.endswith(_PRIVATE_SUFFIXES) or is_this_machine(host)
    return address.is_private  # loopback and link-local addresses are, too
