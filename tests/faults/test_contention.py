"""Several writers, and clocks that step."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import writers
from amounts import amount
from invariants import Yielded, check_reopening, yielded_by
from loopback import LoopbackServer
from nursery import Nursery
from producing import line, producing, producing_lines
from reporting import Figure
from sessions import ManualClock, read, request, step, write
from talking import KINDS, every_client, talking
from vesselog import Recording, RecordingLockedError
from vesselog.core.truth.session import Session


def told(acks: Path) -> list[Yielded]:
    return [each for each, _moment in writers.told(acks)]


def test_of_eight_processes_one_may_write_a_session(
    tmp_path: Path, nursery: Nursery, figure: Figure
) -> None:
    """Again and again they all try; whoever gets it writes a call and lets it go."""
    children = [
        nursery.start(
            "contend",
            folder=str(tmp_path / "r"),
            acks=str(tmp_path / f"{number}.told"),
            name="one",
            prompt=f"p{number}",
            calls=6,
            refusals=str(tmp_path / f"{number}.refused"),
        )
        for number in range(8)
    ]
    assert [child.wait() for child in children] == [0] * 8
    refused = sum(int((tmp_path / f"{number}.refused").read_text()) for number in range(8))
    assert refused
    yielded = [each for number in range(8) for each in told(tmp_path / f"{number}.told")]
    path = tmp_path / "r" / "one.jsonl"
    calls = check_reopening(path, yielded=yielded, produced=producing_lines(5))
    assert len(calls) == 8 * 6
    assert {call.outcome for call in calls} == {"complete"}
    figure(
        f"8 processes, one session: {refused} refused, {len(calls)} calls written, no mixed line"
    )


def test_a_second_process_is_refused_by_a_typed_error(tmp_path: Path, nursery: Nursery) -> None:
    session = Session.open(tmp_path, "held")
    writer = session.begin(request())
    before = session.path.read_bytes()
    child = nursery.start(
        "contend",
        folder=str(tmp_path),
        acks=str(tmp_path / "told"),
        name="held",
        prompt="p",
        calls=0,
        refusals=str(tmp_path / "refused"),
    )
    assert child.wait() == 0
    assert (tmp_path / "refused").read_text() == "1"
    assert session.path.read_bytes() == before
    writer.end("complete")
    session.close()
    check_reopening(session.path)


@every_client
def test_a_client_is_refused_what_another_process_writes(tmp_path: Path, kind: str) -> None:
    """Nothing is sent, and the other one's file stays as it is."""
    other = Session.open(tmp_path / "recordings", "chat")
    writer = other.begin(request())
    before = other.path.read_bytes()
    with LoopbackServer([producing(3)]) as server, talking(kind, server) as talker:
        heard = talker.hear(session="chat")
        assert type(heard.error) is RecordingLockedError
        assert server.requests == []
        assert other.path.read_bytes() == before
        writer.end("complete")
        other.close()
        after = talker.hear(session="chat").check("complete")
    first, _ = check_reopening(other.path, yielded=yielded_by(after))
    assert first.outcome == "complete"


def test_eight_processes_in_one_folder(tmp_path: Path, nursery: Nursery, figure: Figure) -> None:
    with LoopbackServer([producing(20)]) as server:
        children = [
            nursery.start(
                "stream",
                url=server.url,
                folder=str(tmp_path / "r"),
                acks=str(tmp_path / f"{number}.told"),
                prompts=[f"{number}.{each}" for each in range(4)],
                kind=KINDS[number % 3],
                session=f"chat{number}",
                rounds=5,
            )
            for number in range(8)
        ]
        assert [child.wait() for child in children] == [0] * 8
    yielded = [each for number in range(8) for each in told(tmp_path / f"{number}.told")]
    assert len(yielded) == 8 * 4 * 5 * 21
    files = sorted((tmp_path / "r").glob("*.jsonl"))
    calls = 0
    for path in files:
        mine = [each for each in yielded if each.path == path]
        found = check_reopening(path, yielded=mine, produced=producing_lines(20))
        assert {call.outcome for call in found} == {"complete"}
        calls += len(found)
    assert calls == 8 * 4 * 5
    figure(f"8 processes, one folder: {calls} calls in {len(files)} files, no mixed line")


class SteppingClock(ManualClock):
    """Its date steps by up to an hour, back or forth, each time that it is asked for."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._chance = random.Random(seed)

    def monotonic(self) -> int:
        self.time += self._chance.randrange(1, 2000)
        return self.time

    def wall(self) -> int:
        self.date += self._chance.randrange(-3_600_000_000, 3_600_000_001)
        return self.date


@pytest.mark.parametrize("seed", range(20))
def test_a_clock_that_steps_harms_neither_order_nor_durations(tmp_path: Path, seed: int) -> None:
    clock = SteppingClock(amount("SEED") + seed)
    last = 0
    for number in range(5):
        session = Session.open(tmp_path, "a", clock=clock)
        writer = session.begin(request())
        begun = clock.time
        seen = write(writer, [step(each, "x", line("a", each)) for each in range(4)])
        assert 0 < seen[-1].t < (clock.time - begun) / 1e6 + 0.002
        writer.end("complete")
        session.close()
        lines = read(session.path)  # numbers and times in order
        assert lines[-1]["t"] >= last
        last = lines[-1]["t"]
        calls = list(Recording(session.path).calls())
        assert len(calls) == number + 1
        assert list(calls[-1].chunks()) == seen
    check_reopening(session.path)


@every_client
def test_a_clock_that_steps_under_a_client(tmp_path: Path, kind: str, figure: Figure) -> None:
    """The deadlines and measures are those of the clock that does not step."""
    clock = SteppingClock(amount("SEED"))
    with (
        LoopbackServer([producing(20)]) as server,
        talking(kind, server, clock=clock) as talker,
    ):
        for number in range(5):
            begun = clock.time
            heard = talker.hear(messages=f"{number}", session="chat").check("complete")
            took = (clock.time - begun) / 1e6
            metrics = heard.stream.completion.metrics
            assert 0 < metrics.time_to_first_chunk <= metrics.duration <= took
            times = [chunk.t for chunk in heard.chunks]
            assert times == sorted(times)
    check_reopening(tmp_path / "recordings" / "chat.jsonl", produced=producing_lines(20))
    figure(f"clock stepping up to an hour at every look ({kind}): order and durations unharmed")
