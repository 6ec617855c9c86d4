"""One Client in many threads: one pool, and no stream hears of another's."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from loopback import Conversation, LoopbackServer, ollama_lines
from patience import PATIENCE
from vesselog import Client, Recording, Retries, verify
from vesselog.vessels.ollama import Ollama

THREADS = 8
STREAMS = 10


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
