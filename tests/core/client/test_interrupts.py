"""An interrupt between any two steps: of the recorder, and of a client's event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from between_steps import at_step
from loopback import Conversation, LoopbackServer
from patience import PATIENCE
from sessions import kinds, request, step, write
from vesselog import AsyncClient, Recording, verify
from vesselog.core.client import prompt, read_ahead
from vesselog.core.truth import fsync_thread
from vesselog.core.truth import session as truth
from vesselog.core.truth.session import Session
from vesselog.core.truth.session_file import Writer
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
}


@pytest.mark.parametrize("act", ACTS)
def test_an_interrupt_at_any_moment_leaves_a_whole_file(tmp_path: Path, act: str) -> None:
    for moment in count(0):  # the first goes through: Python 3.12 tells of no instruction yet
        session = Session.open(tmp_path, str(moment))
        writer = session.begin(request())
        write(writer, [step(0)])
        was = interrupted(lambda: ACTS[act](session, writer), moment)  # noqa: B023 - done at once
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
    [(prompt, 1), (read_ahead, 1), (fsync_thread, 3)],  # a disk makes many steps of the last slow
    ids=["prompt", "ahead", "sync"],
)
def test_asyncios_interrupt_at_any_moment_ends_the_stream(
    tmp_path: Path, where: Any, steps: int
) -> None:
    """asyncio.run's handler of Ctrl-C cancels the main task, in the midst of whatever runs."""
    wrong: list[dict[str, Any]] = []

    async def main(moment: int) -> bool:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().set_exception_handler(lambda _, context: wrong.append(context))
        lab = Ollama(base_url=server.url)
        async with AsyncClient(
            recordings=tmp_path, vessels={"lab": lab}, durability="power"
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
