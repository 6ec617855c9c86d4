"""Child processes in milliseconds: a process that has imported everything forks them.

The functions that run in them stand in writers.py. A child is reaped only when it is waited for, so
that its number cannot be another's when it is killed. strace is attached to a child, which takes a
hundredth of the time of starting a Python under it.
"""

from __future__ import annotations

import atexit
import ctypes
import json
import os
import signal
import subprocess
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, NamedTuple, Self

from patience import PATIENCE

__all__ = ["Child", "Nursery"]


class Child(NamedTuple):
    """A child process."""

    nursery: Nursery
    pid: int

    def kill(self) -> None:
        """kill -9, and wait for its end."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def wait(self) -> int:
        """Its exit code, negative for a signal."""
        return int(self.nursery.ask({"wait": self.pid}))

    def trace(self, strace: str, *options: str) -> int:
        """Run a child that is `held` under strace, to its end; gives its exit code."""
        command = [strace, "-f", "-qq", *options, "-p", str(self.pid)]
        subprocess.run(command, check=True, timeout=PATIENCE)
        return self.wait()


class Nursery:
    """`with` it; its children end with it at the latest."""

    def __enter__(self) -> Self:
        here = Path(__file__).parent
        path = os.pathsep.join([str(here), str(here.parent / "support")])
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": path},
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def start(self, function: str, *, held: bool = False, **arguments: Any) -> Child:
        """Run a function of writers.py in a child; one that is `held` begins once it is traced."""
        question = {"function": function, "arguments": arguments, "held": held}
        return Child(self, int(self.ask(question)))

    def ask(self, question: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def _die_with_parent() -> None:
    """Linux: PR_SET_PDEATHSIG, so that a run that is killed leaves nothing behind."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _wait_for_tracer() -> None:
    """Linux: PR_SET_PTRACER, since the tracer is no parent of this process."""
    ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_ulong(-1))
    while "TracerPid:\t0\n" in Path("/proc/self/status").read_text():
        os.sched_yield()


def _serve() -> None:
    import writers  # imports what the children need

    _die_with_parent()
    for line in sys.stdin:
        question = json.loads(line)
        if "wait" in question:
            _, status = os.waitpid(question["wait"], 0)
            answer = os.waitstatus_to_exitcode(status)
        else:
            answer = os.fork()
            if answer == 0:
                _run(writers, question)
        print(json.dumps(answer), flush=True)


def _run(module: ModuleType, question: dict[str, Any]) -> None:
    code = 1
    try:
        _die_with_parent()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)
        if question["held"]:
            _wait_for_tracer()
        getattr(module, question["function"])(**question["arguments"])
        if question["held"]:
            atexit._run_exitfuncs()  # as at the end of a program: files are synced and closed
        code = 0
    except BaseException:  # noqa: BLE001 - told by the exit code
        traceback.print_exc()
    finally:
        os._exit(code)


if __name__ == "__main__":
    _serve()
