"""Replay: the stored chunks at their own pace, and the same ending."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from sessions import ManualClock, record, request, step, write
from vesselog import (
    ConfigurationError,
    ProviderError,
    RecordingCorruptError,
    RecordingError,
    StreamChunk,
    TruncatedError,
    UsageError,
    replay,
)
from vesselog.core.truth.session import Session


@pytest.fixture
def paced(tmp_path: Path) -> tuple[Path, list[StreamChunk]]:
    """Two calls, an hour between them; chunks after 2.0, 2.5, 4.0 s and after 1.0 s."""
    clock = ManualClock()
    session = Session.open(tmp_path, "a", clock=clock)
    seen: list[StreamChunk] = []
    for gaps in ((2.0, 0.5, 1.5), (1.0,)):
        writer = session.begin(request())
        for seq, gap in enumerate(gaps):
            clock.pass_seconds(gap)
            seen += write(writer, [step(seq, str(seq))])
        writer.end("complete")
        clock.pass_seconds(3600)
    session.close()
    return session.path, seen


class Sleeper:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.slept: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.pass_seconds(seconds)

    async def later(self, seconds: float) -> None:
        self(seconds)


@pytest.mark.parametrize(
    ("speed", "slept"), [(1.0, [2.0, 0.5, 1.5, 1.0]), (2.0, [1.0, 0.25, 0.75, 0.5])]
)
def test_the_original_pace_scaled_without_the_pauses_between_calls(
    paced: tuple[Path, list[StreamChunk]], speed: float, slept: list[float]
) -> None:
    path, seen = paced
    sleeper = Sleeper()
    assert list(replay(path, speed, clock=sleeper.clock, sleep=sleeper)) == seen
    assert sleeper.slept == pytest.approx(slept)


@pytest.mark.parametrize("speed", [0, 0.0, "max"])
def test_as_fast_as_it_reads(paced: tuple[Path, list[StreamChunk]], speed: Any) -> None:
    path, seen = paced
    sleeper = Sleeper()
    assert list(replay(path, speed, clock=sleeper.clock, sleep=sleeper)) == seen
    assert sleeper.slept == []


async def test_async_gives_the_same_and_lets_go_at_every_chunk(
    paced: tuple[Path, list[StreamChunk]],
) -> None:
    path, seen = paced
    sleeper = Sleeper()
    played = replay(path, clock=sleeper.clock, async_sleep=sleeper.later)
    assert [chunk async for chunk in played] == seen
    assert sleeper.slept == pytest.approx([2.0, 0.5, 1.5, 1.0])
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.ensure_future(other())
    assert [chunk async for chunk in replay(path, 0)] == seen
    task.cancel()
    assert turns >= len(seen)


def test_one_call_is_played_alone(paced: tuple[Path, list[StreamChunk]]) -> None:
    path, seen = paced
    played = replay(path, 0, call=1)
    assert list(played) == seen[:3]
    assert (played.completion.text, played.completion.call) == ("012", 1)
    assert played.completion.outcome == "complete"


@pytest.mark.parametrize(("call", "after"), [(9, -1), (3, 0)])
def test_a_call_that_is_not_there_is_an_error_at_once(
    paced: tuple[Path, list[StreamChunk]], call: int, after: int
) -> None:
    with pytest.raises(RecordingError, match=f"has no call {call}"):
        replay(paced[0], call=call, after=after)


def test_a_recording_without_calls_has_no_last_one(tmp_path: Path) -> None:
    path = record(tmp_path)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    with pytest.raises(RecordingError, match="has no call"):
        replay(path, after=0)


@pytest.mark.parametrize(
    ("call", "after"),
    [(0, -1), (-1, -1), (True, -1), ("1", -1), (1.0, -1), (1, -2), (1, "0"), (1, None), (1, True)],
)
def test_numbers_that_cannot_be_are_refused(
    paced: tuple[Path, list[StreamChunk]], call: Any, after: Any
) -> None:
    with pytest.raises(UsageError):
        replay(paced[0], call=call, after=after)


@pytest.mark.parametrize(
    ("call", "after", "texts", "slept"),
    [
        (1, -1, "012", [2.0, 0.5, 1.5]),
        (1, 0, "12", [0.5, 1.5]),
        (1, 1, "2", [1.5]),
        (1, 2, "", []),
        (1, 99, "", []),
        (2, -1, "0", [1.0]),
        (None, 0, "", []),
    ],
)
def test_it_begins_after_a_chunk_without_waiting_for_what_was_before(
    paced: tuple[Path, list[StreamChunk]],
    call: int | None,
    after: int,
    texts: str,
    slept: list[float],
) -> None:
    """Without a call it is the last one. The completion is whole all the same."""
    sleeper = Sleeper()
    played = replay(paced[0], call=call, after=after, clock=sleeper.clock, sleep=sleeper)
    assert "".join(chunk.text for chunk in played) == texts
    assert sleeper.slept == pytest.approx(slept)
    assert played.completion.text == ("012" if call == 1 else "0")
    assert played.completion.outcome == "complete"


async def test_async_begins_after_a_chunk_too(paced: tuple[Path, list[StreamChunk]]) -> None:
    played = replay(paced[0], 0, call=1, after=1)
    assert [chunk.text async for chunk in played] == ["2"]


def test_one_of_several_writers_calls_is_played_without_the_pause_between_them(
    tmp_path: Path,
) -> None:
    """A call whose lines another call's, and a later call's, stand between."""
    clock = ManualClock()
    session = Session.open(tmp_path, "a", clock=clock)
    first, second = session.begin(request()), session.begin(request())
    for seq, writer in enumerate((first, second, first, second)):
        clock.pass_seconds(1)
        write(writer, [step(seq // 2, str(seq))])
    second.end("complete")
    clock.pass_seconds(5)
    first.end("complete")
    session.close()
    sleeper = Sleeper()
    played = replay(session.path, call=2, after=0, clock=sleeper.clock, sleep=sleeper)
    assert [(chunk.call, chunk.text) for chunk in played] == [(2, "3")]
    assert sleeper.slept == pytest.approx([2.0])


def test_each_iteration_plays_anew(paced: tuple[Path, list[StreamChunk]]) -> None:
    path, seen = paced
    played = replay(path, "max")
    assert list(played) == list(played) == seen
    assert played.completion.text == "0"


def test_the_completion_grows_with_what_was_played(
    paced: tuple[Path, list[StreamChunk]],
) -> None:
    played = replay(paced[0], 0)
    texts = [(played.completion.text, played.completion.outcome) for _ in played]
    assert texts == [("0", None), ("01", None), ("012", None), ("0", None)]
    assert played.completion.outcome == "complete"


def test_overlapping_calls_are_played_as_they_came(tmp_path: Path) -> None:
    """The completion is that of the call begun last, whatever else is still running."""
    session = Session.open(tmp_path, "a")
    first = session.begin(request())
    seen = write(first, [step(0, "a")])
    second = session.begin(request())
    for seq in range(2):
        seen += write(second, [step(seq, "b")])
        seen += write(first, [step(seq + 1, "a")])
    second.end("complete")
    seen += write(first, [step(3, "a")])
    first.end("cancelled")
    session.close()
    played = replay(session.path, 0)
    assert list(played) == seen
    assert (played.call, played.completion.text) == (2, "bb")
    assert played.completion.outcome == "complete"


def test_damage_is_told_with_its_place(tmp_path: Path) -> None:
    path = record(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[4] = lines[4].replace(b'"seq":0', b'"seq":{}')
    path.write_bytes(b"".join(lines))
    place = len(b"".join(lines[:4]))
    with pytest.raises(RecordingCorruptError, match=rf"line 5 \(byte {place}\) holds a chunk"):
        list(replay(path, 0))


def test_the_error_of_the_end_comes_after_the_chunks(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "a")
    writer = session.begin(request())
    seen = write(writer, [step(0, "Hel")])
    writer.end("error", error=ProviderError("overloaded", code="busy"))
    session.close()
    got: list[StreamChunk] = []
    with pytest.raises(ProviderError, match="overloaded") as caught:
        got.extend(replay(session.path, 0))
    assert got == seen
    error = caught.value
    assert (error.code, error.session, error.call, error.seq) == ("busy", "a", 1, 0)
    assert error.completion is not None
    assert error.completion.text == "Hel"


def test_an_attempt_that_failed_does_not_spoil_the_retry(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "a")
    session.begin(request()).end("error", error=ProviderError("busy", status=503))
    writer = session.begin(request(retry_of=1))
    seen = write(writer, [step(0)])
    writer.end("complete")
    session.close()
    assert list(replay(session.path, 0)) == seen
    with pytest.raises(ProviderError):
        list(replay(session.path, 0, call=1))


def test_an_answer_without_an_end_is_never_taken_for_whole(tmp_path: Path) -> None:
    path = record(tmp_path)
    path.write_bytes(path.read_bytes()[:-10])
    played = replay(path, 0)
    with pytest.raises(TruncatedError, match="before the answer does"):
        list(played)
    assert (played.completion.text, played.completion.outcome) == ("Hello", None)
    assert played.outcome is None


def test_an_answer_that_was_cancelled_just_ends(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "a")
    writer = session.begin(request())
    seen = write(writer, [step(0)])
    writer.end("cancelled")
    session.close()
    played = replay(session.path, 0)
    assert list(played) == seen
    assert played.completion.outcome == played.outcome == "cancelled"


@pytest.mark.parametrize("speed", [-1, float("nan"), float("inf"), "fast", None])
def test_a_speed_that_is_none_is_refused(tmp_path: Path, speed: Any) -> None:
    with pytest.raises(ConfigurationError, match="no speed") as caught:
        replay(record(tmp_path), speed)
    assert caught.value.setting == "speed"


def test_a_foreign_file_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("hello\n")
    with pytest.raises(RecordingCorruptError, match="not a recording"):
        replay(path)
