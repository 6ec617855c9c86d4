"""A copy of a recorded answer says what its original says, at the same times."""

from __future__ import annotations

from pathlib import Path

import pytest

from sessions import ManualClock, request, step, write
from vesselog import ProviderError, Recording, verify
from vesselog.core.replay.answer_copy import AnswerCopy, StillClock
from vesselog.core.truth.recording import RecordedCall
from vesselog.core.truth.session import Session
from vesselog.core.truth.session_pool import SessionPool


def original(folder: Path) -> RecordedCall:
    """The second call of a session: response after 1 s, frames after 2 and 3.5 s, end after 4."""
    clock = ManualClock()
    session = Session.open(folder, "source", clock=clock)
    session.begin(request()).end("complete")
    clock.pass_seconds(100)
    writer = session.begin(request(vessel_version="0.0.1"))
    clock.pass_seconds(1)
    writer.response(429, {"content-type": "application/json", "set-cookie": "no"})
    clock.pass_seconds(1)
    write(writer, [step(0, "a")])
    clock.pass_seconds(1.5)
    write(writer, [step(1, "b", raw=b"\xff{}\n")])
    clock.pass_seconds(0.5)
    writer.end("error", error=ProviderError("busy", status=429), usage={"input_tokens": 1})
    session.close()
    return list(Recording(session.path).calls())[1]


def pool(folder: Path) -> SessionPool:
    return SessionPool(folder / "copies", "process", StillClock(ManualClock()))


async def copied(call: RecordedCall, sessions: SessionPool, name: str = "copy") -> AnswerCopy:
    return AnswerCopy(call, await sessions.open(name), {**request(), "vessel_version": "9"})


async def test_the_lines_of_a_copy_are_those_of_its_original(tmp_path: Path) -> None:
    call = original(tmp_path)
    copy = await copied(call, pool(tmp_path))
    copy.respond()
    steps = [copy.step(frame) for frame in call.frames()]
    copy.end("error", None, None, error=call.error, natives={}, later=False)
    assert [chunk.t for each in steps for chunk in each.chunks] == [2.0, 3.5]
    assert copy.path is not None
    (made,) = Recording(copy.path).calls()
    assert made.request["replay_of"] == {"session": "source", "call": 2}
    assert made.request["vessel_version"] == "0.0.1", "it made the chunks"
    assert made.headers == call.headers
    assert made.responded - made.started == 1_000_000
    assert (made.ended or 0) - made.started == 4_000_000
    assert [(frame.raw, frame.t - frame.started) for frame in made.frames()] == [
        (frame.raw, frame.t - frame.started) for frame in call.frames()
    ]
    assert str(made.error) == str(call.error)
    report = verify(copy.path, decode=False)
    assert report.ok, report.findings


async def test_calls_that_overlap_keep_the_order_of_the_file(tmp_path: Path) -> None:
    call, sessions = original(tmp_path), pool(tmp_path)
    one, two = await copied(call, sessions), await copied(call, sessions)
    frames = list(call.frames())
    for frame in frames:
        one.step(frame)
    late = [two.step(frame).chunks[0].t for frame in frames]
    for copy in (one, two):
        copy.end("complete", None, None, error=None, natives={}, later=False)
    assert late == [3.5, 3.5], "the session's time was there already"
    assert one.path is not None
    assert verify(one.path, decode=False).ok
    assert late == [chunk.t for chunk in list(Recording(one.path).calls())[1].chunks()]


@pytest.mark.parametrize("outcome", ["cancelled", "abandoned"])
async def test_one_that_is_left_has_its_end_and_lets_the_session_go(
    tmp_path: Path, outcome: str
) -> None:
    call = original(tmp_path)
    copy = await copied(call, pool(tmp_path))
    copy.step(next(call.frames()))
    copy.end(outcome, None, None, error=None, natives={0: {"a": 1}}, later=True)  # type: ignore[arg-type]
    copy.end("complete", None, None, error=None, natives={}, later=False)
    assert copy.path is not None
    (made,) = Recording(copy.path).calls()
    assert made.end is not None
    assert (made.outcome, made.end["message"]) == (outcome, {"a": 1})
    again = Session.open(tmp_path / "copies", "copy")
    again.close()
