"""After a fork a client is the parent's: using it in the child is an error and does no harm."""

from __future__ import annotations

import gc
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from loopback import Conversation, LoopbackServer, ollama_lines
from patience import PATIENCE
from talking import every_client, talking
from vesselog import Client, ClientStateError, Recording
from vesselog.vessels.ollama import Ollama

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


def in_child(task: Callable[[], object]) -> str:
    """What a forked child found: the task's result, or the name of the error it raised."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads: the point
        child = os.fork()
    if child == 0:
        try:
            try:
                told = repr(task())
            except BaseException as error:  # noqa: BLE001 - told to the parent
                told = type(error).__name__
            os.write(writing, told.encode())
            gc.collect()
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read().decode()
    os.waitpid(child, 0)
    return told


def answer(conversation: Conversation) -> None:
    conversation.answer("Hi", " there")


def test_a_client_of_the_parent_says_so_in_the_child():
    with LoopbackServer([answer]) as server:
        vessels = {"lab": Ollama(base_url=server.url)}
        with Client(vessels=vessels, environment={}) as client:
            assert client.complete("lab/m", "hi").text == "Hi there"
            made = client.stream("lab/m", "hi")
            assert in_child(lambda: client.stream("lab/m", "hi")) == ClientStateError.__name__
            assert in_child(lambda: client.complete("lab/m", "hi")) == ClientStateError.__name__
            assert in_child(lambda: client.models("lab")) == ClientStateError.__name__
            assert in_child(lambda: list(made)) == ClientStateError.__name__
            assert len(server.requests) == 1
            # The parent's client and its connection are as they were.
            assert client.complete("lab/m", "hi").text == "Hi there"
            assert server.connections == 1


def test_a_running_stream_goes_on_in_the_parent_alone(tmp_path: Path):
    def steps(conversation: Conversation) -> None:
        conversation.begin()
        conversation.chunk(ollama_lines("one")[0])
        assert go_on.wait(PATIENCE)
        for line in ollama_lines("two"):
            conversation.chunk(line)
        conversation.end()

    import threading

    go_on = threading.Event()
    with LoopbackServer([steps]) as server:
        vessels = {"lab": Ollama(base_url=server.url)}
        with Client(vessels=vessels, environment={}) as client:
            stream = client.stream("lab/m", "hi", session="chat")
            with stream:
                assert next(stream).text == "one"
                before = (tmp_path / "recordings" / "chat.jsonl").read_bytes()

                def left() -> None:
                    stream.__exit__(None, None, None)

                def dropped() -> None:
                    nonlocal stream
                    del stream
                    gc.collect()

                assert in_child(lambda: next(stream)) == ClientStateError.__name__
                assert in_child(left) == "None"
                assert in_child(dropped) == "None"
                assert (tmp_path / "recordings" / "chat.jsonl").read_bytes() == before
                go_on.set()
                assert [chunk.text for chunk in stream] == ["two", ""]
            assert stream.outcome == "complete"
        assert server.connections == 1
    (call,) = Recording("recordings/chat.jsonl").calls()
    assert call.outcome == "complete"


def test_a_child_makes_a_client_of_its_own():
    with LoopbackServer([answer]) as server:
        vessels = {"lab": Ollama(base_url=server.url)}
        with Client(vessels=vessels, environment={}) as client:
            client.complete("lab/m", "hi")

            def ask() -> str:
                with Client(vessels=vessels, environment={}) as own:
                    return own.complete("lab/m", "hi").text

            assert in_child(ask) == "'Hi there'"
            assert client.complete("lab/m", "hi").text == "Hi there"


@every_client
def test_a_child_of_a_process_with_running_streams_may_end(kind: str):
    """Whatever the child's exit drops takes no lock that some thread of the parent held."""

    def falls_silent(conversation: Conversation) -> None:
        conversation.begin()
        conversation.chunk(ollama_lines("Hi")[0])
        conversation.wait_for_hangup()

    with LoopbackServer([falls_silent]) as server, talking(kind, server) as talker:
        streams = [talker.stream() for _ in range(3)]
        for stream in streams:
            talker.open(stream)
            talker.take(stream, 1)

        def drop() -> int:
            import atexit

            streams.clear()
            gc.collect()
            atexit._run_exitfuncs()
            return 0

        assert in_child(drop) == "0"
        assert server.open_connections == 3
        for stream in streams:
            talker.leave(stream)
            (call,) = Recording(stream.path).calls()
            assert call.outcome == "cancelled"
