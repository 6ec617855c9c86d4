"""The sync stream: entered once, iterated once, read and left from any thread."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from loopback import Conversation, LoopbackServer, ollama_lines
from patience import PATIENCE
from talking import talking
from vesselog import Client, ClientStateError, Recording, Retries, TruncatedError, verify
from vesselog.vessels.ollama import Ollama

BOTH = pytest.mark.parametrize("kind", ["sync", "sync-fast"])

THREADS = 8
STREAMS = 10


def answer(conversation: Conversation) -> None:
    conversation.answer("Hi", " there")


def falls_silent(conversation: Conversation) -> None:
    conversation.begin()
    conversation.chunk(conversation.frames("Hi", " there")[0])
    conversation.wait_for_hangup()


@BOTH
class TestOnce:
    def test_it_can_be_iterated_without_with(self, kind: str):
        with LoopbackServer([answer]) as server, talking(kind, server) as talker:
            stream = talker.stream()
            assert server.requests == []
            assert "".join(chunk.text for chunk in stream) == "Hi there"
            assert stream.outcome == "complete"
            assert next(stream, None) is None
            assert len(server.requests) == 1

    def test_it_can_be_taken_up_again_by_next(self, kind: str):
        with LoopbackServer([answer]) as server, talking(kind, server) as talker:
            with talker.stream() as stream:
                chunks = iter(stream)
                for chunk in chunks:
                    assert chunk.text == "Hi"
                    break
                assert next(stream).text == " there"
                assert stream.completion.text == "Hi there"
                assert len(list(chunks)) == 1
            assert stream.outcome == "complete"

    def test_it_is_entered_once(self, kind: str):
        with LoopbackServer([answer]) as server, talking(kind, server) as talker:
            stream = talker.stream()
            with stream:
                with pytest.raises(ClientStateError, match="entered once"):
                    stream.__enter__()
                assert "".join(chunk.text for chunk in stream) == "Hi there"
            with pytest.raises(ClientStateError, match="entered once"):
                stream.__enter__()
            assert stream.outcome == "complete"
            assert len(server.requests) == 1

    def test_it_is_iterated_once(self, kind: str):
        with LoopbackServer([answer]) as server, talking(kind, server) as talker:
            stream = talker.stream()
            with stream:
                for chunk in stream:
                    assert chunk.text == "Hi"
                    break
                for again in (lambda: iter(stream), lambda: list(stream), stream.frames):
                    with pytest.raises(ClientStateError, match="iterated once"):
                        again()
                assert next(stream).text == " there"
            with pytest.raises(ClientStateError, match=r"stream\.completion"):
                iter(stream)

    def test_frames_are_an_iteration_too(self, kind: str):
        with LoopbackServer([answer]) as server, talking(kind, server) as talker:
            with talker.stream() as stream:
                frames = [step.frame.raw for step in stream.frames()]
                with pytest.raises(ClientStateError, match="iterated once"):
                    iter(stream)
            assert frames == ollama_lines("Hi", " there")

    def test_what_went_wrong_is_raised_once(self, kind: str):
        def cut(conversation: Conversation) -> None:
            conversation.stream(ollama_lines("Hi")[:1])

        with LoopbackServer([cut]) as server, talking(kind, server) as talker:
            stream = talker.stream()
            assert next(stream).text == "Hi"
            with pytest.raises(TruncatedError) as caught:
                next(stream)
            assert stream.error is caught.value
            assert list(stream) == []

    def test_it_can_be_left_and_cancelled_again_and_again(self, kind: str):
        with LoopbackServer([falls_silent]) as server, talking(kind, server) as talker:
            stream = talker.stream()
            with stream:
                next(stream)
            for _ in range(2):
                stream.close()
                stream.cancel()
                assert next(stream, None) is None
            assert list(stream) == []
            (call,) = Recording(stream.path).calls()
            assert call.outcome == "cancelled"
            assert [line["type"] for line in call.lines()].count("end") == 1


def echo(conversation: Conversation) -> None:
    """Answers with the prompt, word by word."""
    words = conversation.request.json["messages"][0]["content"].split()
    conversation.begin()
    for line in ollama_lines(*words):
        conversation.chunk(line)
    conversation.end()


def test_eight_threads_share_a_client():
    def work(client: Client, number: int) -> None:
        for round_ in range(STREAMS):
            words = [f"{number}.{round_}.{word}" for word in range(20)]
            # A file for each stream, and one that all threads write.
            session = "shared" if round_ % 2 else None
            with client.stream("lab/m", " ".join(words), session=session) as stream:
                assert [chunk.text for chunk in stream] == [*words, ""]
            assert stream.outcome == "complete"
            assert stream.completion.text == "".join(words)

    threads = threading.active_count()
    with LoopbackServer([echo]) as server:
        vessels = {"lab": Ollama(base_url=server.url)}
        with (
            Client(vessels=vessels, environment={}) as client,
            ThreadPoolExecutor(THREADS) as pool,
        ):
            for job in [pool.submit(work, client, number) for number in range(THREADS)]:
                job.result(PATIENCE)
            assert client.complete("lab/m", "a b").text == "ab"
        assert server.connections <= THREADS
        assert len(server.requests) == THREADS * STREAMS + 1
    assert threading.active_count() == threads
    report = verify("recordings/shared.jsonl")
    assert report.ok, report.findings
    calls = list(Recording("recordings/shared.jsonl").calls())
    assert len(calls) == THREADS * STREAMS // 2
    for call in calls:
        assert call.outcome == "complete"
        asked = call.request["body"]["messages"][0]["content"].split()
        assert [chunk.text for chunk in call.chunks()] == [*asked, ""]


def test_a_stream_may_be_read_in_another_thread_than_it_was_opened_in():
    with LoopbackServer([echo]) as server:
        vessels = {"lab": Ollama(base_url=server.url)}
        with Client(vessels=vessels, environment={}) as client, ThreadPoolExecutor(1) as pool:
            with client.stream("lab/m", "a b c") as stream:
                assert next(stream).text == "a"
                assert pool.submit(lambda: next(stream).text).result(PATIENCE) == "b"
                assert [chunk.text for chunk in stream] == ["c", ""]
            assert stream.outcome == "complete"


def test_one_threads_failures_are_its_own():
    """Half of the threads talk to a server that is not there."""
    with LoopbackServer([echo]) as server:
        vessels = {
            "lab": Ollama(base_url=server.url),
            "gone": Ollama(base_url="http://127.0.0.1:9"),
        }
        together = threading.Barrier(THREADS)

        def work(number: int) -> str:
            together.wait(PATIENCE)
            with client.stream("gone/m" if number % 2 else "lab/m", "a b") as stream:
                return "".join(chunk.text for chunk in stream)

        with (
            Client(vessels=vessels, environment={}, retries=Retries(count=0)) as client,
            ThreadPoolExecutor(THREADS) as pool,
        ):
            jobs = [pool.submit(work, number) for number in range(THREADS)]
            failures = [job.exception(30) for job in jobs]
            assert [failure is not None for failure in failures] == [False, True] * (THREADS // 2)
            assert {job.result() for job in jobs[::2]} == {"ab"}
