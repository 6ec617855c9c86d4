"""The sync and the async client, each with and without `fast`, driven by `talking`."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import pytest

from loopback import LoopbackServer
from talking import Talker, talking

__all__ = ["CLIENTS", "every_one_of_four", "talking_by"]

# The kind that `talking` knows, and what else the client is given.
CLIENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "sync": ("sync", {}),
    "sync-fast": ("sync", {"fast": True}),
    "async": ("async", {}),
    "async-fast": ("fast", {}),
}
every_one_of_four = pytest.mark.parametrize("client", CLIENTS)


def talking_by(
    client: str, server: LoopbackServer | str | None = None, **settings: Any
) -> AbstractContextManager[Talker]:
    """`talking` with this one of the four clients."""
    kind, more = CLIENTS[client]
    return talking(kind, server, **more, **settings)
