"""Power cuts: what a copy of a mounted disk image holds is what a disk held when the power went.

The image is copied while the writer is stopped in the midst of writing, so that nothing is promised
during the copy; then the copy is mounted, and ext4 replays its journal as after a power cut.

At "interval" what must be there is all that a file's last sync found written: a cut may take the
last 50 ms, and what is written while the disk syncs, which on a busy machine may take long.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import writers
from amounts import amount
from invariants import check_reopening
from loopback import Conversation, LoopbackServer
from nursery import Nursery
from producing import producing_lines
from reporting import Figure, Mount

# Of an answer that ends, and whose file is closed with it, and of one that the cut finds running.
FRAMES, MANY = 40, 100_000


def runs_on(prompt: str) -> bool:
    return int(prompt.partition(".")[0]) % 2 == 0


def produced(prompt: str) -> Iterator[bytes]:
    return producing_lines(MANY if runs_on(prompt) else FRAMES)(prompt)


def script(conversation: Conversation) -> None:
    conversation.stream(produced(conversation.request.json["messages"][-1]["content"]))


@pytest.fixture
def image(tmp_path: Path, root: None, mkfs: str) -> Path:
    """An empty ext4 file system in a file."""
    path = tmp_path / "image"
    with path.open("wb") as file:
        file.truncate(96 * 1024 * 1024)
    subprocess.run([mkfs, "-q", "-E", "lazy_itable_init=0", path], check=True)
    return path


def stop(process: int) -> None:
    """Stop all threads of a process; a sync that is under way ends first."""
    os.kill(process, signal.SIGSTOP)
    while any(
        each.read_text().rpartition(")")[2].split()[0] != "T"
        for each in Path(f"/proc/{process}/task").glob("*/stat")
    ):
        time.sleep(0)


@pytest.mark.parametrize("level", ["power", "interval", "process"])
def test_power_cut_while_eight_streams_are_recorded(
    tmp_path: Path, image: Path, mount: Mount, nursery: Nursery, figure: Figure, level: str
) -> None:
    disk = mount("-o", "loop", str(image))
    cuts = amount("POWER_CUTS")
    chance = random.Random(amount("SEED"))
    waiting = threading.Event()
    total = missing = 0
    secured = {True: 0, False: 0}
    oldest = 0.0
    with LoopbackServer([script]) as server:
        for number in range(cuts):
            folder, acks = disk / str(number), tmp_path / f"{number}.told"
            syncs = tmp_path / f"{number}.synced"
            child = nursery.start(
                "stream",
                url=server.url,
                folder=str(folder),
                acks=str(acks),
                prompts=[f"{number}.{each}" for each in range(8)],
                level=level,
                kind=("sync", "async", "fast")[number % 3],
                session="shared",
                rounds=1000,
                syncs=str(syncs),
            )
            waiting.wait(chance.uniform(0.1, 0.6))
            stop(child.pid)
            cut = time.monotonic()
            yielded, synced = list(writers.told(acks)), writers.synced(syncs)
            copy = tmp_path / "copy"
            subprocess.run(["cp", "--sparse=always", image, copy], check=True)
            child.kill()
            subprocess.run(["rm", "-rf", folder], check=True)

            found = mount("-o", "loop", str(copy))
            total += len(yielded)
            moved = [
                (each._replace(path=found / each.path.relative_to(disk)), moment)
                for each, moment in yielded
            ]
            safe = [
                after
                for (after, moment), (before, _) in zip(moved, yielded, strict=True)
                if level == "power" or moment < synced.get(before.path, 0)
            ]
            secured[runs_on(str(number))] += len(safe)
            kept = set()
            for path in {each.path for each, _ in moved}:
                mine = [each for each in safe if each.path == path]
                calls = check_reopening(path, yielded=mine, produced=produced)
                kept |= {(path, call.number, c.seq) for call in calls for c in call.chunks()}
            lost = [at for each, at in moved if (each.path, each.call, each.seq) not in kept]
            missing += len(lost)
            oldest = max([oldest, *(cut - at for at in lost)])
            subprocess.run(["umount", found], check=True)
            copy.unlink()
    assert total
    assert level != "power" or missing == 0
    if level != "process":
        assert all(secured.values()), secured
    what = f"; the oldest was {oldest * 1000:.0f} ms old" if missing else ""
    figure(f"power cut, {cuts} times ({level}): {missing} of {total} yielded chunks missing{what}")
