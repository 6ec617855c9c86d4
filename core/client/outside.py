"""Closes the responses of dropped streams, but never in the middle of httpx's own work.

A finaliser runs wherever the garbage collector strikes, also in a thread that is inside a transport
and holds its pool's lock. Closing a response takes that lock, and would wait for ever. So a thread
says while it is inside, and closes what was dropped meanwhile as soon as it comes out. So too for
a body that was half read: its generators close the response when they are dropped.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from types import TracebackType

import httpx

__all__ = ["INSIDE", "close_outside", "next_inside"]


class _Here:
    """One thread's state: how often it is inside, and what it dropped meanwhile."""

    __slots__ = ("depth", "dropped")

    def __init__(self) -> None:
        self.depth = 0
        self.dropped: deque[tuple[httpx.Response, Iterable[bytes]]] = deque()

    def close_dropped(self) -> None:
        while self.dropped and not self.depth:
            self.depth += 1
            try:
                response, _body = self.dropped.popleft()
                response.close()
            finally:
                self.depth -= 1


class _Threads(threading.local):
    def __init__(self) -> None:
        self.here = _Here()


_threads = _Threads()


class _Inside:
    def __enter__(self) -> None:
        _threads.here.depth += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        here = _threads.here
        here.depth -= 1
        here.close_dropped()


INSIDE = _Inside()
"""`with` it around every call into httpx that may take a lock."""


def next_inside(body: Iterator[bytes]) -> bytes | None:
    """The next piece of a body, None at its end; as `with INSIDE`, for less than half of that."""
    here = _threads.here
    here.depth += 1
    try:
        return next(body, None)
    finally:
        here.depth -= 1
        if here.dropped:
            here.close_dropped()


def close_outside(response: httpx.Response, body: Iterable[bytes]) -> None:
    """Close a response now, or when this thread has come out of httpx. Safe in a finaliser.

    body: what iterates over it; kept until then.
    """
    here = _threads.here
    if here.depth:
        here.dropped.append((response, body))
    else:
        with INSIDE:
            response.close()
