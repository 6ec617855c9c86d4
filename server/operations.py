"""The routes for those who run a server: `/healthz` and `/metrics`."""

from __future__ import annotations

from collections.abc import Callable

from .asgi import Application, Receive, Scope, Send

__all__ = ["Operations"]

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Operations:
    """Answers the two routes, and passes on everything else. metrics: gives the figures' text."""

    def __init__(self, app: Application, metrics: Callable[[], str]) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope["path"] if scope["type"] == "http" else ""
        if path == "/healthz":
            await _say("ok\n", "text/plain", scope, send)
        elif path == "/metrics":
            await _say(self._metrics(), _METRICS_TYPE, scope, send)
        else:
            await self._app(scope, receive, send)


async def _say(text: str, kind: str, scope: Scope, send: Send) -> None:
    known = scope["method"] in {"GET", "HEAD"}
    body = text.encode() if known else b"only GET\n"
    headers = [
        (b"content-type", kind.encode() if known else b"text/plain"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *([] if known else [(b"allow", b"GET, HEAD")]),
    ]
    status = 200 if known else 405
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
