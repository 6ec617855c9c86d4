"""Descriptors and threads that cannot be had: a typed error, and the next stream works.

Each allocation fails once: with no descriptor left the first one fails, with one left the second …
The children are programs of their own, since what is used up is this process's.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from four_clients import CLIENTS
from invariants import check
from loopback import Conversation, LoopbackServer
from reporting import Figure

IN_TIME = 120.0  # seconds
MOST = 16  # allocations for one stream: beyond them nothing fails any more

# `python program URL CLIENT CASE MOST`: writes what the streams ended in.
PROGRAM = """
    import asyncio, faulthandler, os, resource, ssl, sys, threading
    from vesselog import AsyncClient, Client, Limits, Retries, Timeouts, VesselogError
    from vesselog.vessels import Ollama

    url, name, case, most = sys.argv[1:]
    most, fast = int(most), name.endswith("fast")
    settings = {
        "vessels": {"lab": Ollama(base_url=url)}, "environment": {}, "fast": fast,
        "limits": Limits(max_connections=1), "retries": Retries(count=0),
        "ssl_context": ssl.create_default_context(),
        "timeouts": Timeouts(connect=5, pool=5, first_chunk=20, idle=20, total=30),
    }
    faulthandler.dump_traceback_later(100, exit=True)  # what hangs is told, and ends
    held = []

    def use_up(left):
        \"\"\"Take all descriptors but so many.\"\"\"
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        try:
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            pass
        for _ in range(left):
            os.close(held.pop())

    def give_back():
        while held:
            os.close(held.pop())

    real_start, begun = threading.Thread.start, [0, None]

    def start(thread):
        begun[0] += 1
        if begun[0] - 1 == begun[1]:
            raise RuntimeError("can't start new thread")
        real_start(thread)

    threading.Thread.start = start

    def fail(number):
        if case.startswith("descriptors"):
            use_up(number)
        else:
            begun[:] = [0, number]

    def mend():
        give_back()
        begun[1] = None

    def told(number, error, outcome):
        kind = type(error).__name__ if error else ""
        typed = error is None or isinstance(error, VesselogError)
        print(number, outcome, kind, "typed" if typed else f"RAW {error!r}", flush=True)

    def hear(client):
        error = outcome = None
        try:
            stream = client.stream("lab/m", "hi")
            with stream:
                for _ in stream:
                    pass
            outcome = stream.outcome
        except Exception as problem:
            error = problem
        return error, outcome

    async def hear_async(client):
        error = outcome = None
        try:
            stream = client.stream("lab/m", "hi")
            async with stream:
                async for _ in stream:
                    pass
            outcome = stream.outcome
        except Exception as problem:
            error = problem
        return error, outcome

    warm = case.endswith("warm")

    def sync():
        with Client(**settings) as client:
            hear(client)  # whatever is imported late
        for number in range(most):
            with Client(**settings) as client:
                if warm:
                    hear(client)
                fail(number)
                found = hear(client)
                mend()
                told(number, *found)
                told("next", *hear(client))
                told("next", *hear(client))

    async def main():
        async with AsyncClient(**settings) as client:
            await hear_async(client)
        for number in range(most):
            async with AsyncClient(**settings) as client:
                if warm:
                    await hear_async(client)
                for _ in range(20):
                    await asyncio.sleep(0)  # what was closed gives its descriptor back
                fail(number)
                found = await hear_async(client)
                mend()
                told(number, *found)
                told("next", *await hear_async(client))
                told("next", *await hear_async(client))

    asyncio.run(main()) if name.startswith("async") else sync()
"""


def answer(conversation: Conversation) -> None:
    conversation.answer("a", "b", "c")


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("case", ["descriptors", "descriptors-warm", "threads", "threads-warm"])
def test_the_stream_after_a_failed_allocation_works(
    case: str, client: str, tmp_path: Path, figure: Figure
) -> None:
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))
    with LoopbackServer([answer]) as server:
        ran = subprocess.run(
            [sys.executable, "-P", str(program), server.url, client, case, str(MOST)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=IN_TIME,
            check=False,
        )
    assert ran.returncode == 0, ran.stderr[-3000:]
    lines = ran.stdout.splitlines()
    assert len(lines) == 3 * MOST
    wrong = [line for line in lines if not line.endswith("typed")]
    assert not wrong, f"raw exceptions: {wrong}"
    stuck = [
        f"{lines[at // 3 * 3]}, then: {line}"
        for at, line in enumerate(lines)
        if line.startswith("next") and not line.startswith("next complete")
    ]
    assert not stuck
    failed = sum("None" in line for line in lines)
    assert failed or not case.startswith("descriptors"), "nothing failed: nothing was tried"
    assert lines[-3].split()[1] == "complete", f"{MOST} allocations are not enough"
    for path in (tmp_path / "recordings").iterdir():
        check(path)
    figure(f"{client}, {case}: {failed} of {MOST} allocations failed, the next streams worked")
