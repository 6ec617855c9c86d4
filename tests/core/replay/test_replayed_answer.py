"""What is known of a replayed answer while it is read; core/client/test_offline.py has the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from sessions import ManualClock, record, request, step, write
from vesselog import ConfigurationError, ReplayMissError
from vesselog.core.replay.answer_index import AnswerIndex
from vesselog.core.replay.replayed_answer import ReplayedAnswer, Replaying
from vesselog.core.truth.session import Session


class Answer(ReplayedAnswer):
    """One that counts how often a wait would end."""

    woken = 0

    def wake(self) -> None:
        self.woken += 1


def replaying(path: Path) -> Replaying:
    return Replaying(AnswerIndex(path, repeat=True), 0, ManualClock())


def test_it_runs_from_its_finding_to_its_end(tmp_path: Path) -> None:
    settings = replaying(record(tmp_path))
    answer = Answer(settings, request())
    assert not settings.running
    answer.find()
    assert settings.running == {answer}
    answer.begin()
    assert [step.frame.text for step in (*answer.take(), *answer.take())] != []
    assert answer.facts.outcome is None
    assert answer.take() == []
    assert answer.facts.outcome == "complete"
    assert not settings.running
    answer.leave()
    assert answer.facts.outcome == "complete"


@pytest.mark.parametrize("how", ["leave", "cancel", "abandon"])
def test_one_that_is_left_tells_what_came_and_ends_waits(tmp_path: Path, how: str) -> None:
    session = Session.open(tmp_path, "a")
    writer = session.begin(request())
    writer.response(200, {})
    write(writer, [step(0), step(1)])
    metrics = {"duration": 9.0, "chunks": 2}
    writer.end("complete", metrics=metrics, natives={0: {"content": "xx"}})
    session.close()
    settings = replaying(session.path)
    answer = Answer(settings, request())
    answer.find()
    assert answer.facts.answer.natives == {0: {"content": "xx"}}
    answer.begin()
    answer.take()
    getattr(answer, how)()
    facts = answer.facts
    assert facts.outcome == ("abandoned" if how == "abandon" else "cancelled")
    assert facts.answer.natives == {}
    assert facts.answer.metrics is not None
    assert facts.answer.metrics.chunks == 1
    assert (answer.take(), answer.woken, settings.running) == ([], 1, set())
    settings.leave()
    assert answer.woken == 1


def test_one_that_is_left_before_it_is_found_takes_no_answer(tmp_path: Path) -> None:
    settings = Replaying(AnswerIndex(record(tmp_path)), 0, ManualClock())
    answer = Answer(settings, request())
    answer.cancel()
    answer.find()
    assert (answer.until_begin(), answer.until_next(), answer.take()) == (0.0, 0.0, [])
    Answer(settings, request()).find()
    with pytest.raises(ReplayMissError):
        Answer(settings, request()).find()


def test_only_a_replay_has_a_pace_and_repeats() -> None:
    assert Replaying.of(None, None, None, repeat=False, clock=ManualClock()) is None
    with pytest.raises(ConfigurationError, match="speed is a setting of replay"):
        Replaying.of(None, 0, None, repeat=False, clock=ManualClock())
    with pytest.raises(ConfigurationError, match="match is a setting of replay"):
        Replaying.of(None, None, "order", repeat=False, clock=ManualClock())
