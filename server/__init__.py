"""The HTTP side: answers sent to browsers, and recordings served as the providers that made them.

All but `EventBytes`, `EventId` and `in_use` need the `server` extra.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..core.errors import ConfigurationError
from .event_bytes import EventBytes
from .event_ids import EventId
from .in_use import in_use
from .loopback import on_loopback
from .replay import replay_app

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
    "in_use",
    "on_loopback",
    "replay_app",
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
