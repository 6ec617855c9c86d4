"""Answers by request key, in recorded order."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sessions import BODY, NOON, ManualClock, request, step, write
from vesselog import (
    ProviderError,
    RecordingCorruptError,
    RecordingError,
    ReplayMissError,
)
from vesselog.core.replay import recorded_requests
from vesselog.core.replay.answer_index import AnswerIndex
from vesselog.core.replay.compare_requests import Match
from vesselog.core.truth.scan import ScannedLine, scan
from vesselog.core.truth.session import Session
from vesselog.core.truth.session_names import new_session_name


def answer(session: Session, text: str, body: dict[str, Any] = BODY, **more: Any) -> None:
    writer = session.begin(request(body, **more))
    write(writer, [step(0, text)])
    writer.end("complete")


def texts(library: AnswerIndex, count: int) -> list[str]:
    return [library.answer(request()).completion().text for _ in range(count)]


def test_answers_come_in_recorded_order_then_are_exhausted(tmp_path: Path) -> None:
    """By the clock of the files, not by their names, and across all of them."""
    for name, hour, text in (("z", 0, "1"), ("a", 1, "2"), ("m", 2, "3")):
        session = Session.open(tmp_path, name, clock=ManualClock(NOON + hour * 3_600_000_000))
        answer(session, text)
        session.close()
    library = AnswerIndex(tmp_path)
    assert texts(library, 3) == ["1", "2", "3"]
    with pytest.raises(ReplayMissError, match="3 times, and every answer has been given"):
        library.answer(request())


def test_with_repeat_the_last_answer_of_a_request_is_given_again(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "a")
    for text in "12":
        answer(session, text)
    answer(session, "other", {"model": "other"})
    session.close()
    assert texts(AnswerIndex(tmp_path, repeat=True), 4) == ["1", "2", "2", "2"]
    with pytest.raises(ReplayMissError, match="differs in"):
        AnswerIndex(tmp_path, repeat=True).answer(request({"model": "x"}))
    once = AnswerIndex(tmp_path)
    assert once.answer(request(), repeat=True).number == 1
    assert texts(once, 1) == ["2"]
    assert once.answer(request(), repeat=True).number == 2


async def test_only_requests_that_share_answers_wait_for_each_other(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "a")
    answer(session, "1")
    session.close()
    index = AnswerIndex(tmp_path)
    another = request({"model": "another"})
    async with index.turn(request()):
        assert index.turn(request()).locked()
        assert not index.turn(another).locked()
    by_route = AnswerIndex(tmp_path, match="route")
    async with by_route.turn(request()):
        assert by_route.turn(another).locked()


@pytest.mark.parametrize(
    ("match", "asked", "given"),
    [
        ("messages", {**BODY, "model": "other", "temperature": 2}, ["1", "2", "2"]),
        ("messages", {"model": "m"}, ["3", "3", "3"]),
        ("order", {"prompt": "whatever"}, ["1", "2", "3", "1"]),
        ("route", {"prompt": "whatever"}, ["1", "2", "3", "1"]),
    ],
)
def test_other_requests_match_too(
    tmp_path: Path, match: Match, asked: dict[str, Any], given: list[str]
) -> None:
    """With repeat: the last answer to the same messages again, or all from the beginning."""
    session = Session.open(tmp_path, "a")
    for text in "12":
        answer(session, text)
    answer(session, "3", {"model": "m"})
    session.close()
    library = AnswerIndex(tmp_path, match=match, repeat=True)
    found = [library.answer(request(asked)).completion().text for _ in given]
    assert found == given
    once = AnswerIndex(tmp_path, match=match)
    for _ in dict.fromkeys(given):
        once.answer(request(asked))
    with pytest.raises(ReplayMissError, match="every answer has been given"):
        once.answer(request(asked))


def test_only_in_order_another_path_matches(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "a")
    answer(session, "1")
    session.close()
    other = {**request(), "url": "http://h/api/generate"}
    with pytest.raises(ReplayMissError, match="POST /api/generate was not recorded; recorded"):
        AnswerIndex(tmp_path, match="route").answer(other)
    assert AnswerIndex(tmp_path, match="order").answer(other).number == 1


def test_one_file_will_do(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "a")
    answer(session, "1")
    answer(session, "2")
    session.close()
    assert texts(AnswerIndex(session.path), 2) == ["1", "2"]


def test_a_request_and_its_retries_are_one_answer(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "a")
    session.begin(request()).end("error", error=ProviderError("busy", status=503))
    session.begin(request(retry_of=1)).end("error", error=ProviderError("busy", status=503))
    answer(session, "third", retry_of=1)
    answer(session, "next")
    session.close()
    library = AnswerIndex(tmp_path)
    first = library.answer(request())
    assert first.number == 3
    assert texts(library, 1) == ["next"]


def test_a_miss_names_the_nearest_request_and_where_it_differs(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "a")
    answer(session, "x", {**BODY, "model": "quite another", "messages": []})
    answer(session, "y")
    session.close()
    wanted = {
        **BODY,
        "messages": [{"role": "user", "content": "Hello, secret plan"}],
        "options": {"seed": 1},
        "stream": True,
    }
    with pytest.raises(ReplayMissError) as caught:
        AnswerIndex(tmp_path).answer(request(wanted))
    error = caught.value
    assert "call 2 of a.jsonl" in str(error)
    assert "body.messages[0].content, body.options" in str(error)
    assert "secret plan" not in str(error)
    assert (error.session, error.call) == ("a", 2)


def test_nothing_recorded_at_all(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no recording"):
        AnswerIndex(tmp_path)
    with pytest.raises(RecordingError, match="no recording"):
        AnswerIndex(tmp_path / "x")


def test_a_file_that_is_no_recording_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text("{}\n")
    with pytest.raises(RecordingCorruptError, match=r"x\.jsonl is not a recording"):
        AnswerIndex(tmp_path / "x.jsonl")


@pytest.mark.parametrize("name", ["x.jsonl", f"20200115T080000Z-{32 * '0'}.jsonl"])
def test_a_bad_file_in_a_folder_is_skipped_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    (tmp_path / name).write_text("{}\n")
    answer(Session.open(tmp_path, "good"), "1")
    assert texts(AnswerIndex(tmp_path), 1) == ["1"]
    assert f"{name} is not a recording" in caplog.text


def test_damage_is_told_again_and_again(tmp_path: Path) -> None:
    """It is no miss: nobody knows what is behind it."""
    path = tmp_path / "a.jsonl"
    session = Session.open(tmp_path, "a")
    answer(session, "1")
    session.close()
    path.write_bytes(path.read_bytes().replace(b'{"type":"request"', b'{"type";"request"'))
    index = AnswerIndex(path)
    for _ in range(2):
        with pytest.raises(RecordingCorruptError):
            index.answer(request())


def test_no_more_recordings_are_read_than_an_answer_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for hour in range(50):
        session = Session.open(tmp_path, clock=ManualClock(NOON + hour * 3_600_000_000))
        answer(session, str(hour), {**BODY, "hour": hour // 2})
        session.close()
    opened: list[Path] = []

    def count(path: Path, **more: Any) -> Iterator[ScannedLine]:
        opened.append(path)
        return scan(path, **more)

    monkeypatch.setattr(recorded_requests, "scan", count)
    index = AnswerIndex(tmp_path)
    assert not opened
    wanted = {**BODY, "hour": 2}
    for hour, read in ((4, 5), (5, 6)):
        found = index.answer(request(wanted))
        assert found.completion().text == str(hour)
        assert len(opened) == read


def test_the_method_counts(tmp_path: Path) -> None:
    answer(Session.open(tmp_path, "a"), "1", method="PUT")
    with pytest.raises(ReplayMissError, match="POST /api/chat was not recorded; recorded: PUT"):
        AnswerIndex(tmp_path).answer(request())


def test_threads_never_get_the_same_answer(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "a")
    for number in range(40):
        answer(session, str(number))
    session.close()
    library = AnswerIndex(tmp_path)
    got: list[str] = []
    threads = [threading.Thread(target=lambda: got.extend(texts(library, 10))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got, key=int) == [str(number) for number in range(40)]


def test_recordings_are_used_in_the_order_of_their_beginnings_whatever_their_names(
    tmp_path: Path,
) -> None:
    """Generated names have the time; of others it is in the `open` line."""
    hour = 3_600_000_000
    named = {"a": 5, "zz": 1, "chat-42": 3}
    for name, hours in named.items():
        session = Session.open(tmp_path, name, clock=ManualClock(NOON + hours * hour))
        answer(session, str(hours))
        session.close()
    for hours in (4, 0, 2):
        clock = ManualClock(NOON + hours * hour)
        session = Session.open(tmp_path, new_session_name(clock.wall()), clock=clock)
        answer(session, str(hours))
        session.close()
    assert texts(AnswerIndex(tmp_path), 6) == ["0", "1", "2", "3", "4", "5"]


def test_of_recordings_that_began_at_once_the_first_name_is_first(tmp_path: Path) -> None:
    for name in ("c", "a", "b"):
        session = Session.open(tmp_path, name, clock=ManualClock())
        answer(session, name)
        session.close()
    assert texts(AnswerIndex(tmp_path), 3) == ["a", "b", "c"]


@pytest.mark.parametrize("steps", [0, 1, 5])
def test_looking_for_an_answer_ends_when_nobody_wants_it(tmp_path: Path, steps: int) -> None:
    for number in range(10):
        session = Session.open(tmp_path, f"s{number}", clock=ManualClock(NOON + number))
        answer(session, str(number), {**BODY, "seed": number})
        session.close()
    library = AnswerIndex(tmp_path)
    asked = iter([True] * steps)
    library.look_for(request(), lambda: next(asked, False))
    assert next(asked, None) is None
    last = {**BODY, "seed": 9}
    library.look_for(request(last), lambda: True)
    assert library.answer(request(last)).completion().text == "9"


@pytest.mark.parametrize(("wire", "option"), [(False, "repeat=True"), (True, "--repeat")])
def test_the_option_that_gives_answers_again_is_named_as_the_user_knows_it(
    tmp_path: Path,
    wire: bool,  # noqa: FBT001 - a case
    option: str,
) -> None:
    session = Session.open(tmp_path, "a")
    writer = session.begin(request())
    writer.response(200, {})
    writer.end("complete")
    session.close()
    index = AnswerIndex(tmp_path, wire=wire)
    index.answer(request())
    with pytest.raises(ReplayMissError, match=f"; {option} gives answers again"):
        index.answer(request())


def test_by_route_a_stream_on_the_wire_is_no_answer_for_a_whole_body(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "a")
    for stream in (True, False):
        writer = session.begin(request({"stream": stream}))
        writer.response(200, {})
        writer.end("complete")
    session.close()
    index = AnswerIndex(tmp_path, match="route", wire=True)
    assert index.answer(request({"stream": False, "model": "n"})).number == 2
    with pytest.raises(ReplayMissError, match="given"):
        index.answer(request({"stream": False}))
    assert index.answer(request({"model": "n"})).number == 1, "Ollama's default is a stream"
