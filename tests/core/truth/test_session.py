"""The writer of one file: what it writes and when, who may write, how a file is gone on with."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from patience import PATIENCE
from sessions import ManualClock, kinds, read, request, step, write
from vesselog import (
    ConfigurationError,
    ProviderError,
    RecordingError,
    RecordingLockedError,
    SessionNameError,
    verify,
)
from vesselog.core.exchange import Step
from vesselog.core.frame import Frame
from vesselog.core.framing import Framing
from vesselog.core.truth import appender, line_types, scan
from vesselog.core.truth import line as lines_of
from vesselog.core.truth.call_writer import Unrecorded, Writer
from vesselog.core.truth.session import Session
from warm_python import Popen

real_write = os.write


def test_a_call_is_written_as_the_format_says(tmp_path: Path) -> None:
    clock = ManualClock()
    session = Session.open(tmp_path, "chat-42", meta={"user": "x"}, clock=clock)
    writer = session.begin(request(headers={"Authorization": "Bearer k", "Accept": "*/*"}))
    clock.pass_seconds(0.25)
    writer.response(200, {"Content-Type": "text/event-stream", "Set-Cookie": "k"})
    clock.pass_seconds(0.5)
    write(writer, [step(0, "Hi", b'{"text":"Hi"}\n')])
    writer.end("complete", usage={"output_tokens": 1}, metrics={"chunks": 1})
    session.close()

    header, opened, asked, answered, frame, end, closed = (
        {key: value for key, value in line.items() if key != "crc"} for line in read(session.path)
    )
    assert session.path == tmp_path / "chat-42.jsonl"
    assert header.pop("library")
    assert header == {
        "type": "session",
        "vesselog": 1,
        "session": "chat-42",
        "crc32": True,
        "meta": {"user": "x"},
    }
    assert opened == {
        "type": "open",
        "n": 1,
        "t": 0,
        "at": "2027-01-15T08:00:00.000000Z",
        "pid": os.getpid(),
    }
    assert asked == {
        "type": "request",
        "n": 2,
        "call": 1,
        "t": 0,
        **request(headers={"accept": "*/*"}),
    }
    assert answered == {
        "type": "response",
        "n": 3,
        "call": 1,
        "t": 250_000,
        "status": 200,
        "headers": {"content-type": "text/event-stream"},
    }
    assert frame == {
        "type": "frame",
        "n": 4,
        "call": 1,
        "t": 750_000,
        "raw": '{"text":"Hi"}\n',
        "chunks": [{"seq": 0, "text": "Hi"}],
    }
    assert end == {
        "type": "end",
        "n": 5,
        "call": 1,
        "t": 750_000,
        "outcome": "complete",
        "frames": 1,
        "bytes": 14,
        "sha256": sha256(b'{"text":"Hi"}\n').hexdigest(),
        "usage": {"output_tokens": 1},
        "metrics": {"chunks": 1},
    }
    assert closed == {
        "type": "close",
        "n": 6,
        "t": 750_000,
        "calls": 1,
        "opened": "2027-01-15T08:00:00.000000Z",
    }


def test_everything_that_is_special_about_a_frame_is_written(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "a")
    writer = session.begin(request())
    broken = Frame(b'{"a":"\xff"}', Framing.NDJSON)
    broken.repair("usage-moved")
    with writer.write_lock as t:
        writer.frames([Step(broken, partial=True, masked=True)], t)
    writer.end("truncated")
    session.close()
    frame = read(session.path)[3]
    assert frame["raw_b64"] == "eyJhIjoi/yJ9"
    assert frame["partial"] is frame["masked"] is True
    assert frame["repairs"] == ["invalid-utf-8", "usage-moved"]
    assert not {"raw", "chunks"} & frame.keys()


def test_frames_that_came_together_share_one_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session.open(tmp_path, "a")
    writer = session.begin(request())
    writes: list[bytes] = []
    monkeypatch.setattr(
        appender.os, "write", lambda fd, data: (writes.append(data), real_write(fd, data))[1]
    )
    with writer.write_lock as t:
        writer.frames([step(0), step(1), step(2)], t)
        writer.frames([], t)
    assert [data.count(b"\n") for data in writes] == [3]
    monkeypatch.undo()
    writer.end("complete")
    session.close()
    assert read(session.path)[-2]["frames"] == 3


def test_an_error_is_kept_with_the_end(tmp_path: Path) -> None:
    session = Session.open(tmp_path)
    writer = session.begin(request())
    writer.end("error", error=ProviderError("no", status=503, code="busy", retryable=True))
    session.close()
    assert read(session.path)[-2]["error"] == {
        "type": "ProviderError",
        "status": 503,
        "code": "busy",
        "message": "no",
        "retryable": True,
    }


def test_only_the_first_end_counts(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "a")
    writer = session.begin(request())
    writer.end("cancelled")
    writer.end("complete")
    writer.abandon()
    with pytest.raises(RecordingError, match="has ended"), writer.write_lock as t:
        writer.frames([step(0)], t)
    with pytest.raises(RecordingError, match="has ended"):
        writer.response(200, {})
    session.close()
    assert kinds(session.path) == ["session", "open", "request", "end cancelled", "close"]


def test_a_new_file_comes_with_its_first_request_in_one_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "deep" / "recordings"
    session = Session.make(folder, "a")
    assert not folder.exists()
    assert session.take_file()
    writes: list[bytes] = []
    monkeypatch.setattr(
        appender.os, "write", lambda fd, data: (writes.append(data), real_write(fd, data))[1]
    )
    writer = session.begin(request())
    assert writes == [session.path.read_bytes()]
    assert kinds(session.path) == ["session", "open", "request"]
    assert session.path.stat().st_mode & 0o777 == 0o600
    writer.end("cancelled")
    session.close()


def test_names_and_meta_are_checked_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(SessionNameError):
        Session.open(tmp_path, "../x")
    with pytest.raises(ConfigurationError, match="meta"):
        Session.open(tmp_path, "a", meta={"x": {1}})
    assert list(tmp_path.iterdir()) == []


def test_sessions_without_a_name_get_files_of_their_own(tmp_path: Path) -> None:
    first, second = Session.open(tmp_path), Session.open(tmp_path)
    assert first.path != second.path


def test_a_folder_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RecordingError, match="cannot make the folder"):
        Session.open(tmp_path / "file" / "x").begin(request())


def test_a_folder_in_the_files_place_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").mkdir()
    with pytest.raises(RecordingError, match=r"a\.jsonl: Is a directory"):
        Session.open(tmp_path, "a")


def test_a_request_that_json_cannot_hold_leaves_no_call_behind(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "a")
    with pytest.raises(RecordingError, match="JSON"):
        session.begin(request(extra={1}))
    writer = session.begin(request())
    writer.end("complete")
    session.close()
    assert kinds(session.path) == ["session", "open", "request", "end complete", "close"]


def test_two_calls_may_overlap(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "a")
    first, second = session.begin(request()), session.begin(request(retry_of=1))
    write(first, [step(0, "a")])
    write(second, [step(0, "b"), step(1, "c")])
    write(first, [step(1, "d")])
    session.close()
    second.end("complete")
    first.end("complete")
    lines = read(session.path)
    assert [line["call"] for line in lines if line["type"] == "frame"] == [1, 2, 2, 1]
    assert {line["call"]: line["frames"] for line in lines if line["type"] == "end"} == {1: 2, 2: 2}


def test_a_session_is_closed_when_its_last_call_ends(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "a")
    writer = session.begin(request())
    session.close()
    with pytest.raises(RecordingError, match="closed"):
        session.begin(request())
    with pytest.raises(RecordingLockedError):
        Session.open(tmp_path, "a")
    writer.end("complete")
    Session.open(tmp_path, "a").close()
    session.close()
    first = ["session", "open", "request", "end complete", "close"]
    assert kinds(session.path) == [*first, "open", "close"]


def test_a_relative_folder_is_resolved_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    session = Session.open(Path("recordings"), "a")
    monkeypatch.chdir("elsewhere")
    session.begin(request()).end("complete")
    session.close()
    assert session.path == tmp_path / "recordings" / "a.jsonl"
    assert kinds(session.path)[-2:] == ["end complete", "close"]
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_working_folder_that_is_gone_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(RecordingError, match="No such file"):
        Session.open(Path("recordings"), "a")


def test_a_line_that_no_reader_would_take_is_refused_before_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the session goes on."""
    for module in (lines_of, line_types):
        monkeypatch.setattr(module, "LONGEST_LINE", 2_000)
    session = Session.open(tmp_path, "a")
    writer = session.begin(request())
    with pytest.raises(RecordingError, match=r"a line of \d,\d{3} bytes could not be read; 2,000"):
        session.begin(request({"prompt": "x" * 2_000}))
    with pytest.raises(RecordingError, match="could not be read"):
        write(writer, [step(0, "x" * 2_000)])
    write(writer, [step(0, "x")])
    writer.end("complete")
    session.begin(request()).end("complete")
    session.close()
    assert [each["call"] for each in read(session.path) if each["type"] == "request"] == [1, 2]
    assert verify(session.path).ok


def test_a_line_as_long_as_may_be_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session.open(tmp_path, "a")
    session.begin(request({"prompt": "x" * 2_000})).end("complete")
    session.close()
    longest = max(len(each) for each in session.path.read_bytes().splitlines(keepends=True))
    monkeypatch.setattr(scan, "LONGEST_LINE", longest)
    assert verify(session.path).ok
    monkeypatch.setattr(scan, "LONGEST_LINE", longest - 1)
    assert not verify(session.path).ok


def start(program: str) -> subprocess.Popen[bytes]:
    return Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        start_new_session=True,  # so that `finish` ends what it forked, too
    )


def finish(child: subprocess.Popen[bytes]) -> None:
    """Wait for it, and leave nothing of it running if it hangs."""
    try:
        child.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
        raise


def test_kill_in_mid_stream_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    program = f"""
import os
from sessions import request, step
from vesselog.core.truth.session import Session
from pathlib import Path
writer = Session.open(Path({str(tmp_path)!r}), "a").begin(request())
for seq in range(10**9):
    with writer.write_lock as t:
        writer.frames([step(seq, "x" * (seq % 3000))], t)
    os.write(1, b"%d\\n" % seq)
"""
    path = tmp_path / "a.jsonl"
    acknowledged = 0
    for wanted in (1, 50, 200, 500):
        path.unlink(missing_ok=True)
        child = start(program)
        assert child.stdout is not None
        for _ in range(wanted):
            acknowledged = int(child.stdout.readline())
        child.kill()
        rest = child.communicate()[0].split(b"\n")[:-1]
        acknowledged = int(rest[-1]) if rest else acknowledged
        Session.open(tmp_path, "a").close()
        frames = [line for line in read(path) if line["type"] == "frame"]
        assert [frame["chunks"][0]["seq"] for frame in frames] == list(range(len(frames)))
        assert len(frames) > acknowledged


def poison(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appender.os, "write", lambda fd, data: real_write(fd, data[:5]))


def test_after_a_failed_write_the_session_takes_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session.open(tmp_path, "a")
    writer, other = session.begin(request()), session.begin(request())
    write(writer, [step(0)])
    before = session.path.read_bytes()
    with monkeypatch.context() as context:
        poison(context)
        with pytest.raises(RecordingError, match="disk full"):
            write(writer, [step(1)])
    for act in (
        lambda: write(other, [step(0)]),
        lambda: other.response(200, {}),
        lambda: session.begin(request()),
        lambda: writer.end("complete"),
    ):
        with pytest.raises(RecordingError, match="disk full"):
            act()
    other.abandon()
    session.close()
    assert session.path.read_bytes() == before
    Session.open(tmp_path, "a").close()
    assert kinds(session.path)[-4:] == ["open", "end crashed", "end crashed", "close"]


def test_a_file_whose_first_write_failed_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session.open(tmp_path, "a")
    poison(monkeypatch)
    with pytest.raises(RecordingError, match="disk full"):
        session.begin(request())
    assert list(tmp_path.iterdir()) == []
    session.close()


def test_somebody_elses_file_is_never_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session.open(tmp_path, "a")

    def replace(fd: int, data: bytes) -> int:
        session.path.unlink()
        session.path.write_text("mine")
        return 0

    monkeypatch.setattr(appender.os, "write", replace)
    with pytest.raises(RecordingError):
        session.begin(request())
    session.close()
    assert session.path.read_text() == "mine"


def test_a_session_in_which_no_call_began_leaves_no_file(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "a")
    with pytest.raises(RecordingError, match="JSON"):
        session.begin(request(extra={1}))
    session.close()
    assert list(tmp_path.iterdir()) == []
    session.path.touch()
    Session.open(tmp_path, "a").close()
    assert session.path.exists(), "it was there before"


def interrupts(monkeypatch: pytest.MonkeyPatch, *, written: bool) -> None:
    def interrupt(fd: int, data: bytes) -> int:
        monkeypatch.undo()
        if written:
            real_write(fd, data)
        raise KeyboardInterrupt

    monkeypatch.setattr(appender.os, "write", interrupt)


@pytest.mark.parametrize("written", [False, True])
@pytest.mark.parametrize("act", ["frames", "response", "end", "begin"])
def test_an_interrupt_leaves_no_counter_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: str, *, written: bool
) -> None:
    """KeyboardInterrupt before or after the write itself: the file is whole, and so is its end."""
    session = Session.open(tmp_path, "a")
    writer = session.begin(request())
    write(writer, [step(0)])
    acts: dict[str, Callable[[], object]] = {
        "frames": lambda: write(writer, [step(1)]),
        "response": lambda: writer.response(200, {}),
        "end": lambda: writer.end("complete"),
        "begin": lambda: session.begin(request()),
    }
    interrupts(monkeypatch, written=written)
    with pytest.raises(KeyboardInterrupt):
        acts[act]()
    writer.end("cancelled")
    session.close()
    ends = {line["call"]: line for line in read(session.path) if line["type"] == "end"}
    assert ends[1]["frames"] == 1 + (act == "frames" and written)
    assert ends[1]["outcome"] == ("complete" if act == "end" else "cancelled")
    assert (2 in ends) == (act == "begin" and written)
    assert kinds(session.path).count("end complete") <= 1
    Session.open(tmp_path, "a").close()


def test_a_call_interrupted_at_its_beginning_is_ended_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although the traceback may live on."""
    session = Session.open(tmp_path, "a")
    interrupts(monkeypatch, written=True)
    with pytest.raises(KeyboardInterrupt) as caught:
        session.begin(request())
    assert kinds(session.path) == ["session", "open", "request", "end abandoned"]
    assert caught.value.__traceback__ is not None
    session.close()


def test_an_end_that_nobody_waits_for_fails_into_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    session = Session.open(tmp_path, "a")
    first, second = session.begin(request()), session.begin(request())
    poison(monkeypatch)
    first.abandon()
    second.abandon()
    session.close()
    assert [message for message in caplog.messages if "disk full" in message] == caplog.messages
    assert len(caplog.messages) == 1


def test_signals_at_any_moment_leave_a_whole_file(tmp_path: Path) -> None:
    """A real SIGINT storm: each stream is interrupted somewhere, and the session goes on."""
    program = f"""
import os, signal, sys
from pathlib import Path
from sessions import read, request, step
from vesselog.core.truth.session import Session
session = Session.open(Path({str(tmp_path)!r}), "a")
steps = [step(seq) for seq in range(400)]
interrupted = 0
for stream in range(60):
    writer = None
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.0003 + stream * 0.00002)
            writer = session.begin(request())
            for each in steps:
                with writer.write_lock as t:
                    writer.frames([each], t)
            signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:
            interrupted += 1
    finally:
        if writer is not None:
            writer.end("cancelled")
        del writer
session.close()
lines = read(session.path)
assert interrupted > 10, interrupted
requests = [line["call"] for line in lines if line["type"] == "request"]
assert sorted(line["call"] for line in lines if line["type"] == "end") == requests
Session.open(Path({str(tmp_path)!r}), "a").close()
"""
    program = program.replace(
        "interrupted = 0\n",
        "interrupted = 0\nsignal.signal(signal.SIGALRM, signal.default_int_handler)\n",
    )
    child = start(program)
    finish(child)
    assert child.returncode == 0
    assert verify(tmp_path / "a.jsonl").findings == []


def test_a_dropped_writer_is_recorded_as_abandoned(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "a")
    writer = session.begin(request())
    write(writer, [step(0)])
    session.close()
    del writer
    assert kinds(session.path)[-2:] == ["end abandoned", "close"]
    Session.open(tmp_path, "a").close()


def test_a_finaliser_in_the_middle_of_a_write_only_queues(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "a")
    writer, dropped = session.begin(request()), session.begin(request())
    with writer.write_lock as t:
        del dropped
        gc.collect()
        assert kinds(session.path)[-1] == "request"
        writer.frames([step(0)], t)
    assert kinds(session.path)[-2:] == ["frame", "end abandoned"]
    writer.end("complete")
    session.close()


def test_a_finaliser_does_not_wait_for_another_threads_lock(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "a")
    writer, dropped = session.begin(request()), session.begin(request())
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with writer.write_lock:
            entered.set()
            leave.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    entered.wait()
    dropped.abandon()
    session.close()
    assert kinds(session.path)[-1] == "request"
    leave.set()
    thread.join()
    assert kinds(session.path)[-1] == "end abandoned"
    writer.end("complete")
    Session.open(tmp_path, "a").close()


def test_an_unfinished_stream_at_the_interpreters_end_is_abandoned(tmp_path: Path) -> None:
    program = f"""
from sessions import request
from vesselog.core.truth.session import Session
from pathlib import Path
writer = Session.open(Path({str(tmp_path)!r}), "a").begin(request())
"""
    child = start(program)
    finish(child)
    assert child.returncode == 0
    assert kinds(tmp_path / "a.jsonl")[-1] == "end abandoned"


def test_threads_share_a_session(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "a")

    def stream() -> None:
        writer = session.begin(request())
        write(writer, (step(seq, str(writer.call)) for seq in range(200)))
        writer.end("complete")

    threads = [threading.Thread(target=stream) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    session.close()
    lines = read(session.path)
    assert kinds(session.path).count("end complete") == 8
    for line in lines:
        if line["type"] == "frame":
            assert line["chunks"][0]["text"] == str(line["call"])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_lets_go_and_the_parent_goes_on(tmp_path: Path) -> None:
    """Forked while another thread, which the child does not have, holds the write lock."""
    program = f"""
import os, threading
from sessions import request, step, write
from vesselog import RecordingError
from vesselog.core.truth.session import Session
from pathlib import Path
session = Session.open(Path({str(tmp_path)!r}), "a")
writer = session.begin(request())
entered, leave = threading.Event(), threading.Event()
def hold():
    with writer.write_lock:
        entered.set()
        leave.wait()
thread = threading.Thread(target=hold)
thread.start()
entered.wait()
pid = os.fork()
if pid == 0:
    try:
        write(writer, [step(0)])
    except RecordingError as error:
        del writer
        session.close()
        os._exit(0 if "parent" in str(error) else 1)
    os._exit(2)
assert os.waitpid(pid, 0)[1] == 0
leave.set()
thread.join()
write(writer, [step(0)])
try:
    Session.open(Path({str(tmp_path)!r}), "a")
except RecordingError:
    writer.end("complete")
session.close()
"""
    child = start(program)
    finish(child)
    assert child.returncode == 0
    assert kinds(tmp_path / "a.jsonl")[-3:] == ["frame", "end complete", "close"]


def test_a_file_deleted_under_way_is_noticed_at_the_end(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "a")
    writer = session.begin(request())
    session.path.unlink()
    with pytest.raises(RecordingError, match="deleted"):
        writer.end("complete")
    session.close()


def test_without_a_recording_the_writer_only_tells_the_time() -> None:
    clock = ManualClock()
    writer: Writer = Unrecorded(clock)
    clock.pass_seconds(1)
    with writer.write_lock as t:
        writer.frames([step(0)], t)
    assert t - writer.started == 1_000_000
    assert (writer.session, writer.path) == (None, None)
    writer.response(200, {})
    writer.end("complete")
    writer.abandon()
