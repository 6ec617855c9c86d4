"""Tells followers in a writer's own process that it has written.

While nobody follows anything, it costs a writer one look at an empty dict.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

__all__ = ["FOLLOWED", "followed", "wake_followers"]

# Device and inode of each followed file, and a weak reference to its `Tail`: an event loop may be
# closed over tasks that wait, and all that they hold must be collected with them.
FOLLOWED: dict[tuple[int, int], Callable[[], Any]] = {}


def followed(file_id: tuple[int, int]) -> Any:
    """The `Tail` of the file with this device and inode; None if nobody follows it."""
    reference = FOLLOWED.get(file_id)
    return None if reference is None else reference()


def wake_followers(fd: int) -> None:
    """Tell the followers of this open file how long it is now."""
    status = os.fstat(fd)
    tail = followed((status.st_dev, status.st_ino))
    if tail is not None:
        tail.told(status.st_size)
