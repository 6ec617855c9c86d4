"""A client's request as the gateway sends it on."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, NamedTuple, cast
from urllib.parse import unquote

from ...core.jsontext import dumps, loads
from ...core.vessel import WireRequest
from .headers import passed_on
from .routes import Route, route_of
from .translated_request import translated_request
from .upstreams import Choice, Upstreams

__all__ = ["Asked", "json_object", "read_asked", "recorded_body"]


class Asked(NamedTuple):
    """What a client asks for. path: as it was sent, without an upstream's name.

    body: the JSON object, None if it is none. content: the exact bytes.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    content: bytes
    body: dict[str, Any] | None
    route: Route
    choice: Choice

    @property
    def decoded(self) -> bool:
        """Whether a vessel decodes the answer."""
        return self.route.decoded and self.body is not None

    @property
    def streams(self) -> bool:
        """Whether a stream is asked for, as far as the dialect tells."""
        return self.body is not None and self.route.streams(self.body)

    @property
    def background(self) -> bool:
        """Whether the answer is to go on without its client, as the Responses API has it."""
        return (self.body or {}).get("background") is True

    @property
    def same_dialect(self) -> bool:
        """Whether the upstream speaks what the client does; so it is where no dialect is known."""
        return not self.route.asks_model or self.choice.upstream.speaks(self.route)

    def passed_on(self) -> WireRequest:
        """The request in the client's own dialect, its body exactly as it came."""
        upstream = self.choice.upstream
        with_key = self.choice.own and not upstream.keyed
        model = (self.body or {}).get("model", self.route.model)
        url = upstream.url(self.route, self.path, model if isinstance(model, str) else None)
        return WireRequest(
            url=_with_query(url, self.query, with_key=with_key),
            body=recorded_body(self.content, self.body),
            method=self.method,
            headers={**passed_on(self.headers, with_key=with_key), **upstream.identity},
            stream=self.streams,
            content=self.content,
            model=model if isinstance(model, str) else None,
            route=_key_route(self.route),
            reading="all" if self.decoded else "frames",
        )

    def translated(self) -> WireRequest:
        """The request in the dialect of the upstream. Raises InvalidRequestError."""
        dialect, upstream = self.route.dialect or "", self.choice.upstream
        return translated_request(dialect, self.path, self.body, upstream.vessel)[1]


def read_asked(
    upstreams: Upstreams, scope: Mapping[str, Any], headers: Mapping[str, str], content: bytes
) -> Asked:
    """The request of an ASGI scope and its body."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    raw = raw.removeprefix(scope.get("root_path", "").encode()) or b"/"
    method: str = scope["method"]
    query: str = scope["query_string"].decode("latin-1")
    named, path = upstreams.without_name(raw.decode("latin-1"))
    route = route_of(method, path, query, headers)
    body = json_object(content)
    model = (body or {}).get("model", unquote(route.model or ""))
    choice = upstreams.choose(named, path, route, model)
    if choice.cut and body is not None and "model" in body:
        content, body = _with_model(content, body, model.removeprefix(choice.cut))
    elif choice.cut:  # Gemini's paths name the model
        path = re.sub(f"/{re.escape(choice.cut[:-1])}(?:/|%2[Ff])", "/", path, count=1)
        route = route_of(method, path, query, headers)
        choice = choice._replace(path=path)
    return Asked(method, path, query, headers, content, body, route, choice)


def recorded_body(content: bytes, body: dict[str, Any] | None) -> dict[str, Any] | None:
    """What a request line says of a body. body: the JSON object in it, None if it is none."""
    if body is not None or not content:
        return body
    try:
        return {"raw": content.decode()}
    except UnicodeDecodeError:
        return {"raw_b64": b64encode(content).decode("ascii")}


def json_object(content: bytes) -> dict[str, Any] | None:
    """The JSON object that a body is; None if it is none."""
    if content.lstrip()[:1] != b"{":
        return None
    try:
        value = loads(content)
    except ValueError:
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _with_model(content: bytes, body: dict[str, Any], model: str) -> tuple[bytes, dict[str, Any]]:
    """The body with another model; its other bytes stay as they are where that is possible."""
    changed = {**body, "model": model}
    written = json.dumps(body["model"]).encode(), dumps(body["model"])
    for spelling in dict.fromkeys(written):
        pattern = rb'("model"\s*:\s*)' + re.escape(spelling)
        for found in re.finditer(pattern, content):
            exact = content[: found.end(1)] + dumps(model) + content[found.end() :]
            if json_object(exact) == changed:
                return exact, changed
    return dumps(changed), changed


def _with_query(url: str, query: str, *, with_key: bool) -> str:
    """The URL with the client's query, which wins over the upstream's own."""
    given = [each for each in query.split("&") if each]
    if not with_key:
        given = [each for each in given if each.partition("=")[0] != "key"]
    address, _, own = url.partition("?")
    names = {each.partition("=")[0] for each in given}
    kept = [each for each in own.split("&") if each and each.partition("=")[0] not in names]
    joined = "&".join([*kept, *given])
    return f"{address}?{joined}" if joined else address


def _key_route(route: Route) -> str:
    """The route in the request key where a stream has another path than a whole answer."""
    if route.dialect != "gemini" or not route.decoded:
        return ""
    return f"/models/{route.model}"
