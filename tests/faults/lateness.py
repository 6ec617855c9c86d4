"""How late this machine is, beside which a deadline is judged."""

from __future__ import annotations

import threading
import time
from typing import Self

__all__ = ["MOST_LATE", "Lateness"]

# Seconds by which a stream may outlive its deadline, on a machine that is never late itself.
MOST_LATE = 1.0


class Lateness:
    """Measures how late this machine is with everything, which is not the client's doing."""

    def __init__(self) -> None:
        self.worst = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        last = time.monotonic()
        while not self._over.wait(0.02):
            now = time.monotonic()
            self.worst = max(self.worst, now - last - 0.02)
            last = now

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
