"""Stops answers that another process of this machine writes to the same folder.

Who wants a session stopped puts a file of its name into `.stop` in the folder of recordings, and
waits until it is gone. A process looks there while it sends answers, cancels those that are meant
and removes the file.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from weakref import WeakKeyDictionary

from ..core.client.async_stream import AsyncStream

__all__ = ["stop_elsewhere", "stoppable"]

_FOLDER = ".stop"
_LOOK = 0.2  # seconds between two looks into the folder
_PATIENCE = 3.0  # seconds in which a process that is not overloaded has looked
_STALE = 30.0  # seconds after which nobody waits any more: whoever asked has died


@contextmanager
def stoppable(stream: object) -> Generator[None]:
    """While this lasts, other processes may stop the stream."""
    if not isinstance(stream, AsyncStream):
        yield
        return
    loop = asyncio.get_running_loop()
    watch = _WATCHES.setdefault(loop, _Watch())
    watch.add(stream)
    try:
        yield
    finally:
        watch.remove(stream)


async def stop_elsewhere(recording: Path) -> bool:
    """Have the answers that are recorded there stopped.

    False if nobody has done so, also because this process may not write to the folder.
    """
    folder = recording.parent / _FOLDER
    asked = folder / recording.stem
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        asked.touch(mode=0o600)
    except OSError:
        return False
    try:
        async with asyncio.timeout(_PATIENCE):
            while asked.exists():  # noqa: ASYNC110 - another process removes it
                await asyncio.sleep(_LOOK / 4)
    except TimeoutError:
        return False
    finally:
        asked.unlink(missing_ok=True)
    return True


class _Watch:
    """The streams that an event loop sends, and the task that looks for them."""

    def __init__(self) -> None:
        self._streams: set[AsyncStream] = set()
        self._task: asyncio.Task[None] | None = None

    def add(self, stream: AsyncStream) -> None:
        self._streams.add(stream)
        if self._task is None:
            self._task = asyncio.create_task(self._look())

    def remove(self, stream: AsyncStream) -> None:
        self._streams.discard(stream)
        if not self._streams and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK)
            paths = {stream.path: stream for stream in self._streams if stream.path is not None}
            for folder in {path.parent / _FOLDER for path in paths}:
                for name in _asked(folder):
                    meant = [paths[path] for path in paths if path.stem == name]
                    for stream in meant:
                        stream.cancel()
                    if meant:
                        with suppress(OSError):  # then the answer is stopped, and nobody is told
                            (folder / name).unlink(missing_ok=True)


def _asked(folder: Path) -> list[str]:
    """The sessions to be stopped."""
    names: list[str] = []
    with suppress(OSError):
        for path in folder.iterdir():
            with suppress(
                OSError
            ):  # of one that is gone, or is no file, the others are still meant
                if time.time() - path.stat().st_mtime < _STALE:
                    names.append(path.name)
                else:
                    path.unlink()
    return names


_WATCHES: WeakKeyDictionary[asyncio.AbstractEventLoop, _Watch] = WeakKeyDictionary()
