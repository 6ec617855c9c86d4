"""The URL of a server's route, for every form of a base URL.

A base URL may be the host, the dialect's root, or the full address of one of its routes. Its query
(an API version, for example) stays. A path before the root, as gateways have, is read as the
official SDK reads it:

    OPENAI_BASE_URL=https://gateway/openai           /openai/chat/completions
    ANTHROPIC_BASE_URL=https://gateway/anthropic     /anthropic/v1/messages
    GOOGLE_GEMINI_BASE_URL=https://gateway/gemini    /gemini/v1beta/models/…

OpenAI's SDK appends the route alone, so the path is the root; Anthropic's appends /v1/messages and
Google's /v1beta/models, so the path is before the root, unless it ends in a version itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

from ..core.errors import ConfigurationError, InvalidRequestError

__all__ = ["ollama_base_url", "path_segment", "route_url", "split_base_url", "with_root"]

# Addresses that a server listens on, not ones to connect to (OLLAMA_HOST serves both).
_ANY_ADDRESS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - never bound
_PORT = 11434
_VERSION = re.compile(r"/v\d+\w*$")


def split_base_url(address: str) -> SplitResult:
    """The parts of the base URL `address`. Raises ConfigurationError, which does not show it."""
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


def with_root(path: str, root: str) -> str:
    """The `path` of a base URL, followed by `root` (such as "/v1") unless it ends in a version."""
    path = path.rstrip("/")
    return path if _VERSION.search(path) else path + root


def route_url(
    address: str, route: str, *, routes: Sequence[str], root: str, below_path: bool = False
) -> str:
    """The URL of `route` at `address`.

    Args:
        routes: The dialect's routes; the address may end in one of them.
        root: What is put before the route if the address has no path, such as "/v1".
        below_path: Whether the root is also put after a path that has no version.
    """
    parts = split_base_url(address)
    path = parts.path.rstrip("/")
    ending = next((known for known in routes if path.endswith(known)), "")
    path = path.removesuffix(ending)
    if not ending and (below_path or not path):
        path = with_root(path, root)
    return urlunsplit(parts._replace(path=path + route, fragment=""))


def path_segment(name: str) -> str:
    """`name`, such as a model's, quoted as one segment of a URL's path.

    Raises InvalidRequestError for `.` and `..`, which would lead to another path, for an empty
    name, and for control characters.
    """
    if name in {"", ".", ".."} or not name.isprintable():
        raise InvalidRequestError(
            f"{name!r} cannot be a name in the path of a URL: it is empty, . or .., or has a "
            "control character"
        )
    return quote(name, safe="")


def ollama_base_url(host: str) -> str:
    """The base URL for `host`, in any form of OLLAMA_HOST; by default http and port 11434."""
    host = host.strip().strip("\"'")
    scheme, separator, rest = host.partition("://")
    if not separator:
        scheme, rest = "http", host
    try:
        parts = urlsplit(f"//{rest}")
        port = parts.port
    except ValueError:
        return host
    if parts.path and not parts.netloc:
        return host
    name = parts.netloc.rpartition("@")[2]
    name = name.partition("]")[0] + "]" if name.startswith("[") else name.partition(":")[0]
    reached = _ANY_ADDRESS.get(name.strip("[]"), name)
    user = parts.netloc.rpartition("@")[0]
    user = f"{user}@" if user else ""
    if port is None and not separator:
        port = _PORT
    ending = f":{port}" if port is not None else ""
    query = f"?{parts.query}" if parts.query else ""
    return f"{scheme}://{user}{reached}{ending}{parts.path}{query}"
