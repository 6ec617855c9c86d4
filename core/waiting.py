"""Waiting for a queue, so that no signal is missed."""

from __future__ import annotations

import math
import time
from queue import Empty, SimpleQueue
from typing import TypeVar

__all__ = ["wait_for"]

_Item = TypeVar("_Item")

# Seconds between two looks for signals: one that comes just before a wait does not end it.
_UNNOTICED = 0.5


def wait_for(queue: SimpleQueue[_Item], timeout: float | None = None) -> _Item:
    """The queue's next item. Raises Empty if none comes in `timeout` seconds.

    Signal handlers, Ctrl-C's among them, run while it waits, and may raise.
    """
    until = math.inf if timeout is None else time.monotonic() + timeout
    while (left := until - time.monotonic()) > _UNNOTICED:
        try:
            return queue.get(timeout=_UNNOTICED)
        except Empty:
            continue
    return queue.get(timeout=max(left, 0.0))
