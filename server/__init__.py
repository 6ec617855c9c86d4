"""The HTTP side: answers sent to browsers, and recordings served as the providers that made them.

Needs the `server` extra, but for `EventBytes`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.errors import ConfigurationError
from .event_bytes import EventBytes
from .loopback import on_loopback
from .replay import replay_app

if TYPE_CHECKING:
    from .event_stream import EventStream

__all__ = ["EventBytes", "EventStream", "on_loopback", "replay_app"]


def __getattr__(name: str) -> object:
    # A response for Starlette has to be a class of Starlette, which is an extra.
    if name != "EventStream":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from .event_stream import EventStream  # noqa: PLC0415
    except ImportError:
        raise ConfigurationError(
            "EventStream needs the server extra: pip install 'vesselog[server]'"
        ) from None
    return EventStream
