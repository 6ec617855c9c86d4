"""The HTTP side: recordings served as the providers that made them. Needs the `server` extra."""

from __future__ import annotations

from .loopback import on_loopback
from .replay import replay_app

__all__ = ["on_loopback", "replay_app"]
