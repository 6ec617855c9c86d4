"""Keeps a test from the network: this machine can be reached, nothing else.

By an audit hook (https://docs.python.org/3/library/audit_events.html), which sees every connection
that Python's own sockets make, in all threads. Libraries that bring sockets of their own, such as
uvloop and grpcio, are not seen, and neither are other processes.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from typing import Any, cast

from ..core.http.proxies import is_this_machine

__all__ = ["NetworkBlockedError", "network_blocked"]

_CONNECTING = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})

# How many blocks want it: a hook can be added, but not taken away.
_blocking: list[None] = []


class NetworkBlockedError(RuntimeError):
    """A test that replays tried to reach another machine.

    No OSError: libraries would take it for a network that is down, and try again.
    """


@contextmanager
def network_blocked() -> Generator[None]:
    """Within the block, reaching another machine raises NetworkBlockedError."""
    _install()
    _blocking.append(None)
    try:
        yield
    finally:
        _blocking.pop()


@cache
def _install() -> None:
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if not _blocking or not event.startswith("socket."):
        return
    if event in _CONNECTING:
        address = arguments[1]
        # The address of a socket within this machine is a path, not a pair.
        host = cast("tuple[Any, ...]", address)[0] if isinstance(address, tuple) else None
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if isinstance(name, str) and name and not is_this_machine(name.partition("%")[0]):
        raise NetworkBlockedError(
            f"this test replays recorded answers, and tried to reach {name}. Give the code the "
            "client or a base URL of the ground_truth fixture, or allow it: network=True"
        )
