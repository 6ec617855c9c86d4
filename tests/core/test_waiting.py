"""Waits that no signal misses."""

from __future__ import annotations

import os
import signal
import time
from queue import Empty, SimpleQueue
from typing import Any

import pytest

from vesselog.core import waiting
from vesselog.core.waiting import wait_for


class NoticedError(Exception):
    """A signal handler ran."""


class Unnoticing(SimpleQueue[Any]):
    """Gets a signal when a wait begins, which does not end the wait: as if it came just before."""

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: FBT001, FBT002
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        os.kill(os.getpid(), signal.SIGUSR1)
        try:
            return super().get(block, timeout)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})


def test_what_is_there_comes_at_once_and_in_order() -> None:
    queue: SimpleQueue[int] = SimpleQueue()
    queue.put(1)
    queue.put(2)
    assert [wait_for(queue, 0), wait_for(queue)] == [1, 2]


@pytest.mark.parametrize("timeout", [0.0, 0.02, 0.13])
def test_it_waits_as_long_as_it_is_told(timeout: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_UNNOTICED", 0.05)
    began = time.monotonic()
    with pytest.raises(Empty):
        wait_for(SimpleQueue[None](), timeout)
    assert time.monotonic() - began >= timeout


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="signals of POSIX")
@pytest.mark.parametrize("timeout", [None, 60.0])
def test_a_signal_that_did_not_end_the_wait_is_noticed(timeout: float | None) -> None:
    def notice(*_: object) -> None:
        raise NoticedError

    before = signal.signal(signal.SIGUSR1, notice)
    try:
        with pytest.raises(NoticedError):
            wait_for(Unnoticing(), timeout)
    finally:
        signal.signal(signal.SIGUSR1, before)
