"""Lets a blocked sync stream be woken: by its deadline, or by `cancel()` from another thread.

The alarm of a stream travels through httpx, and httpcore, as the stream's timeout, which they hand
on unread (socket_stream.py); there it decides how long a socket is waited for.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import select
import socket
import threading
from collections.abc import Callable

__all__ = ["READ", "WRITE", "Alarm", "Deadline", "Interrupted", "Wait", "check", "poll", "wait"]

# What a socket is to be ready for: POLLIN and POLLOUT of `poll`, which Windows does not have.
READ, WRITE = 0x001, 0x004

Deadline = Callable[[], tuple[float | None, str]]
"""Gives the seconds left, None for no limit, and the name of the phase that then ends."""


# Seconds; the system counts milliseconds in 31 bits.
_LONGEST = 2_000_000.0


class Interrupted(Exception):  # noqa: N818 - a message between threads, no error
    """Waiting ended before the socket was ready. phase: the deadline's, or "cancelled"."""

    def __init__(self, phase: str) -> None:
        super().__init__(phase)
        self.phase = phase


class Alarm:
    """Wakes one thread that waits for a socket."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._waiting, self._waking = socket.socketpair()
        self._waking.setblocking(False)
        # The system gives a closed socket's number to the next one at once. Rung in that moment,
        # the alarm would write into a stranger's connection.
        self._open = threading.RLock()
        self.cancelled = False

    def ring(self) -> None:
        """Wake the waiting thread for good, and let it not wait again. Safe from any thread."""
        self.cancelled = True
        # Closed: nobody waits any more. Full: it has rung already.
        with self._open, contextlib.suppress(OSError):
            self._waking.send(b"!")

    def wait(
        self, sock: socket.socket | None, events: int = READ, *, limit: float | None = None
    ) -> bool:
        """Wait until the socket is ready. False after `limit` seconds; raises Interrupted."""
        left, phase = self.check()
        limited = limit is not None and (left is None or limit < left)
        ready = poll(sock, self._waiting, events, seconds=limit if limited else left)
        if self.cancelled:
            raise Interrupted("cancelled")
        if not ready and not limited:
            raise Interrupted(phase)
        return ready

    def check(self) -> tuple[float | None, str]:
        """The seconds left, None for no limit, and the phase. Raises Interrupted if it is over."""
        if self.cancelled:
            raise Interrupted("cancelled")
        left, phase = self._deadline()
        if left is not None and left <= 0:
            raise Interrupted(phase)
        return left, phase

    def sleep(self, seconds: float) -> None:
        """Wait that long. Raises Interrupted."""
        self.wait(None, limit=seconds)

    def close(self) -> None:
        """Free the alarm's own two sockets."""
        with self._open:
            self._waiting.close()
            self._waking.close()


class Wait(float):
    """A timeout in seconds for httpx and httpcore that carries the alarm to the connection."""

    alarm: Alarm

    @classmethod
    def of(cls, alarm: Alarm, seconds: float) -> Wait:
        """A timeout of `seconds`, which the alarm may end sooner."""
        wait = cls(seconds)
        wait.alarm = alarm
        return wait


def wait(sock: socket.socket, timeout: float | None, events: int = READ) -> None:
    """Wait until the socket is ready, so long at the most: seconds, which an alarm may end sooner.

    Raises TimeoutError, Interrupted, and OSError if it is closed.
    """
    if isinstance(timeout, Wait):
        ready = timeout.alarm.wait(sock, events, limit=timeout)
    else:
        ready = poll(sock, None, events, seconds=timeout)
    if not ready:
        raise TimeoutError


def check(timeout: float | None) -> None:
    """Raises Interrupted if the alarm that came as this timeout has ended the waiting."""
    if isinstance(timeout, Wait):
        timeout.alarm.check()


def poll(
    sock: socket.socket | None,
    waiting: socket.socket | None = None,
    events: int = READ,
    *,
    seconds: float | None,
) -> bool:
    """Wait until `sock` is ready or `waiting` was rung, None seconds meaning for ever.

    events: READ, WRITE or both (`|`). Is `sock` ready for any? Raises OSError if it is closed.
    """
    if sock is not None and sock.fileno() < 0:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    if not hasattr(select, "poll"):  # Windows
        heard = (waiting, sock if events & READ else None)
        readers = [each for each in heard if each is not None]
        writers = [sock] if sock is not None and events & WRITE else []
        readable, writable, _ = select.select(readers, writers, [], seconds)
        return bool(writable) or (sock is not None and sock in readable)
    watched = select.poll()
    if waiting is not None:
        watched.register(waiting, READ)
    if sock is not None:
        watched.register(sock, events)
    limit = None if seconds is None else math.ceil(min(max(0.0, seconds), _LONGEST) * 1000)
    found = watched.poll(limit)
    return sock is not None and any(number == sock.fileno() for number, _event in found)
