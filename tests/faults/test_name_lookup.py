"""A lookup of the server's name that hangs ends at a deadline, or when the stream is cancelled."""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest

from four_clients import every_one_of_four, talking_by
from lateness import lasting
from patience import PATIENCE
from talking import Talker
from vesselog import Retries, StreamTimeoutError, Timeouts
from vesselog.vessels import OpenAI

TOTAL = 0.5  # seconds


class HangingLookup:
    """Takes the place of `socket.getaddrinfo`, which waits for the name server in a thread."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.answered = threading.Event()

    def __call__(self, *_: Any, **__: Any) -> Any:
        self.asked.set()
        assert self.answered.wait(10 * PATIENCE)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


@pytest.fixture
def lookup(monkeypatch: pytest.MonkeyPatch) -> Generator[HangingLookup]:
    hanging = HangingLookup()
    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    yield hanging
    hanging.answered.set()


def far_away() -> dict[str, Any]:
    return {
        "vessels": {"far": OpenAI(base_url="http://models.invalid/v1", api_key="k")},
        "retries": Retries(count=0),
    }


@contextmanager
def talking_to_nobody(client: str, lookup: HangingLookup, **settings: Any) -> Generator[Talker]:
    """A client of the far server, closed while the lookup still hangs."""
    with talking_by(client, **settings, **far_away()) as talker:
        yield talker
        assert lookup.asked.is_set()
        with lasting(0):
            talker.close()
        lookup.answered.set()  # an event loop waits for the thread that asked


@every_one_of_four
@pytest.mark.parametrize("setting", ["connect", "total"])
def test_it_ends_at_a_deadline(setting: str, client: str, lookup: HangingLookup) -> None:
    timeouts = Timeouts(**{setting: TOTAL})
    with talking_to_nobody(client, lookup, timeouts=timeouts) as talker:
        with lasting(TOTAL):
            heard = talker.hear("far/m").check("error", error=StreamTimeoutError)
        assert heard.error.phase == setting


@every_one_of_four
def test_it_ends_with_a_cancel(client: str, lookup: HangingLookup) -> None:
    with talking_to_nobody(client, lookup) as talker:
        stream = talker.stream("far/m")
        future = talker.begin(stream)
        assert lookup.asked.wait(PATIENCE)
        with lasting(0):
            stream.cancel()
            assert future.result(PATIENCE).outcome == "cancelled"


@every_one_of_four
def test_questions_end_at_a_deadline(client: str, lookup: HangingLookup) -> None:
    timeouts = Timeouts(total=TOTAL)
    with (
        talking_to_nobody(client, lookup, timeouts=timeouts) as talker,
        lasting(TOTAL),
        pytest.raises(StreamTimeoutError),
    ):
        talker.models("far")
