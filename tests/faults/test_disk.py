"""A disk that is full, fails, is slow, forbids writing.

The error is typed, nothing unrecorded is yielded, the file stays readable.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import writers
from invariants import Yielded, check, check_poisoned, check_reopening, yielded_by
from lateness import Lateness
from loopback import LoopbackServer
from nursery import Nursery
from producing import producing, producing_lines
from reporting import Figure, Mount
from sessions import record, request, step, write
from talking import Heard, every_client, talking
from vesselog import ConnectionFailedError, Recording, RecordingError, rederive, salvage, verify
from vesselog.core.truth.session import Session

pytestmark = pytest.mark.usefixtures("nothing_left")

FRAMES = 40


def told(acks: Path) -> list[Yielded]:
    return [each for each, _moment in writers.told(acks)]


def run_traced(
    nursery: Nursery,
    strace: str,
    inject: str,
    place: Path,
    function: str,
    *,
    log: Path | str = os.devnull,
    **arguments: Any,
) -> int:
    """Run a function of writers.py; the faults are injected into what it does to `place`.

    log: where these system calls are listed. Gives its exit code.
    """
    call = inject.partition(":")[0]
    traced = ["-o", str(log), "-P", str(place), "-e", f"trace={call}", "-e", f"inject={inject}"]
    return nursery.start(function, held=True, **arguments).trace(strace, *traced)


def check_refused(heard: Heard) -> None:
    """It ended by a RecordingError; all that was handed out is in a file that can be read."""
    assert type(heard.error) is RecordingError, repr(heard.error)
    assert any(said in str(heard.error) for said in ("No space left", "is the disk full?"))
    assert heard.outcome == "error"
    path = heard.stream.path
    assert path is not None
    produced = producing_lines(FRAMES)
    (call,) = check(path, yielded=yielded_by(heard), produced=produced) or [None]
    assert call is None or call.outcome == "interrupted"


@every_client
def test_a_full_disk(mount: Mount, figure: Figure, kind: str) -> None:
    """Of every size in turn, so that each kind of line is the one that does not fit."""
    disk = mount("-t", "tmpfs", "-o", "size=1m", "tmpfs")
    chunks = tried = 0
    with (
        LoopbackServer([producing(FRAMES)]) as server,
        talking(kind, server, recordings=disk / "r") as talker,
    ):
        filler = disk / "filler"
        for pages in range(100):
            filler.write_bytes(bytes(1024 * 1024 - 4096 * pages - 4096))
            heard = talker.hear(messages="full")
            if heard.outcome == "complete":
                break
            check_refused(heard)
            chunks += len(heard.chunks)
            tried += 1
            filler.unlink()
            if heard.stream.path.exists():
                check_reopening(heard.stream.path, yielded=yielded_by(heard))
                heard.stream.path.unlink()
        assert heard.outcome == "complete"
        filler.unlink()
        assert talker.hear(messages="after").check("complete").chunks
    assert tried > 5
    figure(f"ENOSPC at {tried} places ({kind}): {chunks} chunks yielded before, 0 missing")


def test_a_short_write(tmp_path: Path, nursery: Nursery, figure: Figure) -> None:
    """RLIMIT_FSIZE lets a part of a line through, at 40 different bytes."""
    failed = 0
    for size in range(200, 4200, 100):
        folder, acks = tmp_path / str(size), tmp_path / f"{size}.told"
        limits = {"FSIZE": size}
        child = nursery.start(
            *("write_until_refused",),
            **{"folder": str(folder), "acks": str(acks), "limits": limits},
        )
        assert child.wait() == 0
        path = folder / "a.jsonl"
        assert not path.exists() or Recording(path).torn == 0  # undone by the writer itself
        calls = check_reopening(path, yielded=told(acks))
        failed += 1
        assert all(call.outcome == "crashed" for call in calls)
    figure(f"short write, at {failed} sizes: undone, 0 yielded chunks missing")


@pytest.mark.parametrize("level", ["process", "power"])
@pytest.mark.parametrize("error", ["EIO", "ENOSPC", "EDQUOT"])
def test_a_write_that_fails(
    tmp_path: Path, nursery: Nursery, strace: str, level: str, error: str
) -> None:
    """The second, fifth … write of the file; the ones after it would succeed."""
    for when in (1, 2, 3, 5, 8):
        folder, acks = tmp_path / str(when), tmp_path / f"{when}.told"
        path = folder / "a.jsonl"
        code = run_traced(
            *(nursery, strace, f"write:error={error}:when={when}", path, "write_until_refused"),
            **{"folder": str(folder), "acks": str(acks), "level": level, "frames": 20},
        )
        assert code == 0
        assert len(told(acks)) == max(0, when - 2)
        check_reopening(path, yielded=told(acks))


@pytest.mark.parametrize("level", ["interval", "power"])
def test_a_sync_that_fails_is_not_tried_again(
    tmp_path: Path, nursery: Nursery, strace: str, figure: Figure, level: str
) -> None:
    for when in (1, 2, 4):
        folder, acks, log = tmp_path / str(when), tmp_path / f"{when}.told", tmp_path / "log"
        path = folder / "a.jsonl"
        code = run_traced(
            *(
                nursery,
                strace,
                f"fdatasync,fsync:error=EIO:when={when}+",
                path,
                "write_until_refused",
            ),
            **{"folder": str(folder), "acks": str(acks), "level": level, "frames": 10**9},
            log=log,
        )
        assert code == 0
        failures = log.read_text().count("EIO")
        assert failures == 1, log.read_text()
        check_reopening(path, yielded=told(acks))
    figure(f"EIO on sync ({level}): typed error, poisoned, the sync not tried again")


@pytest.mark.parametrize("level", ["interval", "power"])
def test_a_folder_that_cannot_be_synced_is_a_failure_too(
    tmp_path: Path, nursery: Nursery, strace: str, level: str
) -> None:
    """Without its folder's entry a new file may vanish whole: nothing of it is promised."""
    folder, acks, log = tmp_path / "r", tmp_path / "told", tmp_path / "log"
    code = run_traced(
        *(nursery, strace, "fsync:error=EIO", folder, "write_until_refused"),
        **{"folder": str(folder), "acks": str(acks), "level": level, "frames": 10**5},
        log=log,
    )
    assert code == 0
    assert log.read_text().count("EIO") == 1
    assert level == "interval" or told(acks) == []
    check_reopening(folder / "a.jsonl", yielded=told(acks))


@pytest.mark.parametrize("call", ["openat", "flock", "write", "fdatasync"])
def test_what_a_signal_interrupts_goes_on(
    tmp_path: Path, nursery: Nursery, strace: str, call: str
) -> None:
    """Every second such call is interrupted before it did anything."""
    path, acks, log = tmp_path / "r" / "a.jsonl", tmp_path / "told", tmp_path / "log"
    code = run_traced(
        *(nursery, strace, f"{call}:error=EINTR:when=1+2", path, "write_session"),
        **{"folder": str(path.parent), "name": "a", "acks": str(acks), "frames": 20},
        level="power",
        log=log,
    )
    assert code == 0
    assert "EINTR" in log.read_text()
    assert len(told(acks)) == 20
    (recorded,) = check_reopening(path, yielded=told(acks), produced=producing_lines(20))
    assert recorded.outcome == "complete"


@every_client
@pytest.mark.parametrize("level", ["process", "power"])
def test_no_more_files_may_be_opened(
    tmp_path: Path, nursery: Nursery, figure: Figure, kind: str, level: str
) -> None:
    """Whatever it is that cannot be opened: a typed error, and all is well when there is room."""
    acks = tmp_path / "told"
    with LoopbackServer([producing(FRAMES)]) as server:
        child = nursery.start(
            "stream_with_few_files",
            url=server.url,
            folder=str(tmp_path / "r"),
            acks=str(acks),
            kind=kind,
            outcomes=str(tmp_path / "outcomes"),
            level=level,
        )
        assert child.wait() == 0
    outcomes = (tmp_path / "outcomes").read_text().split()
    assert outcomes[0] == RecordingError.__name__
    assert outcomes[-1] == "complete"
    # At "power" the folder is opened, and synced, before there is a connection.
    connecting = {ConnectionFailedError.__name__} if level == "process" else set()
    assert set(outcomes[:-1]) == {RecordingError.__name__} | connecting
    yielded = told(acks)
    for path in (tmp_path / "r").glob("*.jsonl"):
        check_reopening(path, yielded=yielded, produced=producing_lines(FRAMES))
    figure(f"EMFILE ({kind}, {level}), with 0 to {len(outcomes) - 2} left: typed errors only")


@every_client
def test_a_folder_that_may_only_be_read(mount: Mount, kind: str) -> None:
    disk = mount("-t", "tmpfs", "-o", "size=1m,ro", "tmpfs")
    with (
        LoopbackServer([producing(FRAMES)]) as server,
        talking(kind, server, recordings=disk) as talker,
    ):
        heard = talker.hear()
        assert type(heard.error) is RecordingError
        assert "Read-only file system" in str(heard.error)
        assert heard.chunks == []
        assert server.requests == []  # nothing is sent that could not be recorded


@pytest.mark.parametrize("kind", ["sync", "async", "fast"])
def test_a_slow_disk(
    tmp_path: Path, nursery: Nursery, strace: str, figure: Figure, kind: str
) -> None:
    """500 ms for each write: no line out of order, nothing lost, and one sees what stalls."""
    folder, acks, beats = tmp_path / "r", tmp_path / "told", tmp_path / "beats"
    path = folder / "shared.jsonl"
    with LoopbackServer([producing(4)]) as server, Lateness() as lateness:
        code = run_traced(
            *(nursery, strace, "write:delay_enter=500000", path, "stream_with_pulse"),
            **{"url": server.url, "folder": str(folder), "acks": str(acks), "kind": kind},
            **{"beats": str(beats)},
        )
    assert code == 0
    yielded = told(acks)
    assert len(yielded) == 2 * 5
    calls = check_reopening(path, yielded=yielded, produced=producing_lines(4))
    assert [call.outcome for call in calls] == ["complete", "complete"]
    stall = float(beats.read_text())
    assert stall > 0.4 if not kind.startswith("sync") else stall < 0.4 + lateness.seconds
    who = "another thread" if kind.startswith("sync") else "the event loop"
    figure(f"a disk with 500 ms a write ({kind}): in order, 0 missing; {who} stood {stall:.2f} s")


def test_after_a_failure_nothing_is_taken(tmp_path: Path, mount: Mount) -> None:
    """I5 on a disk that was full, and has room again."""
    disk = mount("-t", "tmpfs", "-o", "size=64k", "tmpfs")
    session = Session.open(disk, "a")
    writer = session.begin(request())
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(bytes(4096))
    with pytest.raises(RecordingError, match=r"No space|is the disk full"):
        for seq in range(100):
            write(writer, [step(seq, "x" * 500)])
    filler.unlink()
    check_poisoned(session, writer)
    assert verify(session.path).ok
    (call,) = Recording(session.path).calls()
    assert call.outcome == "interrupted"


@pytest.mark.parametrize("derive", [salvage, rederive])
def test_a_recording_that_is_made_of_another_does_not_fit(
    tmp_path: Path, mount: Mount, derive: Callable[[Path, Path], object]
) -> None:
    """Of every size: what fails may be one of many writes, or the last one."""
    path = record(tmp_path, texts=["x" * 500] * 300)
    size = path.stat().st_size
    disk = mount("-t", "tmpfs", "-o", "size=1m", "tmpfs")
    filler = disk / "filler"
    for room in (0, 4096, size // 2, size - 4096):
        filler.write_bytes(bytes(1024 * 1024 - room))
        with pytest.raises(RecordingError, match=r"cannot write .*out\.jsonl: No space left"):
            derive(path, disk / "out.jsonl")
        assert list(disk.iterdir()) == [filler]
        filler.unlink()
    derive(path, disk / "out.jsonl")
    assert verify(disk / "out.jsonl").ok
