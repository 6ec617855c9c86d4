"""kill -9: at every system call on the recording's files, and at random moments."""

from __future__ import annotations

import itertools
import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest

import writers
from amounts import amount
from invariants import Yielded, check_reopening
from loopback import LoopbackServer
from nursery import Nursery
from producing import producing, producing_lines
from reporting import Figure
from sessions import record, request, step, write
from vesselog import verify
from vesselog.core.truth.session import Session

# What a recording's files are made, locked, written, synced, cut and removed with.
CALLS = ("openat", "flock", "write", "fdatasync", "ftruncate", "unlink", "close")
LEVELS = ("process", "interval", "power")


def run_killed(
    nursery: Nursery, strace: str, call: str, when: int, place: Path, **arguments: object
) -> bool:
    """Run a writer that dies at the `when`th system call of this name on `place`; did it?"""
    traced = ["-o", os.devnull, "-e", f"trace={call}"]
    traced += ["-e", f"inject={call}:signal=KILL:when={when}"]
    for each in (place, f"{place}.torn", place.parent):
        traced += ["-P", str(each)]
    code = nursery.start("write_session", held=True, **arguments).trace(strace, *traced)
    assert code in {0, -signal.SIGKILL}
    return code != 0


def seen(acks: Path) -> list[Yielded]:
    return [each for each, _moment in writers.told(acks)]


@pytest.mark.parametrize("level", LEVELS)
def test_kill_at_every_system_call_of_a_session(
    tmp_path: Path, nursery: Nursery, strace: str, figure: Figure, level: str
) -> None:
    frames, kills, total = 6, 0, 0
    for call in CALLS:
        for when in itertools.count(1):
            folder = tmp_path / f"{call}{when}"
            folder.mkdir()
            path, acks = folder / "a.jsonl", folder / "told"
            killed = run_killed(
                *(nursery, strace, call, when, path),
                **{"folder": str(folder), "name": "a", "acks": str(acks)},
                **{"frames": frames, "level": level},
            )
            yielded = seen(acks)
            check_reopening(path, yielded=yielded, produced=producing_lines(frames))
            if not killed:
                assert len(yielded) == frames
                break
            kills += 1
            total += len(yielded)
    figure(
        f"kill -9 at each of the {kills} system calls of a session ({level}): "
        f"0 of {total} yielded chunks missing, 0 files unreadable"
    )


def test_kill_at_every_system_call_of_a_repair(
    tmp_path: Path, nursery: Nursery, strace: str, figure: Figure
) -> None:
    """The file that is gone on with has a torn tail and a call without an end."""
    session = Session.open(tmp_path, "whole")
    writer = session.begin(request())
    first = write(writer, [step(0, "0", b'{"a":0}\n')])
    content = session.path.read_bytes()
    tail = content[-40:-10]
    kills = 0
    for call in CALLS:
        for when in itertools.count(1):
            folder = tmp_path / f"{call}{when}"
            folder.mkdir()
            path, acks = folder / "a.jsonl", folder / "told"
            path.write_bytes(content + tail)
            killed = run_killed(
                *(nursery, strace, call, when, path),
                **{"folder": str(folder), "name": "a", "acks": str(acks), "frames": 2},
            )
            kept = [Yielded(path, 1, chunk.seq, chunk.text) for chunk in first]
            calls = check_reopening(path, yielded=kept + seen(acks))
            assert calls[0].outcome == "crashed"
            # Nothing of the tail is lost; killed between copying and cutting, it is there twice.
            assert path.with_name("a.jsonl.torn").read_bytes().endswith(tail)
            if not killed:
                break
            kills += 1
    writer.end("cancelled")
    session.close()
    figure(f"kill -9 at each of the {kills} system calls of a repair: 0 files unreadable")


def test_kill_at_random_moments_with_eight_streams(
    tmp_path: Path, nursery: Nursery, figure: Figure
) -> None:
    """Four streams have a file of their own, four share one; sync, async and fast in turn."""
    kills, frames = amount("KILLS"), 40
    chance = random.Random(amount("SEED"))
    waiting = threading.Event()
    total = unfinished = torn = 0
    with LoopbackServer([producing(frames)]) as server:
        for number in range(kills):
            folder, acks = tmp_path / str(number), tmp_path / f"{number}.told"
            child = nursery.start(
                "stream",
                url=server.url,
                folder=str(folder),
                acks=str(acks),
                prompts=[f"{number}.{each}" for each in range(8)],
                kind=("sync", "async", "fast")[number % 3],
                session="shared",
                rounds=1000,
            )
            # From before the first file is there to the middle of many rounds.
            waiting.wait(chance.uniform(0, 0.35))
            child.kill()
            yielded = seen(acks)
            total += len(yielded)
            for path in sorted(folder.glob("*.jsonl")):
                mine = [each for each in yielded if each.path == path]
                calls = check_reopening(path, yielded=mine, produced=producing_lines(frames))
                unfinished += sum(call.outcome == "crashed" for call in calls)
                torn += path.with_name(path.name + ".torn").exists()
    assert total
    figure(
        f"kill -9 at {kills} random moments, 8 streams each: 0 of {total} yielded chunks missing, "
        f"0 files unreadable ({unfinished} calls cut short, {torn} torn tails)"
    )


def test_kill_in_the_middle_of_writes(tmp_path: Path, nursery: Nursery, figure: Figure) -> None:
    """Long lines and no network between: a writer spends much of its time in `write`."""
    kills, size = amount("KILLS"), 60_000
    chance = random.Random(amount("SEED"))
    waiting = threading.Event()
    total = torn = 0
    for number in range(kills):
        folder, acks = tmp_path / str(number), tmp_path / f"{number}.told"
        child = nursery.start(
            "write_session", folder=str(folder), name="a", acks=str(acks), frames=10**9, size=size
        )
        waiting.wait(chance.uniform(0.01, 0.04))
        child.kill()
        yielded = seen(acks)
        total += len(yielded)
        path = folder / "a.jsonl"
        check_reopening(path, yielded=yielded, produced=producing_lines(10**9, size))
        torn += path.with_name("a.jsonl.torn").exists()
        path.unlink(missing_ok=True)
    assert total
    figure(
        f"kill -9 at {kills} random moments of writing {size // 1000} KB lines: 0 of {total} "
        f"yielded chunks missing, 0 files unreadable ({torn} torn tails)"
    )


@pytest.mark.parametrize("how", ["salvage", "rederive"])
def test_kill_while_a_recording_is_made_of_another(
    tmp_path: Path, nursery: Nursery, figure: Figure, how: str
) -> None:
    """It is there whole, or not at all: half of one would be sound, and tell of less."""
    path = record(tmp_path / "from", texts=["x" * 500] * 2000)
    out = tmp_path / "to" / "out.jsonl"
    out.parent.mkdir()
    assert nursery.start("derive", how=how, path=str(path), out=str(out)).wait() == 0
    lines = verify(out).lines
    waiting = threading.Event()
    chance = random.Random(amount("SEED"))
    left = 0
    for _ in range(20):
        out.unlink(missing_ok=True)
        child = nursery.start("derive", how=how, path=str(path), out=str(out))
        while not any(out.parent.iterdir()):
            time.sleep(0)
        waiting.wait(chance.uniform(0, 0.05))
        child.kill()
        found = list(out.parent.glob("*.part"))
        left += len(found)
        for each in found:
            each.unlink()
        assert not out.exists() or (verify(out).ok and verify(out).lines == lines)
    assert left
    figure(f"kill -9 at 20 random moments of `{how}`: 0 halves ({left} in the midst of it)")
