"""An interrupt between any two steps: of the recorder, and of a client's event loop."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from collections.abc import Callable, Coroutine
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from between_steps import at_step
from loopback import Conversation, LoopbackServer
from patience import PATIENCE
from sessions import kinds, record, request, step, write
from vesselog import AsyncClient, Client, Recording, verify
from vesselog.core.client import driver, hand_over, loop_thread
from vesselog.core.client import stream as sync_stream
from vesselog.core.truth import fsync_thread
from vesselog.core.truth import session as truth
from vesselog.core.truth.call_writer import Writer
from vesselog.core.truth.session import Session
from vesselog.vessels.ollama import Ollama

TRUTH = str(Path(truth.__file__).parent)


def interrupt() -> None:
    raise KeyboardInterrupt


def interrupted(act: Callable[[], object], moment: int) -> bool:
    """Do it, but for an interrupt after so many steps of the recorder. Was there one?"""
    try:
        with at_step(moment, TRUTH, interrupt):
            act()
    except KeyboardInterrupt:
        return True
    return False


ACTS: dict[str, Callable[[Session, Writer], object]] = {
    "begin": lambda session, _: session.begin(request()),
    "frames": lambda _, writer: write(writer, [step(1), step(2)]),
    "response": lambda _, writer: writer.response(200, {}),
    "end": lambda _, writer: writer.end("complete"),
    "close": lambda session, writer: (writer.end("complete"), session.close()),
}


@pytest.mark.parametrize("act", ACTS)
def test_an_interrupt_at_any_moment_leaves_a_whole_file(tmp_path: Path, act: str) -> None:
    for moment in count(0):  # the first goes through: Python 3.12 tells of no instruction yet
        session = Session.open(tmp_path, str(moment))
        writer = session.begin(request())
        write(writer, [step(0)])
        was = interrupted(lambda: ACTS[act](session, writer), moment)
        writer.end("cancelled")
        session.close()
        found = [each.message for each in verify(session.path).findings]
        # Who began has no writer if an interrupt came just then: nobody ended that call.
        assert found in ([], ["call 2 has no end"] if act == "begin" else []), moment
        ends = [kind for kind in kinds(session.path) if kind.startswith("end")]
        assert len(ends) + len(found) == kinds(session.path).count("request")
        if moment and not was:
            break
    assert moment > 30, "it was never interrupted"


# An interrupt may come between a file and its `with`: then it is the collector that closes it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("closed", [True, False])
def test_an_interrupt_at_any_moment_of_going_on_with_a_file_harms_nothing(
    tmp_path: Path, *, closed: bool
) -> None:
    for moment in count(0, 1 if closed else 7):  # reading a file takes many steps
        path = record(tmp_path, str(moment), closed=closed)
        if not closed:
            path.write_bytes(path.read_bytes()[:-30])  # a torn tail, and a call without an end
        was = interrupted(lambda: Session.open(tmp_path, path.stem).close(), moment)
        # A copy: an interrupt between two instructions may leave the lock to the process.
        again = path.rename(tmp_path / "left.jsonl").with_name("again.jsonl")
        shutil.copy(tmp_path / "left.jsonl", again)
        session = Session.open(tmp_path, "again")
        session.begin(request()).end("complete")
        session.close()
        assert verify(again).ok, (moment, verify(again).findings)
        assert kinds(again)[-3:] == ["request", "end complete", "close"]
        assert kinds(again).count("end crashed") == (not closed)
        again.unlink()
        if moment and not was:
            break
    assert moment > 100, "it was never interrupted"


def answer(talk: Conversation) -> None:
    talk.answer("Hel", "lo")


def in_a_loop(main: Coroutine[Any, Any, bool]) -> bool:
    """As asyncio.run does, but a task that nothing can wake is not waited for."""
    loop = asyncio.new_event_loop()
    task = loop.create_task(main)
    loop.run_until_complete(asyncio.wait({task}, timeout=PATIENCE))
    assert task.done(), "it hangs"
    loop.close()
    return task.result()


@pytest.mark.parametrize(
    ("where", "steps"),
    # A disk makes many steps of the last slow.
    [(hand_over, 1), (driver, 3), (fsync_thread, 3)],
    ids=["hand-over", "driver", "fsync"],
)
def test_asyncios_interrupt_at_any_moment_ends_the_stream(
    tmp_path: Path, where: Any, steps: int
) -> None:
    """asyncio.run's handler of Ctrl-C cancels the main task, in the midst of whatever runs."""
    wrong: list[dict[str, Any]] = []
    trust = ssl.create_default_context()  # made once: it takes longer than all the rest

    async def main(moment: int) -> bool:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().set_exception_handler(lambda _, context: wrong.append(context))
        lab = Ollama(base_url=server.url)
        async with AsyncClient(
            recordings=tmp_path, vessels={"lab": lab}, durability="power", ssl_context=trust
        ) as client:
            stream = client.stream("lab/m", "hi", session=str(moment))
            with at_step(moment, where.__file__, task.cancel) as came:
                try:
                    async for _ in stream:
                        pass
                    await asyncio.sleep(0)
                except asyncio.CancelledError:
                    task.uncancel()
        return came.came

    with LoopbackServer([answer]) as server:
        for moment in count(0, steps):
            was = in_a_loop(main(moment))
            assert not wrong
            for call in Recording(tmp_path / f"{moment}.jsonl").calls():
                assert call.outcome in ("cancelled", "complete"), moment
            if moment and not was:
                break
    assert moment > 10, "it was never interrupted"


@pytest.mark.parametrize(
    ("where", "steps"),
    [(hand_over, 1), (loop_thread, 2), (sync_stream, 2)],
    ids=["hand-over", "loop-thread", "stream"],
)
def test_an_interrupt_at_any_moment_of_the_callers_thread_ends_the_stream(
    tmp_path: Path, where: Any, steps: int
) -> None:
    """Ctrl-C: the client's own thread goes on, the stream is over, and the next one works."""
    path = tmp_path / "all.jsonl"
    with LoopbackServer([answer]) as server:
        vessels = {"lab": Ollama(base_url=server.url)}
        with Client(recordings=tmp_path, vessels=vessels, environment={}) as client:

            def listen() -> None:
                with client.stream("lab/m", "hi", session="all") as stream:
                    for _ in stream:
                        pass

            client.complete("lab/m", "hi", session="all")
            for moment in count(0, steps):
                try:
                    with at_step(moment, where.__file__, interrupt):
                        listen()
                except KeyboardInterrupt:
                    was = True
                else:
                    was = False
                assert client.complete("lab/m", "hi", session="all").text == "Hello"
                if moment and not was:
                    break
    assert moment > 10, "it was never interrupted"
    outcomes = {call.outcome for call in Recording(path).calls()}
    assert "complete" in outcomes
    assert outcomes <= {"complete", "cancelled", "abandoned"}
    assert verify(path).ok, verify(path).findings
