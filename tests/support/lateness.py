"""How late this machine is, beside which a deadline is judged."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Self

__all__ = ["MOST_LATE", "Lateness", "lasting"]

# Seconds by which a stream may outlive its deadline, on a machine that is never late itself.
MOST_LATE = 1.0

_PAUSE = 0.02


class Lateness:
    """Measures how late this machine is with everything, which is not the client's doing.

    A thread wakes, and appends a byte to a file, as recorders do. seconds: how late it was in all.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        with tempfile.TemporaryFile(buffering=0) as file:
            last = time.monotonic()
            while not self._over.wait(_PAUSE):
                file.write(b".")
                now = time.monotonic()
                self.seconds += now - last - _PAUSE
                last = now

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


@contextmanager
def lasting(least: float, most: float | None = None) -> Generator[None]:
    """What is in here ends at a deadline: after so many seconds, and soon after them."""
    with Lateness() as lateness:
        begun = time.monotonic()
        yield
        took = time.monotonic() - begun
    assert least <= took < (most or least) + MOST_LATE + lateness.seconds
