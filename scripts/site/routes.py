"""The page with the HTTP routes, read from the applications that serve them."""

from __future__ import annotations

import inspect
from typing import Any

from vesselog import AsyncClient
from vesselog.server import sessions_app

__all__ = ["page"]

_HEADING = """# HTTP routes

## Sessions

Of `vesselog.server.sessions_app`, below the path at which it is mounted. A session that `authorize`
refuses is answered by 404.

"""
_RESUMING = """## Last-Event-ID

A browser's `EventSource` sends the header `Last-Event-ID` by itself when it connects again. Its
value is the id of the last event that it got, `SESSION:CALL:SEQ`. A route that gets it sends the
events after that one. The model is not asked again.
[Stream to a browser](../browser.md) has an example.
"""


def page() -> str:
    """The text of the page."""
    app: Any = sessions_app(AsyncClient(recordings=None), authorize=lambda *_: False)
    _, _, told = (inspect.getdoc(sessions_app) or "").partition("\n\n")
    parts = [_HEADING, told.partition("\n\nArgs:")[0], "\n\n"]
    for route in app.routes:
        methods = ", ".join(sorted(route.methods - {"HEAD"}))
        parts.append(f"`{methods} {route.path}`\n:   {_told(route.endpoint)}\n\n")
    return "".join([*parts, _RESUMING])


def _told(endpoint: Any) -> str:
    """The docstring of the function that answers, also where another one wraps it."""
    inner = inspect.getclosurevars(endpoint).nonlocals.get("answer", endpoint)
    return " ".join((inspect.getdoc(inner) or "").split())
