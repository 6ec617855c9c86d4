"""The sync client's thread: it runs what it is given, ends in every way that a process can end."""

from __future__ import annotations

import asyncio
import gc
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from loopback import Conversation, LoopbackServer
from patience import PATIENCE
from talking import talking
from vesselog import Client, ClientStateError, Recording
from vesselog.core.client.loop_thread import LoopThread
from vesselog.vessels.ollama import Ollama
from warm_python import Popen, run


def falls_silent(conversation: Conversation) -> None:
    conversation.begin()
    conversation.chunk(conversation.frames("Hi", " there")[0])
    conversation.wait_for_hangup()


def talks_on(conversation: Conversation) -> None:
    conversation.begin()
    while not conversation.server.released.wait(0.005):
        conversation.chunk(conversation.frames("on ")[0])


def client_of(server: LoopbackServer, **settings: Any) -> Client:
    return Client(vessels={"lab": Ollama(base_url=server.url)}, environment={}, **settings)


def ended_once(path: Path, *outcomes: str) -> None:
    """The recording's calls have these outcomes, each said once."""
    recording = Recording(path)
    assert [call.outcome for call in recording.calls()] == list(outcomes)
    ends = [line for line in recording.lines() if line["type"] == "end"]
    assert len(ends) == len(outcomes)


class Last:
    """The last work of a loop."""

    def __init__(self, failure: BaseException | None = None) -> None:
        self.failure = failure
        self.times = 0

    async def __call__(self) -> None:
        self.times += 1
        if self.failure is not None:
            raise self.failure


@contextmanager
def running(last: Last | None = None) -> Iterator[LoopThread]:
    thread = LoopThread(last or Last())
    try:
        yield thread
    finally:
        thread.close()


async def where() -> int:
    return threading.get_ident()


class TestRunning:
    def test_functions_and_coroutines_run_in_its_thread(self) -> None:
        with running() as thread:
            idents = {thread.call(threading.get_ident), thread.run(where)}
            assert len(idents) == 1
            assert threading.get_ident() not in idents

    @pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, asyncio.CancelledError])
    def test_what_they_raise_is_raised(self, failure: type[BaseException]) -> None:
        def fail() -> None:
            raise failure

        if failure is KeyboardInterrupt:
            pytest.skip("no signal handler runs in this thread")
        with running() as thread:
            with pytest.raises(failure):
                thread.call(fail)
            assert thread.call(lambda: 5) == 5

    def test_many_threads_may_ask_at_once(self) -> None:
        with running() as thread:
            results: list[int] = []
            threads = [
                threading.Thread(
                    target=lambda number=number: results.append(thread.call(lambda: number))
                )
                for number in range(16)
            ]
            for each in threads:
                each.start()
            for each in threads:
                each.join(PATIENCE)
            assert sorted(results) == list(range(16))

    def test_without_a_loop_it_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def none() -> None:
            raise OSError(24, "Too many open files")

        monkeypatch.setattr(asyncio, "new_event_loop", none)
        with pytest.raises(ClientStateError, match="Too many open files"):
            LoopThread(Last())

    def test_without_a_thread_it_says_so_and_leaves_no_loop(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def none(self: object) -> None:
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", none)
            with pytest.raises(ClientStateError, match="no thread"):
                LoopThread(Last())
        gc.collect()  # a loop that is left open warns


class TestEnding:
    def test_closed_it_did_its_last_work_once_and_its_thread_is_gone(self) -> None:
        last = Last()
        threads = threading.active_count()
        thread = LoopThread(last)
        assert threading.active_count() == threads + 1
        for _ in range(2):
            thread.close()
        assert last.times == 1
        assert threading.active_count() == threads
        assert thread.loop.is_closed()

    def test_closed_it_takes_no_more(self) -> None:
        thread = LoopThread(Last())
        thread.close()
        with pytest.raises(ClientStateError, match="closed"):
            thread.call(lambda: 5)
        with pytest.raises(ClientStateError, match="closed"):
            thread.run(where)

    def test_what_its_last_work_raises_is_raised_and_it_ends_all_the_same(self) -> None:
        threads = threading.active_count()
        thread = LoopThread(Last(ValueError()))
        with pytest.raises(ValueError):  # noqa: PT011 - it has no text
            thread.close()
        assert threading.active_count() == threads

    def test_what_still_runs_is_cancelled(self) -> None:
        ends: list[str] = []

        async def endless() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ends.append("cancelled")

        thread = LoopThread(Last())
        asking = threading.Thread(target=lambda: _quietly(thread, endless))
        asking.start()
        while not thread.call(asyncio.all_tasks):
            pass
        thread.close()
        asking.join(PATIENCE)
        assert not asking.is_alive()
        assert ends == ["cancelled"]

    def test_asked_by_others_while_it_closes_it_answers_or_says_that_it_is_closed(self) -> None:
        """None of them waits for ever."""
        for _ in range(30):
            thread = LoopThread(Last())
            begin = threading.Barrier(5)

            def ask(thread: LoopThread = thread, begin: threading.Barrier = begin) -> None:
                begin.wait(PATIENCE)
                with suppress(ClientStateError, asyncio.CancelledError):
                    while True:
                        thread.call(int)

            asking = [threading.Thread(target=ask, daemon=True) for _ in range(4)]
            for each in asking:
                each.start()
            begin.wait(PATIENCE)
            thread.close()
            for each in asking:
                each.join(10)
            assert not any(each.is_alive() for each in asking), "it waits for ever"

    def test_held_by_nobody_it_does_its_last_work_and_ends(self) -> None:
        last = Last()
        thread = LoopThread(last)
        inner = thread._thread
        del thread
        gc.collect()
        inner.join(PATIENCE)
        assert not inner.is_alive()
        assert last.times == 1

    def test_dropped_unused_it_ends_without_its_last_work(self) -> None:
        last = Last()
        thread = LoopThread(last)
        thread.drop()
        thread._thread.join(PATIENCE)
        assert not thread._thread.is_alive()
        assert last.times == 0


def _quietly(thread: LoopThread, make: Any) -> None:
    with suppress(ClientStateError, asyncio.CancelledError):
        thread.run(make)


class TestClients:
    def test_a_client_has_no_thread_before_it_needs_one_and_one_for_all(self) -> None:
        threads = threading.active_count()
        with LoopbackServer([lambda talk: talk.answer("Hi")]) as server:
            serving = threading.active_count()
            with client_of(server) as client:
                client.stream("lab/m", "hi")
                made = threading.active_count()
                assert made <= serving + 1
                for _ in range(3):
                    assert client.complete("lab/m", "hi").text == "Hi"
            names = [each.name for each in threading.enumerate()]
            assert "vesselog client" not in names
        assert threading.active_count() == threads

    def test_a_client_that_is_dropped_with_its_running_stream_leaves_nothing(self) -> None:
        with LoopbackServer([falls_silent]) as server:
            threads = threading.active_count()
            client = client_of(server)
            stream = client.stream("lab/m", "hi")
            assert next(stream).text == "Hi"
            path = stream.path
            del stream, client
            gc.collect()
            server.wait_until(lambda: server.open_connections == 0)
            _wait_for(
                lambda: "vesselog client" not in {each.name for each in threading.enumerate()}
            )
            ended_once(path, "abandoned")
            assert threading.active_count() <= threads + 1  # the server's

    def test_a_stream_outlives_the_last_reference_to_its_client(self) -> None:
        """As in `vesselog.Client().stream(…)`."""
        release = threading.Event()

        def pauses(conversation: Conversation) -> None:
            conversation.begin()
            first, *rest = conversation.frames("Hi", " there")
            conversation.chunk(first)
            release.wait(PATIENCE)
            for line in rest:
                conversation.chunk(line)
            conversation.end()

        with LoopbackServer([pauses]) as server:
            stream = client_of(server).stream("lab/m", "hi")
            assert next(stream).text == "Hi"
            gc.collect()
            release.set()
            assert [chunk.text for chunk in stream] == [" there", ""]
            assert stream.outcome == "complete"

    def test_closed_in_a_signal_handler_that_came_in_the_midst_of_reading(self) -> None:
        """The handler runs in the thread that waits for the next chunk."""
        with LoopbackServer([falls_silent]) as server, talking("sync", server) as talker:
            before = signal.signal(signal.SIGUSR1, lambda *_: talker.client.close())
            try:
                stream = talker.stream()
                with stream:
                    assert next(stream).text == "Hi"
                    _signal_soon(signal.SIGUSR1)
                    assert list(stream) == []
                assert stream.outcome == "cancelled"
                ended_once(stream.path, "cancelled")
            finally:
                signal.signal(signal.SIGUSR1, before)

    def test_cancelled_in_a_signal_handler_that_came_in_the_midst_of_reading(self) -> None:
        with LoopbackServer([falls_silent]) as server, talking("sync", server) as talker:
            stream = talker.stream()
            before = signal.signal(signal.SIGUSR1, lambda *_: stream.cancel())
            try:
                with stream:
                    assert next(stream).text == "Hi"
                    _signal_soon(signal.SIGUSR1)
                    assert list(stream) == []
                assert stream.outcome == "cancelled"
                ended_once(stream.path, "cancelled")
                server.wait_until(lambda: server.open_connections == 0)
            finally:
                signal.signal(signal.SIGUSR1, before)

    def test_an_interrupt_in_the_middle_of_reading_ends_the_stream(self) -> None:
        """Ctrl-C in a blocked read, caught by the caller: the stream is over, and says how."""
        with LoopbackServer([falls_silent]) as server, talking("sync", server) as talker:
            stream = talker.stream()
            with stream:
                assert next(stream).text == "Hi"
                _signal_soon(signal.SIGINT)
                with pytest.raises(KeyboardInterrupt):
                    next(stream)
                assert stream.outcome == "cancelled"
                assert list(stream) == []
            ended_once(stream.path, "cancelled")
            server.wait_until(lambda: server.open_connections == 0)

    def test_an_interrupt_while_it_waits_for_the_first_byte(self) -> None:
        def silent(conversation: Conversation) -> None:
            _signal_soon(signal.SIGINT)
            conversation.wait_for_hangup()

        with LoopbackServer([silent]) as server, talking("sync", server) as talker:
            stream = talker.stream()
            with pytest.raises(KeyboardInterrupt):
                stream.__enter__()
            assert stream.outcome == "cancelled"
            ended_once(stream.path, "cancelled")
            server.wait_until(lambda: server.open_connections == 0)

    def test_an_interrupt_is_the_main_threads_alone(self) -> None:
        """A stream that another thread reads goes on, and so does the client's own thread."""
        texts = [str(number) for number in range(20)]
        halfway, go_on = threading.Event(), threading.Event()

        def long(conversation: Conversation) -> None:
            conversation.begin()
            for number, line in enumerate(conversation.frames(*texts)):
                if number == 10:
                    halfway.set()
                    go_on.wait(PATIENCE)
                conversation.chunk(line)
            conversation.end()

        with LoopbackServer([falls_silent, long]) as server, talking("sync", server) as talker:
            mine = talker.stream()
            talker.open(mine)
            talker.take(mine, 1)
            other = talker.begin(talker.stream())
            assert halfway.wait(PATIENCE)
            _signal_soon(signal.SIGINT)
            with pytest.raises(KeyboardInterrupt):
                next(mine)
            go_on.set()
            assert other.result(PATIENCE).check("complete").text == "".join(texts)
            assert mine.outcome == "cancelled"


def _signal_soon(number: int) -> None:
    """Send this thread a signal while it waits for something."""
    me = threading.main_thread().ident
    assert me is not None
    timer = threading.Timer(0.3, lambda: signal.pthread_kill(me, number))
    timer.daemon = True
    timer.start()


def _wait_for(true: Any) -> None:
    end = time.monotonic() + 20
    while not true():
        gc.collect()
        assert time.monotonic() < end


# At exit the modules are collected, too, as in an interpreter that imported them itself.
_COLLECTED = "import gc; gc.unfreeze()"
SYNC = """
import sys, vesselog
from vesselog.vessels.ollama import Ollama
client = vesselog.Client(
    vessels={"lab": Ollama(base_url=sys.argv[1])}, environment={}, fast=sys.argv[2] == "fast"
)
stream = client.stream("lab/m", "hi")
"""
ASYNC = """
import asyncio, sys, vesselog
from vesselog.vessels.ollama import Ollama
async def main():
    global client, stream
    client = vesselog.AsyncClient(
        vessels={"lab": Ollama(base_url=sys.argv[1])}, environment={}, fast=sys.argv[2] == "fast"
    )
    stream = client.stream("lab/m", "hi")
"""
# A program, the outcome in its recording, its exit code.
EXITS = {
    "end": (SYNC + "print(next(stream).text)", "cancelled", 0),
    "with-end": (
        SYNC + "stream.__enter__(); print(next(stream).text); raise SystemExit(3)",
        "cancelled",
        3,
    ),
    "an-error": (SYNC + "print(next(stream).text); raise ValueError", "cancelled", 1),
    "while-another-thread-reads": (
        SYNC
        + "import threading\n"
        + "print(next(stream).text, flush=True)\n"
        + "threading.Thread(target=lambda: list(stream), daemon=True).start()",
        "cancelled",
        0,
    ),
    "in-another-thread": (
        SYNC
        + "import threading\n"
        + "def read():\n    print(next(stream).text, flush=True)\n"
        + "thread = threading.Thread(target=read); thread.start(); thread.join()",
        "cancelled",
        0,
    ),
    "dropped": (
        SYNC + "print(next(stream).text)\ndel stream, client",
        "abandoned",
        0,
    ),
    "interrupt": (
        SYNC + "\nwith stream:\n    print(next(stream).text)\n    raise KeyboardInterrupt",
        "cancelled",
        -2,
    ),
    "async-end": (
        ASYNC + "    print((await anext(stream)).text)\nasyncio.run(main())",
        "cancelled",
        0,
    ),
    "async-loop-left-open": (
        ASYNC + "    print((await anext(stream)).text)\n"
        "loop = asyncio.new_event_loop(); loop.run_until_complete(main())",
        "abandoned",
        0,
    ),
}


@pytest.mark.parametrize("how", EXITS)
@pytest.mark.parametrize("transport", ["plain", "fast"])
def test_the_interpreters_exit_is_recorded(how: str, transport: str, tmp_path: Path) -> None:
    program, outcome, status = EXITS[how]
    with LoopbackServer([falls_silent]) as server:
        ran = run(
            [sys.executable, "-c", _COLLECTED + program, server.url, transport],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert ran.stdout == "Hi\n", ran.stderr
        assert ran.returncode == status, ran.stderr
        if how in ("an-error", "interrupt"):
            assert ran.stderr.count("Traceback") == 1
        elif how.startswith("async") and transport == "fast":
            # aiohttp complains of a session that nobody closed, and of a loop that nobody closed.
            assert ("Traceback" in ran.stderr) <= (how == "async-loop-left-open")
        else:
            assert ran.stderr == ""
        (path,) = (tmp_path / "recordings").iterdir()
        ended_once(path, outcome)
        assert [chunk.text for chunk in Recording(path).chunks()] == ["Hi"]


@pytest.mark.parametrize("transport", ["plain", "fast"])
def test_a_real_interrupt_ends_a_program_that_reads(transport: str, tmp_path: Path) -> None:
    """Ctrl-C, as a terminal sends it: one traceback, the recording whole, no hang."""
    program = (
        SYNC + "\nwith client, stream:\n    for chunk in stream:\n        print('.', flush=True)"
    )
    with LoopbackServer([talks_on]) as server:
        with Popen(
            [sys.executable, "-c", program, server.url, transport],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            for _ in range(5):
                assert process.stdout.readline() == ".\n"
            process.send_signal(signal.SIGINT)
            _, stderr = process.communicate(timeout=PATIENCE)
        assert process.returncode == -signal.SIGINT
        assert stderr.count("KeyboardInterrupt") == 1
        assert stderr.count("Traceback") == 1
        (path,) = (tmp_path / "recordings").iterdir()
        ended_once(path, "cancelled")
