"""The model servers behind the gateway: which one a request goes to, and at which URL.

1. The path begins with an upstream's name: `/NAME/v1/chat/completions`. The name is cut off.
2. The body's model begins with one: `NAME/model`. The name is cut off.
3. The first upstream that speaks the route's dialect, in the order in which they were given.
4. The first upstream.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from ...core.errors import ConfigurationError
from ...core.request import chat_request
from ...core.vessel import Vessel
from ...vessels import Anthropic, Azure, Gemini, Ollama, OpenAI
from .routes import Route

__all__ = ["Choice", "Upstream", "Upstreams"]

_DIALECTS: tuple[tuple[type[Vessel], tuple[str, ...]], ...] = (
    (OpenAI, ("openai", "openai-responses")),
    (Ollama, ("ollama",)),
    (Anthropic, ("anthropic",)),
    (Gemini, ("gemini",)),
)
# The gateway's own paths, and the first parts of the dialects' paths.
_TAKEN = re.compile(
    r"api|chat|completions|healthz|messages|metrics|models|responses|sessions|v\d+\w*"
)
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_VERSION = re.compile(r"/v\d+\w*\Z")
_VERSION_FIRST = re.compile(r"/v\d+\w*(?=/)")


class Upstream:
    """A model server. vessel: configured.

    Raises ConfigurationError where the name could not stand in a path, or there is no address.
    """

    def __init__(self, name: str, vessel: Vessel) -> None:
        if not _NAME.fullmatch(name) or _TAKEN.fullmatch(name):
            raise ConfigurationError(
                f"an upstream cannot be named {name!r}: its name is the first part of a path"
            )
        self.name = name
        self.vessel = vessel
        known = (dialects for kind, dialects in _DIALECTS if isinstance(vessel, kind))
        self.dialects: tuple[str, ...] = next(known, (vessel.name,))
        self._address  # noqa: B018 - a wrong one is told now

    @property
    def keyed(self) -> bool:
        """Whether it has a key of its own."""
        return bool(self.vessel.api_key)

    def url(self, route: Route, path: str, model: str | None) -> str:
        """The URL of a path of this server; with the upstream's own query."""
        root, query = self._address
        prefix = _VERSION.sub("", root)
        if isinstance(self.vessel, Azure) and route.decoded and model:
            return _chat_url(self.vessel, model).replace("/chat/completions", route.route)
        version = _VERSION_FIRST.match(path)
        if route.dialect not in self.dialects or self.dialects == ("ollama",):
            url = prefix + path
        elif "openai" in self.dialects and route.decoded:
            url = root + route.route
        elif version is None:
            url = (root if route.decoded or path.startswith("/models") else prefix) + path
        elif "gemini" in self.dialects:  # a client asks for the version that it was written for
            url = prefix + path
        else:
            url = root + path[version.end() :]
        return f"{url}?{query}" if query else url

    @cached_property
    def _address(self) -> tuple[str, str]:
        """What is before a route, and the query behind it."""
        vessel = self.vessel
        if isinstance(vessel, OpenAI):
            url, ending = _chat_url(vessel, "m"), r"(?:/deployments/m)?/chat/completions"
        elif (listed := vessel.models_request()) is not None:
            url, ending = listed.url, r"/models|/api/tags"
        else:
            url, ending = vessel.base_url, r""
        parts = urlsplit(url)
        query = "" if isinstance(vessel, Anthropic | Gemini) else parts.query
        path = re.sub(rf"(?:{ending})\Z", "", parts.path.rstrip("/"))
        return f"{parts.scheme}://{parts.netloc}{path}", query


class Choice(NamedTuple):
    """Where a request goes.

    path: without the upstream's name. cut: what is cut from the body's model, "" for nothing.
    own: the client's key is meant for this upstream: the client named it in its address, or it is
    the one that the path alone leads to, and no other dialect's.
    """

    upstream: Upstream
    path: str
    cut: str
    own: bool


class Upstreams:
    """The upstreams by name, in their order. Raises ConfigurationError."""

    def __init__(self, vessels: Mapping[str, Vessel]) -> None:
        if not vessels:
            raise ConfigurationError("a gateway needs an upstream: NAME=vessel")
        self._named = {name: Upstream(name, vessel) for name, vessel in vessels.items()}
        self._all = tuple(self._named.values())

    def without_name(self, path: str) -> tuple[Upstream | None, str]:
        """The upstream that a path names, and the path without that name."""
        first, slash, rest = path.removeprefix("/").partition("/")
        named = self._named.get(unquote(first))
        return (None, path) if named is None else (named, slash + rest or "/")

    def choose(self, named: Upstream | None, path: str, route: Route, model: Any) -> Choice:
        """The upstream of a request; named: by its path, from which the name is cut already."""
        if named is not None:
            own = not route.decoded or route.dialect in named.dialects
            return Choice(named, path, "", own=own)
        speaking = (each for each in self._all if route.dialect in each.dialects)
        usual = next(speaking, self._all[0])
        if isinstance(model, str):
            name, slash, _ = model.partition("/")
            if slash and (found := self._named.get(name)) is not None:
                own = found is usual and route.dialect in found.dialects
                return Choice(found, path, name + slash, own=own)
        known = usual.dialects if len(self._all) > 1 else (None, *usual.dialects)
        return Choice(usual, path, "", own=route.dialect in known)


def _chat_url(vessel: OpenAI, model: str) -> str:
    return vessel.request(chat_request(model, "x")).url
