"""Faults of transport, file and caller, interleaved: each schedule is made from a seed.

    VESSELOG_TEST_SCHEDULES=20000 pytest tests/faults/test_schedules.py

A seed gives the same faults every time; what happens first is the machine's choice.
"""

from __future__ import annotations

import errno
import os
import random
import ssl
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from amounts import amount
from dialects import DIALECTS
from http_faults import FAULTS, Sending, whole_answer
from invariants import Yielded, check, check_reopening
from loopback import Conversation, LoopbackServer
from patience import PATIENCE
from reporting import Figure
from talking import KINDS, Heard, Talker, talking
from vesselog import (
    RecordingError,
    Retries,
    StreamChunk,
    Timeouts,
    VesselogError,
    verify,
)
from vesselog.core.truth import appender, fsync_thread

BLOCK = 25  # seeds in one test

# What takes long is tried in test_http.py; a schedule is to be over in a moment.
HEAVY = {"a-line-of-a-gigabyte", "gzip-bomb", "headers-without-end"}
SLOW = {name for name, each in FAULTS.items() if each.timeouts.idle and "without-end" in name}
SLOW |= {name for name in FAULTS if "silence" in name or "never-ends" in name or "now-and" in name}
QUICK = sorted(set(FAULTS) - HEAVY - SLOW)

TIMEOUTS = Timeouts(connect=2, first_chunk=0.2, idle=0.2, total=2, grace=0.05, drain=0.02)
# For answers that have no fault: a busy machine alone takes 0.2 s at times.
UNHURRIED = Timeouts(connect=10, first_chunk=10, idle=10, total=10, grace=0.05, drain=0.02)
WAYS = ("cancel", "cancel-later", "cancel-task", "close", "delete", "exception")
WRITES = ("EIO", "ENOSPC", "EDQUOT", "short", "nothing")


class Enough(Exception):  # noqa: N818 - a caller's own
    """The caller has seen enough."""


@dataclass
class Disk:
    """Stands in for `os` where lines are written: fails one write, or one sync.

    given_up: the descriptors whose writes have failed. ignored: how often one was written to again.
    """

    write_fails: int | None
    how: str
    sync_fails: int | None
    writes: int = 0
    syncs: int = 0
    failed: bool = False
    given_up: set[int] = field(default_factory=set[int])
    ignored: int = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def write(self, fd: int, data: bytes) -> int:
        self.writes += 1
        self.ignored += fd in self.given_up
        if self.writes != self.write_fails:
            return os.write(fd, data)
        self.failed = True
        self.given_up.add(fd)
        if self.how == "short":
            return os.write(fd, data[: len(data) // 2])
        if self.how == "nothing":
            return 0
        raise OSError(getattr(errno, self.how), "injected")

    def close(self, fd: int) -> None:
        self.given_up.discard(fd)
        os.close(fd)

    def sync_file(self, fd: int) -> None:
        self.syncs += 1
        if self.syncs == self.sync_fails:
            self.failed = True
            raise OSError(errno.EIO, "injected")


@dataclass
class Planned:
    """One stream of a schedule."""

    dialect: str
    fault: str | None
    way: str | None
    at: int
    later: float
    session: str | None
    chunks: list[StreamChunk] = field(default_factory=list)
    stream: Any = None
    heard: Heard | None = None


@dataclass
class Schedule:
    """What a seed stands for."""

    kind: str
    level: str
    retries: int
    streams: list[Planned]
    disk: Disk

    @classmethod
    def of(cls, seed: int) -> Schedule:
        chance = random.Random(seed)

        def one() -> Planned:
            names = sorted(SLOW) if chance.random() < 0.1 else QUICK
            return Planned(
                dialect=chance.choice(sorted(DIALECTS)),
                fault=chance.choice(names) if chance.random() < 0.6 else None,
                way=chance.choice(WAYS) if chance.random() < 0.4 else None,
                at=chance.randrange(5),
                later=chance.random() * 0.02,
                session="shared" if chance.random() < 0.4 else None,
            )

        level = chance.choice(["process", "process", "interval", "power"])
        streams = [one() for _ in range(chance.randrange(1, 5))]
        return cls(
            kind=chance.choice(KINDS),
            level=level,
            retries=chance.choice([0, 0, 1]),
            streams=streams,
            disk=Disk(
                write_fails=chance.randrange(1, 30) if chance.random() < 0.4 else None,
                how=chance.choice(WRITES),
                sync_fails=chance.randrange(1, 8) if chance.random() < 0.2 else None,
            ),
        )


@pytest.fixture(scope="module")
def trust() -> ssl.SSLContext:
    return ssl.create_default_context()


@contextmanager
def injected(disk: Disk) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(appender, "os", disk)
        patch.setattr(fsync_thread, "os", disk)
        patch.setattr(fsync_thread, "sync_file", disk.sync_file)
        patch.setattr(fsync_thread, "sync_folder", lambda folder: None)
        yield


def start(talker: Talker, each: Planned) -> Future[Heard]:
    each.stream = talker.stream(f"{each.dialect}/m", session=each.session)

    def take(chunk: StreamChunk) -> None:
        each.chunks.append(chunk)
        if len(each.chunks) == each.at + 1:
            if each.way == "exception":
                raise Enough
            if each.way == "cancel":
                each.stream.cancel()
            elif each.way == "delete":
                each.stream.path.unlink(missing_ok=True)

    return talker.begin(each.stream, take)


def interfere(talker: Talker, each: Planned, future: Future[Heard]) -> None:
    threading.Event().wait(each.later)
    if each.way == "cancel-later":
        with suppress(RecordingError):
            each.stream.cancel()
    elif each.way == "cancel-task" and not talker.kind.startswith("sync"):
        future.cancel()
    elif each.way == "close":
        with suppress(RecordingError):  # what it cancels may not be recordable
            talker.close()


def run(schedule: Schedule, folder: Path, trust: ssl.SSLContext) -> None:
    by_path: dict[str, list[str | None]] = {}
    for each in schedule.streams:
        by_path.setdefault(each.dialect, []).append(each.fault)
    state = threading.Condition()
    good = threading.Event()
    faulty: list[str] = []

    def script(conversation: Conversation) -> None:
        sending = Sending(conversation)
        with state:
            faults = by_path.get(sending.dialect.name)
            name = faults.pop(0) if faults and not good.is_set() else None
            faulty.extend([name] if name else [])
        if name is None:
            whole_answer(sending)
            return
        try:
            FAULTS[name].script(sending)
        finally:
            with state:
                faulty.remove(name)
                state.notify()

    with LoopbackServer([script]) as server:
        vessels = {each.name: each.vessel(base_url=server.url) for each in DIALECTS.values()}
        settings: dict[str, Any] = {
            "vessels": vessels,
            "recordings": folder,
            "durability": schedule.level,
            "timeouts": TIMEOUTS if any(each.fault for each in schedule.streams) else UNHURRIED,
            "retries": Retries(count=schedule.retries, backoff=0.001, longest=0.01),
            "ssl_context": trust,
        }
        with injected(schedule.disk), talking(schedule.kind, **settings) as talker:
            started = [(each, start(talker, each)) for each in schedule.streams]
            watchers = [
                threading.Thread(target=interfere, args=(talker, each, future))
                for each, future in started
                if each.way in {"cancel-later", "cancel-task", "close"}
            ]
            for watcher in watchers:
                watcher.start()
            for each, future in started:
                with suppress(CancelledError):
                    each.heard = future.result(PATIENCE)
            for watcher in watchers:
                watcher.join()
            check_streams(schedule)
            # What is said behind an answer's end, or its hanging up, may come late: it is not to
            # hit the next one.
            with state:
                assert state.wait_for(lambda: not faulty, PATIENCE), faulty
            good.set()
            schedule.disk.write_fails = schedule.disk.sync_fails = None
            if all(each.way != "close" for each in schedule.streams):
                check_goes_on(talker)
        server.wait_until(lambda: server.open_connections == 0)
    check_files(schedule, folder)


def check_streams(schedule: Schedule) -> None:
    closing = any(each.way == "close" for each in schedule.streams)
    for each in schedule.streams:
        if each.heard is None:
            assert each.way == "cancel-task"
            continue
        error = each.heard.error
        assert isinstance(error, VesselogError | Enough | None), repr(error)
        if isinstance(error, RecordingError):
            gone = any(other.way == "delete" for other in schedule.streams)
            assert schedule.disk.failed or gone, repr(error)
        elif isinstance(error, VesselogError) and each.fault is None and not closing:
            assert any(other.fault for other in schedule.streams), repr(error)
        if each.heard.error is None:
            assert each.heard.outcome in {"complete", "cancelled"}


def check_goes_on(talker: Talker) -> None:
    """The next streams work at once, in a file of their own and in the shared one."""
    for session in (None, "shared"):
        heard = talker.hear("openai/m", session=session, timeouts=UNHURRIED)
        heard.check("complete")


def check_files(schedule: Schedule, folder: Path) -> None:
    assert schedule.disk.ignored == 0, "I5: written to after a failure"
    yielded: list[Yielded] = []
    gone: set[Path] = set()
    for each in schedule.streams:
        if each.stream.path is None:
            assert not each.chunks
            continue
        if each.way == "delete":
            gone.add(each.stream.path)
        call = each.stream.call
        yielded += [Yielded(each.stream.path, call, seen.seq, seen.text) for seen in each.chunks]
    for path in sorted(folder.glob("*.jsonl")):
        # A file that was deleted may be there again, with what came after.
        mine = [] if path in gone else [each for each in yielded if each.path == path]
        calls = check(path, yielded=mine)
        if not schedule.disk.failed:
            assert all(call.end is not None for call in calls), [call.outcome for call in calls]
        for call in calls:
            ends = [line for line in call.lines() if line["type"] == "end"]
            assert len(ends) <= 1
        assert schedule.disk.failed or verify(path).ok
        check_reopening(path, yielded=mine)
    present = set(folder.glob("*.jsonl"))
    assert {each.path for each in yielded} <= present | gone


HELD: list[int] = []
ENDINGS: Counter[str] = Counter()


def count(seed: int, schedule: Schedule) -> None:
    HELD.append(seed)
    for each in schedule.streams:
        error = each.heard.error if each.heard else None
        outcome = str(each.stream.outcome)
        ENDINGS[outcome if error is None else f"{outcome} by {type(error).__name__}"] += 1


def schedules() -> Iterator[range]:
    first, past = amount("SEED"), amount("SEED") + amount("SCHEDULES")
    for start_of in range(first, past, BLOCK):
        yield range(start_of, min(start_of + BLOCK, past))


@pytest.mark.parametrize("seeds", list(schedules()), ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_schedules(seeds: range, trust: ssl.SSLContext) -> None:
    threads = threading.active_count()
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            try:
                schedule = Schedule.of(seed)
                run(schedule, Path(folder), trust)
                count(seed, schedule)
            except BaseException:
                again = f"VESSELOG_TEST_SEED={seed} VESSELOG_TEST_SCHEDULES=1"
                print(f"\nrepeat: {again} pytest {Path(__file__).name}\n{Schedule.of(seed)}")
                raise
    assert threading.active_count() <= threads


def test_figure(figure: Figure) -> None:
    endings = ", ".join(f"{number} {name}" for name, number in sorted(ENDINGS.items()))
    figure(
        f"{amount('SCHEDULES')} schedules from seed {amount('SEED')}: "
        f"invariants held in {len(HELD)} ({endings})"
    )
