"""When waiting ends. Real deadlines are tenths of seconds; nothing here is asserted to be fast."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from math import inf
from typing import Any

import pytest

from lateness import lasting
from loopback import (
    Conversation,
    LoopbackServer,
    ollama_body,
    ollama_lines,
    openai_events,
    sse,
    unanswering_port,
)
from patience import PATIENCE
from talking import Heard, every_client, every_client_at_once, every_dialect, talking
from vesselog import ConfigurationError, Retries, StreamTimeoutError, Timeouts
from vesselog.core.client.deadlines import Deadlines
from vesselog.core.vessel import Progress

OPEN, FINISHED, TERMINATED = Progress.OPEN, Progress.FINISHED, Progress.TERMINATED


def answer(conversation: Conversation) -> None:
    conversation.answer("Hi")


def silent(conversation: Conversation) -> None:
    conversation.wait_for_hangup()


class TestDeadlines:
    def test_first_chunk_then_idle(self):
        deadlines = Deadlines(Timeouts(first_chunk=300, idle=20), 1000.0)
        assert deadlines.next() == (1300.0, "first_chunk")
        deadlines.data(1290.0, OPEN, counted=True)
        assert deadlines.next() == (1310.0, "idle")

    def test_sixty_seconds_to_the_first_token_are_within_the_default(self):
        deadlines = Deadlines(Timeouts(), 0.0)
        end, _phase = deadlines.next()
        assert end >= 60 + 60

    def test_total_is_never_moved(self):
        deadlines = Deadlines(Timeouts(idle=20, total=30), 0.0)
        assert deadlines.next() == (30.0, "total")
        deadlines.data(1.0, OPEN, counted=True)
        assert deadlines.next() == (21.0, "idle")
        deadlines.data(15.0, OPEN, counted=True)
        assert deadlines.next() == (30.0, "total")

    def test_none_is_for_ever(self):
        deadlines = Deadlines(Timeouts(first_chunk=None, idle=None, write=None), 0.0)
        assert deadlines.next()[0] == inf
        deadlines.sending(1.0)
        assert deadlines.next()[0] == inf
        deadlines.data(5.0, OPEN, counted=True)
        assert deadlines.next()[0] == inf

    def test_grace_begins_anew_with_data_behind_the_finish(self):
        deadlines = Deadlines(Timeouts(grace=2, drain=0.1), 0.0)
        deadlines.data(1.0, FINISHED, counted=True)
        assert deadlines.next() == (3.0, "grace")
        deadlines.data(2.5, FINISHED, counted=True)
        assert deadlines.next() == (4.5, "grace")

    def test_a_finish_without_usage_may_not_be_the_last_word(self):
        deadlines = Deadlines(Timeouts(idle=20, grace=2), 0.0)
        deadlines.data(1.0, FINISHED, counted=False)
        assert deadlines.next() == (21.0, "usage")
        deadlines.data(2.0, FINISHED, counted=True)
        assert deadlines.next() == (4.0, "grace")

    def test_drain_is_not_prolonged_by_data_behind_the_last_word(self):
        deadlines = Deadlines(Timeouts(grace=2, drain=0.1), 0.0)
        deadlines.data(1.0, TERMINATED, counted=True)
        deadlines.data(1.09, TERMINATED, counted=True)
        assert deadlines.next() == (1.1, "drain")

    def test_time_in_which_nobody_reads_is_no_silence(self):
        deadlines = Deadlines(Timeouts(idle=20), 0.0)
        deadlines.data(1.0, OPEN, counted=True)
        deadlines.pause(2.0)
        assert deadlines.next() == (inf, "total")
        deadlines.resume(100.0)
        assert deadlines.next() == (119.0, "idle")

    def test_the_total_runs_on_while_nobody_reads(self):
        deadlines = Deadlines(Timeouts(total=30), 0.0)
        deadlines.pause(2.0)
        assert deadlines.next() == (30.0, "total")

    def test_each_part_of_the_request_has_the_write_deadline_anew(self):
        deadlines = Deadlines(Timeouts(write=5, first_chunk=300), 0.0)
        deadlines.sending(1.0)
        assert deadlines.next() == (6.0, "write")
        deadlines.sending(4.0)
        assert deadlines.next() == (9.0, "write")
        deadlines.sent()
        assert deadlines.next() == (300.0, "first_chunk")

    def test_the_others_hold_while_it_is_sent(self):
        deadlines = Deadlines(Timeouts(write=30, first_chunk=20, total=25), 0.0)
        deadlines.sending(10.0)
        assert deadlines.next() == (20.0, "first_chunk")
        deadlines = Deadlines(Timeouts(write=30, first_chunk=None, total=25), 0.0)
        deadlines.sending(10.0)
        assert deadlines.next() == (25.0, "total")

    @pytest.mark.parametrize("phase", ["write", "first_chunk", "idle", "total"])
    def test_the_error_names_phase_and_setting(self, phase: str):
        error = Deadlines(Timeouts(write=7, first_chunk=7, idle=7, total=7), 0.0).expired(phase)
        assert isinstance(error, StreamTimeoutError)
        assert (error.phase, error.setting) == (phase, phase)
        assert "7 s" in str(error)
        assert f"Timeouts({phase}=" in str(error)

    @pytest.mark.parametrize("phase", ["usage", "grace", "drain"])
    def test_the_end_of_usage_grace_and_drain_is_no_error(self, phase: str):
        assert Deadlines(Timeouts(), 0.0).expired(phase) is None


@pytest.mark.parametrize("value", [-1, float("nan")])
def test_timeouts_that_are_none_are_refused(value: float):
    with pytest.raises(ConfigurationError) as caught:
        Timeouts(idle=value)
    assert caught.value.setting == "idle"


@every_client_at_once
@every_dialect
def test_a_server_that_never_answers_ends_at_the_first_chunk_deadline(kind: str, model: str):
    with LoopbackServer([silent]) as server, talking(kind, server) as talker:
        with lasting(0.3):
            heard = talker.hear(model, timeouts=Timeouts(first_chunk=0.3))
        heard.check("error", error=StreamTimeoutError)
        assert (heard.error.phase, heard.error.setting) == ("first_chunk", "first_chunk")
        assert len(server.requests) == 1  # a request that was sent is not sent again
        server.wait_until(lambda: server.open_connections == 0)


@every_client_at_once
def test_headers_are_no_first_chunk(kind: str):
    def only_headers(conversation: Conversation) -> None:
        conversation.begin()
        conversation.wait_for_hangup()

    with LoopbackServer([only_headers]) as server, talking(kind, server) as talker:
        heard = talker.hear(timeouts=Timeouts(first_chunk=0.1))
        heard.check("error", error=StreamTimeoutError)
        assert heard.error.phase == "first_chunk"


@every_client_at_once
def test_a_patient_first_token_then_a_short_idle_deadline(kind: str):
    """The first token takes three times as long as any later silence may."""
    release = threading.Event()

    def slow_to_begin(conversation: Conversation) -> None:
        release.wait(PATIENCE)
        with conversation.at_once():
            conversation.answer("Hi", " there")

    with LoopbackServer([slow_to_begin]) as server, talking(kind, server) as talker:
        stream = talker.stream(timeouts=Timeouts(first_chunk=30, idle=0.2))
        future = talker.begin(stream)
        threading.Timer(0.4, release.set).start()
        heard = future.result(PATIENCE).check("complete")
        assert heard.text == "Hi there"
        assert heard.stream.completion.metrics.time_to_first_chunk >= 0.3


@every_client_at_once
@every_dialect
def test_silence_between_data_ends_at_the_idle_deadline_with_what_had_come(kind: str, model: str):
    def falls_silent(conversation: Conversation) -> None:
        with conversation.at_once():
            conversation.begin()
            for frame in conversation.frames("Hi", " there")[:2]:
                conversation.chunk(frame)
        conversation.wait_for_hangup()

    with LoopbackServer([falls_silent]) as server, talking(kind, server) as talker:
        with lasting(0.1):
            heard = talker.hear(model, timeouts=Timeouts(idle=0.1))
        heard.check("error", error=StreamTimeoutError)
        assert (heard.error.phase, heard.error.setting) == ("idle", "idle")
        assert heard.error.completion.text == heard.text != ""
        assert heard.error.seq == heard.chunks[-1].seq
        server.wait_until(lambda: server.open_connections == 0)


def test_a_frame_that_is_never_finished_is_no_data():
    def half_a_frame(conversation: Conversation) -> None:
        conversation.begin()
        first, second = conversation.frames("Hi", " there")[:2]
        conversation.chunk(first + second[:10])
        conversation.wait_for_hangup()

    with LoopbackServer([half_a_frame]) as server, talking("sync", server) as talker:
        heard = talker.hear(timeouts=Timeouts(idle=0.1))
        heard.check("error", error=StreamTimeoutError)
        last = list(heard.calls[-1].frames())[-1]
        assert last.partial
        assert last.raw == ollama_lines("Hi", " there")[1][:10]


def repeat(conversation: Conversation, frame: bytes, pause: float) -> None:
    """Send a frame again and again until the client hangs up."""
    while not conversation.server.released.wait(pause):
        conversation.chunk(frame)


@every_client_at_once
def test_silence_in_a_body_ends_at_the_idle_deadline(kind: str):
    """A body in one piece makes no step before its end, but its first bytes are data."""

    def falls_silent(conversation: Conversation) -> None:
        conversation.head(content_type="application/json")
        conversation.chunk(ollama_body("Hi")[:20])
        conversation.wait_for_hangup()

    with LoopbackServer([falls_silent]) as server, talking(kind, server) as talker:
        with lasting(0.1), pytest.raises(StreamTimeoutError) as caught:
            talker.complete(timeouts=Timeouts(first_chunk=20, idle=0.1))
        assert caught.value.phase == "idle"


@every_client_at_once
@pytest.mark.parametrize("phase", ["first_chunk", "idle"])
def test_keep_alive_comments_do_not_hide_silence(kind: str, phase: str):
    def comments(conversation: Conversation) -> None:
        conversation.begin()
        if phase == "idle":
            conversation.chunk(openai_events("Hi")[1])
        repeat(conversation, b": keep-alive\n\n", 0.02)

    with LoopbackServer([comments]) as server, talking(kind, server) as talker:
        heard = talker.hear("open/m", timeouts=Timeouts(**{"first_chunk": 30, phase: 0.4}))
        heard.check("error", error=StreamTimeoutError)
        assert heard.error.phase == phase
        frames = [frame.raw for frame in heard.calls[-1].frames()]
        assert frames.count(b": keep-alive\n\n") >= 2


@every_client_at_once
def test_the_total_ends_a_stream_that_never_falls_silent(kind: str):
    def endless(conversation: Conversation) -> None:
        conversation.begin()
        repeat(conversation, ollama_lines("on ")[0], 0.01)

    with LoopbackServer([endless]) as server, talking(kind, server) as talker:
        with lasting(0.6):
            heard = talker.hear(timeouts=Timeouts(total=0.6))
        heard.check("error", error=StreamTimeoutError)
        assert (heard.error.phase, heard.error.setting) == ("total", "total")
        assert heard.text.startswith("on on ")


@every_client_at_once
def test_usage_within_the_grace_is_taken_and_silence_after_it_is_complete(kind: str):
    """Neither `[DONE]` nor the end of the body ever comes."""

    def lingers(conversation: Conversation) -> None:
        with conversation.at_once():
            conversation.begin()
            for frame in openai_events("Hi")[:-1]:
                conversation.chunk(frame)
        conversation.wait_for_hangup()

    with LoopbackServer([lingers]) as server, talking(kind, server) as talker:
        heard = talker.hear("open/m", timeouts=Timeouts(grace=0.2))
        heard.check("complete")
        assert heard.stream.completion.usage.output_tokens == 1
        server.wait_until(lambda: server.open_connections == 0)


@every_client_at_once
def test_what_comes_after_a_pause_behind_a_finish_without_usage_is_part_of_the_answer(kind: str):
    """Some servers pause between two tool calls, each with a finish reason of its own."""

    def pauses(conversation: Conversation) -> None:
        conversation.begin()
        piece: dict[str, Any] = {"id": "a", "model": "m", "object": "chat.completion.chunk"}
        for text in ("Hi", " there"):
            delta = {"index": 0, "delta": {"content": text}, "finish_reason": "stop"}
            (frame,) = sse({**piece, "choices": [delta]}, done=False)
            conversation.chunk(frame)
            threading.Event().wait(0.3)
        conversation.end()

    with LoopbackServer([pauses]) as server, talking(kind, server) as talker:
        heard = talker.hear("open/m", timeouts=Timeouts(grace=0.02))
        assert heard.check("complete").text == "Hi there"


@every_client_at_once
def test_the_drain_is_short_and_bounded(kind: str):
    """What is sent behind `[DONE]` without end is recorded for the time of the drain."""

    def chatters(conversation: Conversation) -> None:
        conversation.begin()
        for frame in openai_events("Hi"):
            conversation.chunk(frame)
        repeat(conversation, b'data: {"cost": 1}\n\n', 0.02)

    with LoopbackServer([chatters]) as server, talking(kind, server) as talker:
        heard = talker.hear("open/m", timeouts=Timeouts(drain=0.5, grace=60))
        assert (heard.error, heard.outcome) == (None, "complete")
        raws = [frame.raw for frame in heard.calls[-1].frames()]
        assert b"data: [DONE]\n\n" in raws
        assert raws[-1] == b'data: {"cost": 1}\n\n'


@every_client_at_once
@pytest.mark.parametrize("drain", [0, 0.2])
def test_silence_after_the_last_word_is_complete(kind: str, drain: float):
    def lingers(conversation: Conversation) -> None:
        conversation.begin()
        for frame in openai_events("Hi"):
            conversation.chunk(frame)
        conversation.wait_for_hangup()

    with LoopbackServer([lingers]) as server, talking(kind, server) as talker:
        heard = talker.hear("open/m", timeouts=Timeouts(drain=drain))
        heard.check("complete")
        server.wait_until(lambda: server.open_connections == 0)


@every_client
@pytest.mark.parametrize("how", ["cut", "reset"])
@pytest.mark.parametrize("missing", [2, 0], ids=["after-the-finish", "after-the-last-word"])
def test_a_broken_connection_after_the_end_changes_nothing(kind: str, how: str, missing: int):
    finished = threading.Event()

    def breaks(conversation: Conversation) -> None:
        conversation.begin()
        frames = openai_events("Hi")
        for frame in frames[: len(frames) - missing]:
            conversation.chunk(frame)
        assert finished.wait(PATIENCE)
        getattr(conversation, how)()

    with LoopbackServer([breaks]) as server, talking(kind, server) as talker:
        heard = talker.begin(
            talker.stream("open/m", timeouts=Timeouts(drain=30, grace=30)),
            lambda chunk: finished.set() if chunk.finish_reason else None,
        ).result(PATIENCE)
        assert heard.check("complete").text == "Hi"
        server.wait_until(lambda: server.open_connections == 0)


@every_client_at_once
def test_the_callers_own_slowness_is_no_silence_of_the_server(kind: str):
    """The caller takes longer over each chunk than the server may be silent."""
    pause = threading.Event()
    texts = [f"{number} " for number in range(600)]

    def all_at_once(conversation: Conversation) -> None:
        with conversation.at_once():
            conversation.begin()
            conversation.chunk(b"".join(ollama_lines(*texts)))
            conversation.end()

    with LoopbackServer([all_at_once]) as server, talking(kind, server) as talker:
        stream = talker.stream(timeouts=Timeouts(idle=0.2, first_chunk=30))
        talker.open(stream)
        first = talker.take(stream, 1)
        pause.wait(0.4)
        rest = talker.take(stream, 599)
        pause.wait(0.25)
        last = talker.take(stream, 1)
        assert [chunk.text for chunk in (*first, *rest, *last)] == [*texts, ""]
        talker.leave(stream)
        assert stream.outcome == "complete"


@every_client_at_once
def test_a_caller_that_reads_nothing_for_long_still_gets_all(kind: str):
    """More than is read ahead, in many reads: reading stops, and its deadlines with it."""
    pause = threading.Event()
    line = ollama_lines("x" * 4000)[0]

    def long(conversation: Conversation) -> None:
        conversation.begin()
        for _ in range(1500):
            conversation.chunk(line)
        conversation.chunk(ollama_lines()[0])
        conversation.end()

    with LoopbackServer([long]) as server, talking(kind, server) as talker:
        stream = talker.stream(timeouts=Timeouts(idle=1, first_chunk=30))
        talker.open(stream)
        talker.take(stream, 1)
        pause.wait(1.4)
        assert stream.outcome is None
        assert len(talker.take(stream, 1500)) == 1500
        talker.leave(stream)
        assert stream.outcome == "complete"


@every_client_at_once
def test_no_connection_within_the_connect_deadline(kind: str):
    quick = Retries(backoff=0.01)
    with (
        unanswering_port() as port,
        talking(kind, f"http://127.0.0.1:{port}", retries=quick) as talker,
    ):
        with lasting(0, 0.1 * 3):
            heard = talker.hear(timeouts=Timeouts(connect=0.1))
        heard.check("error", error=StreamTimeoutError)
        assert (heard.error.phase, heard.error.setting) == ("connect", "connect")
        assert len(heard.calls) == 3  # nothing was sent: tried again


@every_client_at_once
@pytest.mark.parametrize(
    "timeouts",
    [Timeouts(total=0.1), Timeouts(first_chunk=0.1), Timeouts(first_chunk=0.1, connect=None)],
    ids=["total", "first-chunk", "no-connect-deadline"],
)
def test_the_other_deadlines_hold_while_connecting(kind: str, timeouts: Timeouts):
    with unanswering_port() as port, talking(kind, f"http://127.0.0.1:{port}") as talker:
        with lasting(0, 0.1):
            heard = talker.hear(timeouts=timeouts)
        heard.check("error", error=StreamTimeoutError)
        assert heard.error.phase in {"total", "first_chunk"}
        assert len(heard.calls) == 1


@every_client
def test_no_limit_at_all_while_connecting(kind: str):
    """None everywhere is not a number too large for the system."""
    unlimited = Timeouts(connect=None, write=None, pool=None, first_chunk=None, idle=None)
    with (
        LoopbackServer([answer]) as server,
        talking(kind, server) as talker,
    ):
        assert talker.hear(timeouts=unlimited).check("complete").text == "Hi"


@every_client_at_once
def test_a_request_that_is_not_taken_ends_at_the_write_deadline(kind: str):
    timeouts = Timeouts(write=0.2, first_chunk=30)
    taken = threading.Event()
    with LoopbackServer([answer], reading=taken) as server, talking(kind, server) as talker:
        heard = talker.hear(messages="x" * 8_000_000, timeouts=timeouts)
        taken.set()
        heard.check("error", error=StreamTimeoutError)
        assert (heard.error.phase, heard.error.setting) == ("write", "write")
        assert len(heard.calls) == 1
        assert server.requests == []


@every_client_at_once
def test_one_slow_server_among_ten_streams_delays_and_breaks_none(kind: str):
    """The slow one ends by its own deadline, which its error names."""
    done = threading.Event()

    def slow(conversation: Conversation) -> None:
        conversation.begin()
        conversation.chunk(ollama_lines("slow")[0])
        conversation.wait_for_hangup()
        done.set()

    with (
        LoopbackServer([slow]) as slow_server,
        LoopbackServer([lambda each: each.answer(*"abcdef")]) as server,
        talking(kind, server) as talker,
    ):
        with talking(kind, slow_server) as other:
            slow_one = other.begin(other.stream(timeouts=Timeouts(idle=0.5)))
            nine: list[Future[Heard]] = [talker.begin(talker.stream()) for _ in range(9)]
            for each in nine:
                assert each.result(PATIENCE).check("complete").text == "abcdef"
            heard = slow_one.result(PATIENCE).check("error", error=StreamTimeoutError)
        assert heard.error.phase == "idle"
        assert heard.text == "slow"
        assert done.wait(PATIENCE)
