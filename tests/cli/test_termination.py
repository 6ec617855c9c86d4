"""SIGTERM ends a command as Ctrl-C does; test_chat.py and test_bench.py test what is recorded."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from commands import start
from house import ROOT
from patience import PATIENCE
from sessions import request, step, write
from vesselog import Recording, verify
from vesselog.cli.termination import Terminated, signals_raise
from vesselog.core.truth.session import Session

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_command_that_waits_ends_without_a_traceback(
    tmp_path: Path, number: signal.Signals, status: int
) -> None:
    session = Session.open(tmp_path, "s")
    writer = session.begin(request())
    write(writer, [step(0, "Hel")])
    process = start("follow", str(session.path))
    assert process.stdout is not None
    assert process.stdout.read(3) == b"Hel"
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE)
    writer.end("complete")
    session.close()
    assert process.returncode == status
    # The signal may come between the opening of a file and the statement that closes it. Python
    # then warns of the file, which here is an error.
    assert err.count(b"Traceback") == err.count(b"ResourceWarning: unclosed file")


def test_replay_and_demo_end_in_the_middle_of_an_answer() -> None:
    sample = ROOT / "recordings/samples/ollama-story.jsonl"
    for arguments in (("replay", str(sample), "--speed", "0.3"), ("demo", "--speed", "0.3")):
        process = start(*arguments)
        assert process.stdout is not None
        shown = b""
        while b"A ves" not in shown:
            shown += os.read(process.stdout.fileno(), 1 << 16)
        process.terminate()
        _, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 143
        assert b"Traceback" not in err
    (demo,) = Path("recordings").iterdir()
    assert verify(demo).ok
    assert [call.outcome for call in Recording(demo).calls()] == ["cancelled"]


def test_it_is_raised_inside_the_block_alone() -> None:
    with signals_raise() as received:
        with pytest.raises(Terminated):
            signal.raise_signal(signal.SIGTERM)
        assert received.signal == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_program_that_ignores_or_handles_it_keeps_doing_so() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with signals_raise() as received:
            signal.raise_signal(signal.SIGTERM)
            assert received.signal is None
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def test_other_threads_leave_the_signal_alone() -> None:
    """Python sets signal handlers in the main thread only."""
    entered: list[int | None] = []

    def run() -> None:
        with signals_raise() as received:
            entered.append(received.signal)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(PATIENCE)
    assert entered == [None]
