"""Which recorded call answers a request.

A request is answered by the calls with its key, in recorded order, each once: the key is that of
replay (route and body without `stream`). Attempts that were retried are calls like any other here,
since on the wire they were requests of their own. A call that never got an answer cannot be served
and is left out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from ..core.errors import ConfigurationError, ReplayMissError
from ..core.truth.recording import RecordedCall, Recording
from ..core.truth.request_key import request_key

__all__ = ["Catalogue", "Match"]

Match = Literal["key", "route"]


class Catalogue:
    """The calls of some recordings, by request key and by route.

    match: with "key", a request that was not recorded, or not so often, is a miss. With "route" it
    gets the next recorded answer of its method and path instead, from the first again after the
    last: for demos, and for a front end whose author types what he likes. The requests are held in
    memory, the answers are not. Raises RecordingError for what cannot be read.
    """

    def __init__(self, recordings: Iterable[Path], match: Match = "key") -> None:
        if match not in {"key", "route"}:
            raise ConfigurationError(f'no match {match!r}: give "key" or "route"', setting="match")
        self._match = match
        self._by_key: dict[str, deque[RecordedCall]] = {}
        self._by_route: dict[tuple[str, str], deque[RecordedCall]] = {}
        self.models: dict[str, list[str]] = {}
        """The models that were asked for, by the path they were asked at."""
        for path in recordings:
            for call in Recording(path).calls():
                if call.response is not None:
                    self._add(call)

    def answer(self, method: str, path: str, body: Mapping[str, Any] | None) -> RecordedCall:
        """The call whose answer this request gets. Raises ReplayMissError."""
        waiting = self._by_key.get(request_key(path, body))
        route = self._by_route.get((method, path))
        if waiting and route and _method(waiting[0]) == method:
            call = waiting.popleft()
            route.remove(call)
            route.append(call)
            return call
        if self._match == "route" and route:
            route.rotate(-1)
            return route[-1]
        raise self._miss(method, path, known=waiting is not None)

    def _add(self, call: RecordedCall) -> None:
        path = _path(call)
        key = call.request.get("key")
        if not isinstance(key, str):
            body = call.request.get("body")
            key = request_key(
                path, cast("dict[str, Any]", body) if isinstance(body, dict) else None
            )
        self._by_key.setdefault(key, deque()).append(call)
        self._by_route.setdefault((_method(call), path), deque()).append(call)
        model = call.request.get("model")
        models = self.models.setdefault(path, [])
        if isinstance(model, str) and model not in models:
            models.append(model)

    def _miss(self, method: str, path: str, *, known: bool) -> ReplayMissError:
        if known:
            return ReplayMissError(
                "every recorded answer to this request has been given; restart to begin again"
            )
        if (method, path) in self._by_route:
            models = ", ".join(self.models.get(path, [])) or "no model"
            return ReplayMissError(
                f"{method} {path} was not recorded with this body (recorded there: {models})"
            )
        routes = ", ".join(f"{each} {route}" for each, route in sorted(self._by_route))
        return ReplayMissError(f"{method} {path} was not recorded; recorded: {routes or 'nothing'}")


def _method(call: RecordedCall) -> str:
    return str(call.request.get("method", "POST")).upper()


def _path(call: RecordedCall) -> str:
    return urlsplit(str(call.request.get("url", ""))).path or "/"
