"""A client's request as a replay server looks for its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from ..core.errors import VesselogError
from .asgi import Scope
from .gateway.headers import request_headers
from .gateway.request import Asked, json_object, read_asked, recorded_body
from .gateway.routes import Route, route_of
from .gateway.upstreams import Upstreams

__all__ = ["ReplayRequest", "read_request"]


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """A request. path: without an upstream's name. line: what its request line would say.

    upstream: the one that it would go to, if that speaks its dialect. asked: as a gateway has it;
    None without upstreams.
    """

    scope: Scope
    path: str
    content: bytes
    body: Mapping[str, Any] | None
    route: Route
    line: Mapping[str, Any]
    upstream: str | None = None
    asked: Asked | None = None

    def translated_line(self) -> Mapping[str, Any] | None:
        """As `line`, of the request that a gateway makes of it for an upstream of another dialect.

        None if it is passed on as it is, or cannot be translated.
        """
        asked = self.asked
        if asked is None or asked.same_dialect:
            return None
        try:
            sent = asked.translated()
        except VesselogError:  # the gateway refuses it
            return None
        return {"method": sent.method, "url": sent.url, "body": sent.body}

    def at(self, upstream: str) -> Scope:
        """The scope of the same request to this upstream."""
        raw = f"{self.scope.get('root_path', '')}/{upstream}{self.path}"
        return {**self.scope, "path": unquote(raw), "raw_path": raw.encode("latin-1")}


def read_request(upstreams: Upstreams | None, scope: Scope, content: bytes) -> ReplayRequest:
    """The request of an ASGI scope and its body."""
    headers = request_headers(scope["headers"])
    method, query = str(scope["method"]), scope["query_string"].decode("latin-1")
    upstream: str | None = None
    asked: Asked | None = None
    if upstreams is None:
        raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
        path, body = raw.decode("latin-1"), json_object(content)
        route = route_of(method, path, query, headers)
    else:
        asked = read_asked(upstreams, scope, headers, content)
        path, content, body, route = asked.path, asked.content, asked.body, asked.route
        chosen = asked.choice.upstream
        upstream = chosen.name if chosen.speaks(route) else None
    line = {"method": method, "url": f"{path}?{query}", "body": recorded_body(content, body)}
    return ReplayRequest(scope, path, content, body, route, line, upstream, asked)
