"""SIGTERM ends a command as Ctrl-C does: what was being recorded is recorded as cancelled."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

__all__ = ["Terminated", "sigterm_raises"]


class Terminated(KeyboardInterrupt):
    """SIGTERM was received."""


class Received:
    """terminated: whether SIGTERM was received."""

    terminated = False


@contextmanager
def sigterm_raises() -> Generator[Received]:
    """Raise Terminated in this block on SIGTERM; yields whether that happened.

    Only in the main thread, and not if the caller ignores or handles SIGTERM itself.
    """
    received = Received()

    def terminate(_number: int, _frame: Any) -> None:
        received.terminated = True
        raise Terminated

    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield received
        return
    signal.signal(signal.SIGTERM, terminate)
    try:
        yield received
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
