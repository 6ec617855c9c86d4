"""Signals that ask a program to end do so as Ctrl-C does: an answer is recorded as cancelled."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

__all__ = ["Received", "Terminated", "signals_raise"]

# The terminal was closed (SIGHUP; Windows has none), or another program ends this one.
_SIGNALS = ("SIGHUP", "SIGTERM")


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP was received."""


class Received:
    """signal: the number of the first such signal; None while none was received."""

    signal: int | None = None


@contextmanager
def signals_raise() -> Generator[Received]:
    """Raise Terminated in this block on SIGTERM and SIGHUP; yields which of them it was.

    Only in the main thread, and not for a signal that the caller ignores (nohup) or handles.
    """
    received = Received()

    def terminate(number: int, _frame: Any) -> None:
        received.signal = received.signal or number
        raise Terminated

    replaced: list[signal.Signals] = []
    if threading.current_thread() is threading.main_thread():
        found = (getattr(signal, name) for name in _SIGNALS if hasattr(signal, name))
        replaced = [number for number in found if signal.getsignal(number) is signal.SIG_DFL]
    for number in replaced:
        signal.signal(number, terminate)
    try:
        yield received
    finally:
        for number in replaced:
            signal.signal(number, signal.SIG_DFL)
