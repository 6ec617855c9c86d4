"""Which dialect a request speaks, by its method, its path and its headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["Route", "route_of"]


class Route(NamedTuple):
    """What a path tells.

    dialect: None where no vessel knows it. route: the path below the dialect's root, "" where it is
    not one whose answers a vessel decodes. model: that the path names.
    """

    dialect: str | None
    route: str = ""
    model: str | None = None

    @property
    def decoded(self) -> bool:
        """Whether a vessel of the dialect decodes the answers."""
        return bool(self.route)

    def streams(self, body: Mapping[str, Any]) -> bool:
        """Whether a request with this body asks for a stream."""
        if self.dialect == "gemini":
            return self.route.startswith(":stream")
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
            # Without alt=sse a stream is one JSON array, which no vessel decodes.
            array = found[2].startswith(":stream") and "alt=sse" not in query.split("&")
            return Route("gemini", "" if array else found[2], found[1])
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
