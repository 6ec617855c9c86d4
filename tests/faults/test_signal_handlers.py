"""Cancelling and closing in signal handlers, which is where programs do it.

A handler runs in the main thread between two steps of whatever runs there: also in the middle of a
write, and with any lock held. Each child process is a program of its own, as its user would write
it; what it recorded is looked at from outside.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from amounts import amount
from invariants import check
from loopback import Conversation, Hangup, LoopbackServer, ollama_lines
from reporting import Figure
from vesselog import verify

IN_TIME = 60.0  # seconds, within which a program ends that takes a few
FAST = pytest.mark.parametrize("fast", [False, True], ids=["plain", "fast"])

# Every program: `python program URL PROMPT FAST ROUNDS SEED`.
BEGIN = """
    import asyncio, faulthandler, random, signal, ssl, sys, threading
    from vesselog import AsyncClient, Client, VesselogError
    from vesselog.vessels import Ollama

    url, prompt, fast, rounds, seed = sys.argv[1:]
    fast, rounds = fast == "True", int(rounds)
    chance = random.Random(seed)
    settings = {
        "vessels": {"lab": Ollama(base_url=url)}, "environment": {}, "fast": fast,
        "ssl_context": ssl.create_default_context(),
    }
    faulthandler.dump_traceback_later(50, exit=True)  # a deadlock is told, and ends

    def soon():
        signal.setitimer(signal.ITIMER_REAL, 0.0001 + chance.random() * 0.02)
"""

CANCEL_ASYNC = """
    stream = None

    def cancel(number, frame):
        if stream is not None:
            stream.cancel()

    signal.signal(signal.SIGALRM, cancel)

    async def main():
        global stream
        async with AsyncClient(**settings) as client:
            for _ in range(rounds):
                stream = client.stream("lab/m", prompt)
                async with stream:
                    async for chunk in stream:
                        if chunk.seq == 0:
                            soon()
                signal.setitimer(signal.ITIMER_REAL, 0)
                assert stream.outcome in {"cancelled", "complete"}, stream.outcome
            stream = client.stream("lab/m", "last")
            async with stream:
                async for chunk in stream:
                    break
            assert chunk.text

    asyncio.run(main())
"""

CANCEL_SYNC = """
    stream = None

    def cancel(number, frame):
        if stream is not None:
            stream.cancel()

    signal.signal(signal.SIGALRM, cancel)
    with Client(**settings) as client:
        for _ in range(rounds):
            stream = client.stream("lab/m", prompt)
            with stream:
                for chunk in stream:
                    if chunk.seq == 0:
                        soon()
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert stream.outcome in {"cancelled", "complete"}, stream.outcome
        stream = client.stream("lab/m", "last")
        with stream:
            assert next(stream).text
"""

CLOSE_SYNC = """
    client = None

    def close(number, frame):
        client.close()

    signal.signal(signal.SIGALRM, close)
    for _ in range(rounds):
        client = Client(**settings)
        try:
            for number in range(1000):
                with client.stream("lab/m", prompt) as stream:
                    for chunk in stream:
                        if number == chunk.seq == 0:
                            soon()
        except VesselogError:
            pass  # the client is closed
        else:
            raise AssertionError("the client still answers")
        client.close()
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join(10)
    assert threading.active_count() == 1, threading.enumerate()
"""

TERMINATED_SYNC = """
    client = Client(**settings)

    def close(number, frame):
        client.close()

    signal.signal(signal.SIGTERM, close)
    print("ready", flush=True)
    try:
        while True:
            with client.stream("lab/m", prompt) as stream:
                for _ in stream:
                    pass
    except VesselogError:
        pass
    print(stream.outcome, flush=True)
"""

EXIT_SYNC = """
    client = Client(**settings)

    def leave(number, frame):
        client.close()
        sys.exit(0)

    signal.signal(signal.SIGTERM, leave)
    print("ready", flush=True)
    while True:
        with client.stream("lab/m", prompt) as stream:
            for _ in stream:
                pass
"""

TERMINATED_ASYNC = """
    client = None

    def close(number, frame):
        stream.cancel()
        stopping.append(number)

    stopping = []

    async def main():
        global client, stream
        async with AsyncClient(**settings) as client:
            stream = client.stream("lab/m", prompt)
            signal.signal(signal.SIGTERM, close)
            print("ready", flush=True)
            while not stopping:
                async with stream:
                    async for _ in stream:
                        pass
                if not stopping:
                    stream = client.stream("lab/m", prompt)

    asyncio.run(main())
"""


def pieces(words: int) -> list[bytes]:
    """An answer of so many words, in large pieces."""
    lines = ollama_lines(*["abc " * 4] * words)
    return [b"".join(lines[at : at + 300]) for at in range(0, len(lines), 300)]


SHORT, LONG = pieces(1), pieces(3000)


def torrent(conversation: Conversation) -> None:
    """As many frames as the client takes, in large writes, and an end; or few, if asked to."""
    conversation.begin()
    short = conversation.request.json["messages"][-1]["content"] == "short"
    try:
        for each in SHORT if short else LONG:
            conversation.chunk(each)
        conversation.end()
    except OSError:
        raise Hangup from None


def program(text: str, folder: Path) -> Path:
    path = folder / "program.py"
    path.write_text(textwrap.dedent(BEGIN) + textwrap.dedent(text))
    return path


def start(
    text: str,
    folder: Path,
    server: LoopbackServer,
    *,
    fast: bool,
    prompt: str = "long",
    rounds: int = 0,
) -> subprocess.Popen[str]:
    arguments = [server.url, prompt, str(fast), str(rounds), str(amount("SEED"))]
    return subprocess.Popen(
        [sys.executable, "-P", str(program(text, folder)), *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    """What the program said; it must end in time and without an error."""
    try:
        said, told = process.communicate(timeout=IN_TIME)
    except subprocess.TimeoutExpired:
        process.kill()
        said, told = process.communicate()
        raise AssertionError(f"it did not end: {said}\n{told}") from None
    assert process.returncode == 0, f"exit code {process.returncode}: {told[-3000:]}"
    return said


def check_recordings(folder: Path, *, least: int) -> int:
    """All are whole: they verify, each call has one end, numbers go up by one."""
    paths = sorted((folder / "recordings").glob("*.jsonl"))
    assert len(paths) >= least
    bad: list[str] = []
    for path in paths:
        report = verify(path)
        if not report.ok:
            bad.append(f"{path.name}: {report.findings[:2]}")
            continue
        for call in check(path, report=report):
            assert call.outcome in {"cancelled", "complete", "abandoned"}, call.outcome
    assert not bad, f"{len(bad)} of {len(paths)} recordings are corrupt: {bad[:3]}"
    return len(paths)


@FAST
@pytest.mark.parametrize("text", [CANCEL_ASYNC, CANCEL_SYNC], ids=["async", "sync"])
def test_cancelling_in_a_handler_leaves_a_whole_recording(
    text: str, fast: bool, tmp_path: Path, figure: Figure
) -> None:
    rounds = amount("CANCELS") // 5
    with LoopbackServer([torrent]) as server:
        finish(start(text, tmp_path, server, fast=fast, rounds=rounds))
    count = check_recordings(tmp_path, least=rounds)
    figure(f"{count} streams cancelled in a signal handler: all recordings whole")


@FAST
@pytest.mark.parametrize("prompt", ["long", "short"])
def test_closing_the_sync_client_in_a_handler(
    prompt: str, fast: bool, tmp_path: Path, figure: Figure
) -> None:
    """In the middle of a long answer, and between many short ones."""
    rounds = amount("CANCELS") // 10
    with LoopbackServer([torrent]) as server:
        finish(start(CLOSE_SYNC, tmp_path, server, fast=fast, prompt=prompt, rounds=rounds))
    check_recordings(tmp_path, least=rounds)
    figure(f"{rounds} clients closed in a signal handler: no deadlock, all recordings whole")


@FAST
@pytest.mark.parametrize(
    "text",
    [TERMINATED_SYNC, EXIT_SYNC, TERMINATED_ASYNC],
    ids=["close", "close-and-exit", "cancel-async"],
)
def test_a_program_that_is_terminated_ends_in_time(
    text: str, fast: bool, tmp_path: Path, figure: Figure
) -> None:
    chance = random.Random(amount("SEED"))
    times = 8
    for each in range(times):
        folder = tmp_path / str(each)
        folder.mkdir()
        with LoopbackServer([torrent]) as server:
            process = start(text, folder, server, fast=fast)
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            server.wait_until(lambda: server.requests)
            server.released.wait(chance.random() * 0.1)
            process.send_signal(signal.SIGTERM)
            finish(process)
        check_recordings(folder, least=1)
    figure(f"{times} programs ended by SIGTERM in time, all recordings whole")
