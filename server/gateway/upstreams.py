"""The model servers behind the gateway: which one a request goes to, and at which URL.

1. The path begins with an upstream's name: `/NAME/v1/chat/completions`. The name is cut off.
2. The body's model begins with one: `NAME/model`. The name is cut off.
3. The first upstream that speaks the route's dialect, in the order in which they were given.
4. The first upstream.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from ...core.errors import ConfigurationError
from ...core.request import chat_request
from ...core.vessel import Vessel, WireRequest
from ...vessels import Anthropic, Azure, Gemini, OpenAI, OpenAIResponses
from ..check_arguments import check_vessels
from .azure_paths import azure_url
from .routes import Route
from .translated_request import dialect_of

__all__ = ["Choice", "Upstream", "Upstreams", "gateway_vessels"]

_OPENAIS = frozenset({"openai", "openai-responses"})
# Of the vessel for a route that the upstream's own vessel does not decode.
_RESPONSES = ":responses"
# The gateway's own paths, and the first parts of the dialects' paths.
_TAKEN = re.compile(
    r"api|chat|completions|healthz|messages|metrics|models|responses|sessions|v\d+\w*"
)
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_VERSION = re.compile(r"/v\d+\w*\Z")
_VERSION_FIRST = re.compile(r"/v\d+\w*(?=/)")


class _Address(NamedTuple):
    """What is before a route, the query behind it, and the upstream's own headers."""

    root: str
    query: str
    headers: Mapping[str, str]


class Upstream:
    """A model server. vessel: configured.

    Raises ConfigurationError where the name could not stand in a path, or there is no address.
    """

    def __init__(self, name: str, vessel: Vessel) -> None:
        _check_name(name)
        self.name = name
        self.vessel = vessel
        self._has_responses = _has_responses(vessel)
        self.dialects = _OPENAIS if self._has_responses else frozenset({dialect_of(vessel)})
        self._address  # noqa: B018 - a wrong one is told now

    def speaks(self, route: Route) -> bool:
        """Whether the route is of its dialect; of its provider if the answer is not decoded."""
        if not route.decoded and self.dialects & _OPENAIS:
            return route.dialect in _OPENAIS
        return route.dialect in self.dialects

    def vessel_name(self, route: Route) -> str:
        """The name in the client of the vessel for a route."""
        responses = route.decoded and route.dialect == "openai-responses"
        return self.name + _RESPONSES if responses and self._has_responses else self.name

    @property
    def identity(self) -> Mapping[str, str]:
        """Headers that belong to its own key, such as an organization's."""
        return self._address.headers if self.keyed else {}

    @property
    def keyed(self) -> bool:
        """Whether it has a key of its own."""
        return bool(self.vessel.api_key)

    def url(self, route: Route, path: str, model: str | None) -> str:
        """The URL of a path of this server; with the upstream's own query."""
        root, query, _ = self._address
        prefix = _VERSION.sub("", root)
        if isinstance(self.vessel, Azure):
            known = azure_url(root, query, path) if self._has_responses else None
            if known is not None:
                return known
        if isinstance(self.vessel, Azure) and route.decoded and model:
            return _chat(self.vessel, model).url.replace("/chat/completions", route.route)
        version = _VERSION_FIRST.match(path)
        if not self.speaks(route) or "ollama" in self.dialects:
            url = prefix + path
        elif self.dialects & _OPENAIS and route.decoded:
            url = root + route.route
        elif version is None:
            url = (root if route.decoded or path.startswith("/models") else prefix) + path
        elif "gemini" in self.dialects:  # a client asks for the version that it was written for
            url = prefix + path
        else:
            url = root + path[version.end() :]
        return f"{url}?{query}" if query else url

    @cached_property
    def _address(self) -> _Address:
        vessel = self.vessel
        if isinstance(vessel, OpenAI):
            known: WireRequest | None = _chat(vessel, "m")
            deployment = "[^/]+" if isinstance(vessel, Azure) else "m"
            ending = rf"(?:/deployments/{deployment})?/chat/completions"
        else:
            known, ending = vessel.models_request(), r"/models|/api/tags"
        parts = urlsplit(vessel.base_url if known is None else known.url)
        query = "" if isinstance(vessel, Anthropic | Gemini) else parts.query
        path = re.sub(rf"(?:{ending})\Z", "", parts.path.rstrip("/"))
        headers: Mapping[str, str] = {} if known is None else known.headers
        return _Address(f"{parts.scheme}://{parts.netloc}{path}", query, headers)


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

    def speaking(self, route: Route) -> Upstream | None:
        """The first one of a route's dialect."""
        return next((each for each in self._all if each.speaks(route)), None)

    def choose(self, named: Upstream | None, path: str, route: Route, model: Any) -> Choice:
        """The upstream of a request; named: by its path, from which the name is cut already."""
        if named is not None:
            own = not route.asks_model or named.speaks(route)
            return Choice(named, path, "", own=own)
        usual = self.speaking(route) or self._all[0]
        if isinstance(model, str):
            name, slash, _ = model.partition("/")
            if slash and (found := self._named.get(name)) is not None:
                own = found is usual and found.speaks(route)
                return Choice(found, path, name + slash, own=own)
        only = len(self._all) == 1 and route.dialect is None
        return Choice(usual, path, "", own=only or usual.speaks(route))


def gateway_vessels(
    upstreams: Mapping[str, Vessel], environment: Mapping[str, str] | None = None
) -> dict[str, Vessel]:
    """The vessels that a gateway's client needs for these upstreams, configured.

    OpenAI's own API and Azure's have two dialects, and so a second vessel.

    Args:
        upstreams: The model servers by name.
        environment: Where hosts and keys are looked up, in place of os.environ.

    Raises:
        ConfigurationError: A name cannot be an upstream's, or what it names is no vessel.
    """
    check_vessels(upstreams)
    found: dict[str, Vessel] = {}
    for name, given in upstreams.items():
        _check_name(name)
        found[name] = vessel = given.configured(os.environ if environment is None else environment)
        if _has_responses(vessel):
            found[name + _RESPONSES] = _Responses(vessel)
    return found


class _Responses(OpenAIResponses):
    """The other dialect of a server, with the key as its vessel sends it."""

    def __init__(self, vessel: Vessel) -> None:
        key = (lambda: vessel.api_key or "") if vessel.api_key else None
        super().__init__(base_url=vessel.base_url, api_key=key, headers=vessel.headers)
        self._other = vessel

    def authorization(self, key: str) -> dict[str, str]:
        return self._other.authorization(key)


def _has_responses(vessel: Vessel) -> bool:
    """Whether it has the Responses API: OpenAI and Azure have, few others of their dialect do."""
    if isinstance(vessel, Azure):  # whose /models are other makers', with chats alone
        return not urlsplit(_chat(vessel, "m").url).path.endswith("/models/chat/completions")
    host = urlsplit(vessel.base_url).hostname if isinstance(vessel, OpenAI) else None
    return f".{host}".endswith(".api.openai.com")


def _chat(vessel: OpenAI, model: str) -> WireRequest:
    return vessel.request(chat_request(model, "x"))


def _check_name(name: str) -> None:
    """Raise ConfigurationError where the name could not stand in a path."""
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"an upstream cannot be named {name!r}: use letters, digits, '.', '_' and '-'"
        )
    if _TAKEN.fullmatch(name):
        raise ConfigurationError(
            f"an upstream cannot be named {name!r}: /{name} is a path of the gateway or of a "
            "dialect; choose another name"
        )
