"""The HTTP side: answers sent to browsers, and recordings served as the providers that made them.

All but `EventBytes`, `EventId` and `session_in_use` need the `server` extra.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..core.errors import ConfigurationError
from .event_bytes import EventBytes
from .event_ids import EventId
from .loopback import serve_in_thread
from .replay import replay_app
from .session_in_use import session_in_use

if TYPE_CHECKING:
    from .event_stream import EventStream
    from .gateway.gateway import Gateway
    from .gateway.upstreams import gateway_vessels
    from .session_routes import sessions_app

__all__ = [
    "EventBytes",
    "EventId",
    "EventStream",
    "Gateway",
    "gateway_vessels",
    "replay_app",
    "serve_in_thread",
    "session_in_use",
    "sessions_app",
]

# Imported when they are asked for: most are made of Starlette, an extra.
_LATER = {
    "EventStream": "event_stream",
    "Gateway": "gateway.gateway",
    "gateway_vessels": "gateway.upstreams",
    "sessions_app": "session_routes",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f".{_LATER[name]}", __name__), name)
    except ImportError:
        raise ConfigurationError(
            f"{name} needs the server extra: pip install 'vesselog[server]'"
        ) from None
