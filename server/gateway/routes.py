"""Which dialect a request speaks, by its method, its path and its headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

__all__ = ["GEMINI_LIST", "Route", "route_of"]

GEMINI_LIST = "gemini-list"
"""The form of a stream of Gemini's that is one JSON list, and of the errors in its place."""


class Route(NamedTuple):
    """What a path tells.

    dialect: None where no vessel knows it. route: the path below the dialect's root, "" where it is
    not one that asks a model. model: that the path names. listed: the stream that is asked for is
    a JSON list: without alt=sse Gemini's is.
    """

    dialect: str | None
    route: str = ""
    model: str | None = None
    listed: bool = False

    @property
    def asks_model(self) -> bool:
        """Whether the request could be translated for an upstream of another dialect."""
        return bool(self.route)

    @property
    def decoded(self) -> bool:
        """Whether a vessel of the dialect decodes the answers."""
        return bool(self.route) and not self.listed

    @property
    def form(self) -> str | None:
        """The form of the errors: the dialect, or GEMINI_LIST."""
        return GEMINI_LIST if self.listed else self.dialect

    def streams(self, body: Mapping[str, Any]) -> bool:
        """Whether a request with this body asks for a stream."""
        if self.dialect == "gemini":
            return self.route.startswith(":stream") and not self.listed
        return body.get("stream", self.dialect == "ollama") is True


# AzureOpenAI's paths name the deployment; a base URL may have been given without its /v1.
_OPENAI = re.compile(
    r"(?:/openai)?(?:/v1)?(?:/deployments/([^/]+))?(/chat/completions|/completions|/responses)/?"
)
_OLLAMA = re.compile(r"(/api/chat|/api/generate)/?")
_ANTHROPIC = re.compile(r"(?:/v1)?(/messages)/?")
_GEMINI = re.compile(r"(?:/v\d+\w*)?/\w+/(.+)(:streamGenerateContent|:generateContent)")
_GOOGLES_VERSION = re.compile(r"/v\d+(?:alpha|beta)\w*/")


def route_of(method: str, path: str, query: str, headers: Mapping[str, str]) -> Route:
    """The route of a request; headers: names in lower case."""
    if method == "POST":
        if found := _OPENAI.fullmatch(path):
            route = found[2]
            dialect = "openai-responses" if route == "/responses" else "openai"
            return Route(dialect, route, found[1])
        if found := _OLLAMA.fullmatch(path):
            return Route("ollama", found[1])
        if found := _ANTHROPIC.fullmatch(path):
            return Route("anthropic", found[1])
        if found := _GEMINI.fullmatch(path):
            asked = dict(parse_qsl(query))
            events = "sse" in {asked.get("alt"), asked.get("$alt")}
            listed = found[2].startswith(":stream") and not events
            return Route("gemini", found[2], found[1], listed)
    return Route(_dialect_of_others(path, headers))


def _dialect_of_others(path: str, headers: Mapping[str, str]) -> str | None:
    if path.startswith("/api/") or path == "/":
        return "ollama"  # whose clients ask for / to see whether it runs
    if _GOOGLES_VERSION.match(path):
        return "gemini"
    if path.startswith(("/v1/messages", "/messages")):
        return "anthropic"
    if path.startswith(("/v1/", "/openai/", "/models")):
        if "anthropic-version" in headers:
            return "anthropic"
        return "gemini" if "x-goog-api-key" in headers else "openai"
    return None
