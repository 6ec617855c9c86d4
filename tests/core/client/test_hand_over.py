"""From a stream's owner to its caller: every step once, in order, and only so many ahead."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from loopback import Conversation, LoopbackServer, ollama_lines
from patience import PATIENCE
from talking import every_client, talking
from vesselog import ClientStateError, Step, StreamTimeoutError, Timeouts
from vesselog.core.client.hand_over import TaskHandOver, ThreadHandOver

# Steps that may be ahead of the caller.
BOUND = 256


def steps(*numbers: int) -> list[Step]:
    """Stand-ins, told apart by their numbers."""
    return list(numbers)  # type: ignore[arg-type]


class Bug(Exception):  # noqa: N818 - stands for any
    pass


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


class TestBetweenTasks:
    async def test_what_was_put_is_taken_at_once_and_once(self) -> None:
        hand_over = TaskHandOver(asyncio.get_running_loop())
        hand_over.put(steps(1, 2))
        hand_over.put(steps(3))
        assert await hand_over.take() == [1, 2, 3]
        hand_over.end()
        assert await hand_over.take() == []

    async def test_the_caller_waits_for_what_comes(self) -> None:
        hand_over = TaskHandOver(asyncio.get_running_loop())
        taking = asyncio.create_task(hand_over.take())
        await turns()
        assert not taking.done()
        hand_over.put(steps(1))
        hand_over.put(steps(2))
        assert await taking == [1, 2]

    async def test_what_came_before_the_end_is_taken_before_it(self) -> None:
        hand_over = TaskHandOver(asyncio.get_running_loop())
        hand_over.put(steps(1))
        hand_over.end()
        assert [await hand_over.take() for _ in range(3)] == [[1], [], []]

    @pytest.mark.parametrize("how", ["begin", "end"])
    async def test_opened_waits_for_the_begin_or_the_end(self, how: str) -> None:
        hand_over = TaskHandOver(asyncio.get_running_loop())
        opening = asyncio.create_task(hand_over.opened())
        await turns()
        hand_over.put(steps(1))
        await turns()
        assert not opening.done()
        getattr(hand_over, how)()
        await opening
        assert await hand_over.take() == [1]

    @pytest.mark.parametrize("where", ["opened", "take"])
    async def test_a_bug_is_raised_once(self, where: str) -> None:
        hand_over = TaskHandOver(asyncio.get_running_loop())
        hand_over.end(Bug())
        hand_over.end()
        with pytest.raises(Bug):
            await getattr(hand_over, where)()
        await hand_over.opened()
        assert await hand_over.take() == []

    async def test_what_was_forgotten_is_not_taken(self) -> None:
        hand_over = TaskHandOver(asyncio.get_running_loop())
        hand_over.put(steps(1))
        hand_over.clear()
        hand_over.put(steps(2))
        assert await hand_over.take() == [2]

    async def test_one_task_waits_at_a_time(self) -> None:
        hand_over = TaskHandOver(asyncio.get_running_loop())
        first = asyncio.create_task(hand_over.take())
        await turns()
        with pytest.raises(ClientStateError, match="another task"):
            await hand_over.take()
        hand_over.put(steps(1))
        assert await first == [1]

    async def test_a_caller_that_gave_up_has_lost_nothing(self) -> None:
        hand_over = TaskHandOver(asyncio.get_running_loop())
        taking = asyncio.create_task(hand_over.take())
        await turns()
        hand_over.put(steps(1))
        taking.cancel()
        await asyncio.wait([taking])
        hand_over.put(steps(2))
        assert await hand_over.take() == [1, 2]

    async def test_outside_of_any_task_the_caller_runs_before_put_returns(self) -> None:
        loop = asyncio.get_running_loop()
        hand_over = TaskHandOver(loop)
        seen: list[object] = []

        async def take() -> None:
            seen.append(await hand_over.take())
            seen.append(asyncio.current_task())
            seen.append(await hand_over.take())

        taking = asyncio.create_task(take())
        await turns()
        put = loop.create_future()

        def outside() -> None:
            hand_over.put(steps(1))
            put.set_result(list(seen))

        loop.call_soon(outside)
        assert await put == [[1], taking]
        hand_over.put(steps(2))
        assert len(seen) == 2, "another task runs"
        await taking
        assert seen[2] == [2]

    async def test_a_bug_of_the_caller_stays_in_its_task(self) -> None:
        loop = asyncio.get_running_loop()
        hand_over = TaskHandOver(loop)

        async def take() -> None:
            await hand_over.take()
            raise Bug

        taking = asyncio.create_task(take())
        await turns()
        put = loop.create_future()
        loop.call_soon(lambda: put.set_result(hand_over.put(steps(1))))
        assert await put is False
        with pytest.raises(Bug):
            await taking

    async def test_a_cancelled_caller_gets_the_message_and_the_next_one_the_steps(self) -> None:
        hand_over = TaskHandOver(asyncio.get_running_loop())
        first = asyncio.create_task(hand_over.take())
        await turns()
        first.cancel("enough")
        second = asyncio.create_task(hand_over.take())
        with pytest.raises(asyncio.CancelledError, match="enough"):
            await first
        await turns()
        asyncio.get_running_loop().call_soon(hand_over.put, steps(1))
        assert await second == [1]

    async def test_a_caller_that_is_cancelled_by_whoever_put_is_cancelled(self) -> None:
        hand_over = TaskHandOver(asyncio.get_running_loop())
        taking = asyncio.create_task(hand_over.take())
        await turns()
        hand_over.put(steps(1))
        taking.cancel()
        taking.cancel()
        await asyncio.wait([taking])
        assert taking.cancelled()
        assert await hand_over.take() == [1]

    async def test_the_owner_waits_while_too_many_are_ahead(self) -> None:
        hand_over = TaskHandOver(asyncio.get_running_loop())
        assert not hand_over.put(steps(*range(BOUND)))
        assert hand_over.put(steps(BOUND))
        waiting = asyncio.create_task(hand_over.room())
        await turns()
        assert not waiting.done()
        assert await hand_over.take() == list(range(BOUND + 1))
        await waiting

    async def test_an_owner_that_was_cancelled_while_it_waited_breaks_nothing(self) -> None:
        hand_over = TaskHandOver(asyncio.get_running_loop())
        hand_over.put(steps(*range(BOUND + 1)))
        waiting = asyncio.create_task(hand_over.room())
        await turns()
        waiting.cancel()
        await asyncio.wait([waiting])
        assert len(await hand_over.take()) == BOUND + 1


@contextmanager
def looping() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop in a thread, as the owner's."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class Owner:
    """Does things in the loop's thread, where alone they may be done."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.hand_over = ThreadHandOver(loop)

    def __call__(self, name: str, *args: Any) -> Any:
        async def do() -> Any:
            return getattr(self.hand_over, name)(*args)

        return asyncio.run_coroutine_threadsafe(do(), self._loop).result(PATIENCE)

    def wait_for_room(self) -> Any:
        """A future that is done when there is some."""
        return asyncio.run_coroutine_threadsafe(self.hand_over.room(), self._loop)


@pytest.fixture
def owner() -> Iterator[Owner]:
    with looping() as loop:
        yield Owner(loop)


class TestBetweenThreads:
    def test_what_was_put_is_taken_at_once_and_once(self, owner: Owner) -> None:
        owner("put", steps(1, 2))
        owner("put", steps(3))
        assert owner.hand_over.take() == [1, 2, 3]
        owner("end")
        assert [owner.hand_over.take() for _ in range(3)] == [[], [], []]

    def test_the_caller_waits_for_what_comes(self, owner: Owner) -> None:
        with ThreadPoolExecutor(1) as pool:
            taking = pool.submit(owner.hand_over.take)
            owner("begin")  # wakes it, but brings nothing
            owner("put", steps(1))
            assert taking.result(PATIENCE) == [1]

    def test_what_came_before_the_end_is_taken_before_it(self, owner: Owner) -> None:
        owner("put", steps(1))
        owner("end")
        assert [owner.hand_over.take() for _ in range(3)] == [[1], [], []]

    @pytest.mark.parametrize("how", ["begin", "end"])
    def test_opened_waits_for_the_begin_or_the_end(self, owner: Owner, how: str) -> None:
        with ThreadPoolExecutor(1) as pool:
            opening = pool.submit(owner.hand_over.opened)
            owner("put", steps(1))
            owner("put", steps(2))
            owner(how)
            opening.result(PATIENCE)
        assert owner.hand_over.take() == [1, 2]

    @pytest.mark.parametrize("where", ["opened", "take"])
    def test_a_bug_is_raised_once(self, owner: Owner, where: str) -> None:
        owner("end", Bug())
        owner("end")
        with pytest.raises(Bug):
            getattr(owner.hand_over, where)()
        owner.hand_over.opened()
        assert owner.hand_over.take() == []

    def test_what_was_forgotten_is_not_taken(self, owner: Owner) -> None:
        owner("put", steps(*range(BOUND + 1)))
        owner("clear")
        assert not owner("put", steps(2))
        assert owner.hand_over.take() == [2]

    def test_the_owner_waits_while_too_many_are_ahead(self, owner: Owner) -> None:
        assert not owner("put", steps(*range(BOUND)))
        assert owner("put", steps(BOUND))
        waiting = owner.wait_for_room()
        owner("begin")  # a turn of the loop
        assert not waiting.done()
        assert owner.hand_over.take() == list(range(BOUND + 1))
        waiting.result(PATIENCE)

    def test_a_caller_and_an_owner_that_take_turns_never_wait_for_each_other(
        self, owner: Owner
    ) -> None:
        count, size = 300, 100

        async def put_all() -> None:
            for number in range(count):
                if owner.hand_over.put(steps(*range(number * size, (number + 1) * size))):
                    await owner.hand_over.room()
                if number % 7 == 0:
                    await asyncio.sleep(0)
            owner.hand_over.end()

        putting = asyncio.run_coroutine_threadsafe(put_all(), owner._loop)
        taken: list[Any] = []
        most = 0
        while got := owner.hand_over.take():
            most = max(most, len(got))
            taken += got
        putting.result(PATIENCE)
        assert taken == list(range(count * size))
        assert most <= BOUND + size


def test_two_threads_that_read_one_stream_both_come_to_its_end() -> None:
    release = threading.Event()

    def answers(conversation: Conversation) -> None:
        conversation.begin()
        first, *rest = conversation.frames("Hi", " there")
        conversation.chunk(first)
        release.wait(PATIENCE)
        for line in rest:
            conversation.chunk(line)
        conversation.end()

    with LoopbackServer([answers]) as server, talking("sync", server) as talker:
        stream = talker.stream()
        talker.open(stream)
        took: list[str] = []

        def read() -> None:
            while (chunk := next(stream, None)) is not None:
                took.append(chunk.text)

        threads = [threading.Thread(target=read, daemon=True) for _ in range(2)]
        for thread in threads:
            thread.start()
        release.set()
        for thread in threads:
            thread.join(20)
        assert not any(thread.is_alive() for thread in threads), "it waits for ever"
        assert sorted(took) == sorted(["Hi", " there", ""])


class Watched:
    """Tells when a stream's owner waits for its caller."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waits = threading.Semaphore(0)
        for kind in (TaskHandOver, ThreadHandOver):
            self._watch(kind, monkeypatch)

    def _watch(self, kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        room = kind.room

        async def watched(hand_over: Any) -> None:
            self.waits.release()
            await room(hand_over)

        monkeypatch.setattr(kind, "room", watched)

    def wait(self) -> None:
        assert self.waits.acquire(timeout=PATIENCE), "the owner never waited"


LINE = ollama_lines("on ")[0]


def floods(conversation: Conversation) -> None:
    conversation.begin()
    while not conversation.server.released.is_set():
        conversation.chunk(LINE * 20)


def ahead_of(stream: Any) -> int:
    """Steps that were recorded and not yet taken over by the stream."""
    handed_out = len(stream.completion.text) // len("on ")
    return stream.completion.metrics.chunks - handed_out - len(stream._steps) - len(stream._chunks)


@every_client
def test_a_stream_is_read_ahead_only_so_far(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller that stops reading stops the server in the end, and fills no memory."""
    watched = Watched(monkeypatch)
    read = 65536 // len(LINE) + 1  # the steps of one piece
    with LoopbackServer([floods]) as server, talking(kind, server, recordings=None) as talker:
        stream = talker.stream()
        talker.open(stream)
        talker.take(stream, 1)
        for _ in range(3):
            while (ahead := ahead_of(stream)) <= BOUND:
                watched.wait()
            assert ahead <= BOUND + 2 * read
            assert stream.outcome is None
            # All that the stream holds, and one of what its owner is ahead: so it goes on.
            talker.take(stream, len(stream._steps) + len(stream._chunks) + 1)
        talker.leave(stream)
        assert stream.outcome == "cancelled"
        server.wait_until(lambda: server.open_connections == 0)


@every_client
@pytest.mark.parametrize("how", ["cancel", "leave", "close", "total"])
def test_an_owner_that_waits_for_its_caller_can_be_ended(
    kind: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(monkeypatch)
    with LoopbackServer([floods]) as server, talking(kind, server) as talker:
        timeouts = Timeouts(total=1.0) if how == "total" else None
        stream = talker.stream(timeouts=timeouts)
        talker.open(stream)
        talker.take(stream, 1)
        watched.wait()
        if how == "cancel":
            stream.cancel()
        elif how == "leave":
            talker.leave(stream)
        elif how == "close":
            talker.close()
        server.wait_until(lambda: server.open_connections == 0)
        if how == "total":
            with pytest.raises(StreamTimeoutError):
                talker.take(stream, 1_000_000)
        assert stream.outcome == ("error" if how == "total" else "cancelled")
