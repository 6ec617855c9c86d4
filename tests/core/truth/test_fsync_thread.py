"""The sync threads: shared by all files, there while needed, in forks and at exit too."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from media import Medium, flush, medium_under
from patience import PATIENCE
from sessions import kinds, request, step, write
from vesselog import RecordingError
from vesselog.core.truth.fsync_thread import SYNC_THREAD, SyncThread
from vesselog.core.truth.session import Session


@pytest.fixture
def medium(monkeypatch: pytest.MonkeyPatch) -> Iterator[Medium]:
    with medium_under(monkeypatch) as medium:
        yield medium


def sync_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "vesselog sync"]


def run(script: str, *arguments: str) -> str:
    """What a Python of its own says, which finds the tests' modules."""
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        check=True,
        timeout=PATIENCE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "support")},
    ).stdout


def test_one_thread_serves_all_sessions(tmp_path: Path, medium: Medium) -> None:
    sessions = [Session.open(tmp_path, durability="power") for _ in range(20)]
    writers = [session.begin(request()) for session in sessions]
    assert len(sync_threads()) == 1
    for writer in writers:
        assert writer.gate is not None
        writer.gate.wait()
        writer.end("complete")
    for session in sessions:
        session.close()
    flush()
    for session in sessions:
        assert medium.synced(session.path) == session.path.stat().st_size


def test_no_more_threads_are_no_failure(
    tmp_path: Path, medium: Medium, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = [Session.open(tmp_path, durability="power") for _ in range(5)]
    writers = [session.begin(request()) for session in sessions]

    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    for writer, session in zip(writers, sessions, strict=True):
        writer.end("complete")
        session.close()
    flush()
    for session in sessions:
        assert medium.synced(session.path) == session.path.stat().st_size


def test_many_threads_in_one_session_share_syncs(tmp_path: Path, medium: Medium) -> None:
    session = Session.open(tmp_path, durability="power")
    writers = [session.begin(request()) for _ in range(16)]
    flush()
    before = len(medium.files)
    medium.free.clear()
    written = threading.Barrier(len(writers) + 1)

    def work(index: int) -> None:
        writer = writers[index]
        write(writer, [step(0)])
        written.wait(PATIENCE)
        assert writer.gate is not None
        writer.gate.wait()

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(writers))]
    for thread in threads:
        thread.start()
    written.wait(PATIENCE)
    medium.free.set()
    for thread in threads:
        thread.join(PATIENCE)
    # The one that may have been under way, the one that is shared, one for who came just too late.
    assert len(medium.files) - before <= 3
    for writer in writers:
        writer.end("complete")
    session.close()


def test_a_dropped_session_is_synced_and_closed(tmp_path: Path, medium: Medium) -> None:
    session = Session.open(tmp_path, "a", durability="power")
    session.begin(request())
    path = session.path
    del session
    gc.collect()
    flush()
    assert kinds(path)[-1] == "end abandoned"
    assert medium.synced(path) == path.stat().st_size


def test_what_is_written_and_closed_during_a_sync_gets_one_of_its_own(
    tmp_path: Path, medium: Medium
) -> None:
    """The close must not ride on the sync that is under way, which knows nothing of the end."""
    session = Session.open(tmp_path, "a", durability="power")
    writer = session.begin(request())
    medium.free.clear()
    assert writer.gate is not None
    begun = threading.Event()
    writer.gate.ask(begun.set)
    while not medium.threads:
        begun.wait(0.001)
    write(writer, [step(0)])
    writer.end("complete")
    session.close()
    medium.free.set()
    flush()
    assert medium.synced(session.path) == session.path.stat().st_size


def test_a_session_that_cannot_be_opened_leaves_nothing_to_sync(
    tmp_path: Path, medium: Medium, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session.open(tmp_path, "a")
    session.begin(request()).end("complete")
    session.close()

    def fail(fd: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(RecordingError, match="No space left"):
        Session.open(tmp_path, "a", durability="power")
    flush()
    assert SYNC_THREAD.files == ()
    monkeypatch.undo()
    Session.open(tmp_path, "a").close()


def test_no_thread_to_be_had_is_a_typed_error(
    tmp_path: Path, medium: Medium, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    with pytest.raises(RecordingError, match="can't start new thread"):
        Session.open(tmp_path, durability="power")
    monkeypatch.undo()
    session = Session.open(tmp_path, durability="power")
    session.begin(request()).end("complete")
    session.close()


def test_asking_for_a_file_that_is_closed_does_not_wait(tmp_path: Path, medium: Medium) -> None:
    session = Session.open(tmp_path, durability="power")
    writer = session.begin(request())
    (file,) = SYNC_THREAD.files
    writer.end("complete")
    session.close()
    flush()
    for thread in sync_threads():
        thread.join(PATIENCE)
    woken: list[bool] = []
    file.ask(lambda: woken.append(True))
    assert woken == [True]
    file.wait()


def test_what_no_disk_says_is_a_failure_too(
    tmp_path: Path, medium: Medium, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong in the thread, nobody waits for ever."""

    def fail(folder: Path) -> None:
        raise AttributeError("no such call here")

    monkeypatch.setattr("vesselog.core.truth.fsync_thread.sync_folder", fail)
    session = Session.open(tmp_path, durability="power")
    writer = session.begin(request())
    assert writer.gate is not None
    with pytest.raises(RecordingError, match="no such call here"):
        writer.gate.wait()
    writer.abandon()
    session.close()


def test_after_exit_whoever_closes_syncs_himself(tmp_path: Path, medium: Medium) -> None:
    thread = SyncThread()
    path = tmp_path / "a"
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.write(fd, b"line\n")
    file = thread.add(fd, path, (), print)
    thread.exit()
    file.written = 5
    file.wait()
    assert medium.synced(path) == 5
    file.close()
    assert thread.files == ()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_has_its_own_thread_and_leaves_the_parents_files_alone(tmp_path: Path) -> None:
    script = """
import asyncio, os, sys, warnings
from pathlib import Path
from sessions import request
from vesselog.core.truth.session import Session
from vesselog.core.truth.fsync_thread import SYNC_THREAD

warnings.simplefilter("ignore")  # Python warns of forks in a process with threads
folder = Path(sys.argv[1])

def one(name):
    session = Session.open(folder, name, durability="power")
    writer = session.begin(request())
    writer.gate.wait()
    return session, writer

def end(session, writer):
    writer.end("complete")
    writer.gate.wait()
    session.close()

parents = one("parent")
child = os.fork()
if child == 0:
    assert SYNC_THREAD.files == ()
    end(*one("child"))
    asyncio.run(SYNC_THREAD.flushed())
    os._exit(0 if SYNC_THREAD.files == () else 1)
assert os.waitpid(child, 0)[1] == 0
end(*parents)
"""
    run(script, str(tmp_path))
    for name in ("parent", "child"):
        assert kinds(tmp_path / f"{name}.jsonl")[-2:] == ["end complete", "close"]


@pytest.mark.parametrize("left", ["open", "closed", "running"])
def test_the_interpreters_exit_syncs_what_is_left(tmp_path: Path, left: str) -> None:
    script = """
import atexit, os, sys
from pathlib import Path

sizes = [0]
atexit.register(lambda: print(max(sizes)))  # before the library registers anything: runs last

from sessions import request, step, write
from vesselog.core.truth import fsync_thread
from vesselog.core.truth.session import Session

fsync_thread.INTERVAL_SECONDS = 1000
fsync_thread.sync_file = lambda fd: sizes.append(os.fstat(fd).st_size)
session = Session.open(Path(sys.argv[1]), "a", durability="interval")
writer = session.begin(request())
write(writer, [step(0)])
if sys.argv[2] != "running":
    writer.end("complete")
if sys.argv[2] == "closed":
    session.close()
"""
    done = run(script, str(tmp_path), left)
    written = tmp_path.joinpath("a.jsonl").read_bytes()
    assert int(done) >= written.index(b"\n", written.index(b'{"type":"frame"')) + 1
