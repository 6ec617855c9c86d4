"""Recorded answers at their pace."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sessions import ManualClock, request, step, write
from vesselog import follow
from vesselog.core.truth.session import Session
from vesselog.server import paced
from vesselog.server.paced import Paced


class Time:
    """The clock and the sleep of a player; sleeping moves the clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = ManualClock()
        self.waits: list[float] = []
        monkeypatch.setattr(paced, "SYSTEM_CLOCK", self.clock)
        monkeypatch.setattr(paced, "sleep", self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.waits.append(round(seconds, 6))
        self.clock.pass_seconds(seconds)


def record(folder: Path) -> Path:
    """Chunks 2, 3 and 7 seconds after the request."""
    clock = ManualClock()
    session = Session.open(folder, "s", clock=clock)
    writer = session.begin(request())
    for seq, seconds in enumerate((2, 1, 4)):
        clock.pass_seconds(seconds)
        write(writer, [step(seq)])
    writer.end("complete")
    session.close()
    return session.path


async def play(path: Path, speed: float, after: int = -1) -> list[int]:
    player = Paced(follow(path, after=after), speed, from_start=after < 0)
    seqs = [chunk.seq async for chunk in player]
    assert (player.session, player.call, player.outcome, player.error) == ("s", 1, "complete", None)
    return seqs


@pytest.mark.parametrize(
    ("speed", "after", "seqs", "waits"),
    [
        (1.0, -1, [0, 1, 2], [2, 1, 4]),
        (2.0, -1, [0, 1, 2], [1, 0.5, 2]),
        (1.0, 0, [1, 2], [4]),
    ],
)
async def test_chunks_come_at_their_pace(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    speed: float,
    after: int,
    seqs: list[int],
    waits: list[float],
) -> None:
    path, time = record(tmp_path), Time(monkeypatch)
    assert await play(path, speed, after) == seqs
    assert time.waits == waits


async def test_what_comes_late_is_not_held_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chunk that is written after its time, as of an answer that still runs, comes at once."""
    path, time = record(tmp_path), Time(monkeypatch)
    player = aiter(Paced(follow(path), 1.0, from_start=True))
    assert (await anext(player)).seq == 0
    time.clock.pass_seconds(60)
    assert [chunk.seq async for chunk in player] == [1, 2]
    assert time.waits == [2]
    await asyncio.sleep(0)
