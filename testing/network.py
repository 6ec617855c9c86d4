"""Keeps a test from the network: this machine can be reached, nothing else.

By an audit hook (https://docs.python.org/3/library/audit_events.html), which sees every connection
that Python's own sockets make, in all threads. uvloop connects without them, so the methods of its
loop check too. Other libraries with sockets of their own, such as grpcio, are not stopped, and
neither are other processes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cache, wraps
from importlib import import_module
from importlib.util import find_spec
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
    if find_spec("uvloop") is not None:
        loop = import_module("uvloop").Loop
        for name, host_of in _UVLOOP.items():
            setattr(loop, name, _checked(getattr(loop, name), host_of))


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
    _check(host)


def _checked(connect: Callable[..., Any], host_of: Callable[..., Any]) -> Callable[..., Any]:
    """The method of a loop, which checks its host first while the network is blocked."""

    @wraps(connect)
    def checked(*arguments: Any, **named: Any) -> Any:
        if _blocking:
            _check(host_of(*arguments, **named))
        return connect(*arguments, **named)

    return checked


def _connection(_loop: Any, _factory: Any, host: Any = None, *_: Any, **__: Any) -> Any:
    return host


def _datagrams(
    _loop: Any, _factory: Any, _local: Any = None, remote_addr: Any = None, **_: Any
) -> Any:
    return remote_addr[0] if remote_addr else None


def _lookup(_loop: Any, host: Any, *_: Any, **__: Any) -> Any:
    return host


# As asyncio's loops have them: https://docs.python.org/3/library/asyncio-eventloop.html
_UVLOOP: dict[str, Callable[..., Any]] = {
    "create_connection": _connection,
    "create_datagram_endpoint": _datagrams,
    "getaddrinfo": _lookup,
}


def _check(host: object) -> None:
    """Raise NetworkBlockedError if it is another machine."""
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if isinstance(name, str) and name and not is_this_machine(name.partition("%")[0]):
        raise NetworkBlockedError(
            f"this test replays recorded answers, and tried to reach {name}. Give the code the "
            "client or a base URL of the ground_truth fixture, or allow it: network=True"
        )
