"""Starts Python processes quickly: a process that has already imported the library forks them.

`Popen` and `run` are those of `subprocess` for `[sys.executable, ...]` with a program after `-c`, a
module after `-m` or a file; before these may be `-P` and `-W`, in this order. Such a process is a
child of the test's process, and begins with a `__main__`, streams, environment, folder and filters
of warnings of its own; it ends as any interpreter does. Tests of what happens when the library is
imported need `subprocess` itself.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import inspect
import io
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

__all__ = ["Popen", "run"]

_PR_SET_CHILD_SUBREAPER = 36
_WARM = (
    "vesselog.cli",
    "vesselog.core.client.async_client",
    "vesselog.core.client.client",
    "vesselog.core.http.fast_transport",
    "vesselog.maintenance.verify",
    "vesselog.vessels",
)
# A test may put this module's in its place.
_Cold = subprocess.Popen
_SIGNATURE = inspect.signature(_Cold._execute_child)  # type: ignore[attr-defined]


class Popen(subprocess.Popen[Any]):
    """A `subprocess.Popen` whose process is forked from the one that has imported the library."""

    def _execute_child(self, *values: Any) -> None:
        if sys.platform != "linux":  # where no process adopts another's child
            super()._execute_child(*values)  # type: ignore[misc]
            return
        given = _SIGNATURE.bind(self, *values).arguments
        pipes = [given[name] for name in ("p2cread", "c2pwrite", "errwrite")]
        program = {
            "arguments": [os.fspath(each) for each in given["args"]][1:],
            "folder": os.fspath(given["cwd"] or Path.cwd()),
            "environment": dict(os.environ if given["env"] is None else given["env"]),
            "new_session": given["start_new_session"],
        }
        streams = [own if pipe < 0 else pipe for own, pipe in enumerate(pipes)]
        self.pid = _parent().fork(program, streams)
        self._child_created = True
        self._close_pipe_fds(  # type: ignore[attr-defined]
            *(given[name] for name in ("p2cread", "p2cwrite", "c2pread", "c2pwrite")),
            *(given[name] for name in ("errread", "errwrite")),
        )


def run(
    args: Sequence[Any], *, timeout: float | None = None, check: bool = False, **settings: Any
) -> subprocess.CompletedProcess[Any]:
    """Do as `subprocess.run` does."""
    if settings.pop("capture_output", False):
        settings |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    given = settings.pop("input", None)
    if given is not None:
        settings["stdin"] = subprocess.PIPE
    with Popen(args, **settings) as process:
        try:
            out, err = process.communicate(given, timeout=timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(args, process.returncode, out, err)
    if check:
        done.check_returncode()
    return done


class _Parent:
    """The process that forks. It ends with this one, whose end closes their socket."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = _Cold(
                [sys.executable, "-P", "-X", "utf8", __file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={
                    name: value
                    for name, value in os.environ.items()
                    if not name.startswith("PYTHON")
                },
            )
        self._lines = self._socket.makefile("r", encoding="utf-8")
        self._lock = threading.Lock()
        self._of = os.getpid()

    def fork(self, program: dict[str, Any], streams: list[int]) -> int:
        """Begin a process; returns its number."""
        with self._lock:
            # The process that forked it ends at once: then it is a child of this one.
            _set_subreaper(True)
            try:
                socket.send_fds(self._socket, [b"\n"], streams)
                self._socket.sendall(json.dumps(program).encode() + b"\n")
                return int(self._lines.readline())
            finally:
                _set_subreaper(False)

    def end(self) -> None:
        """Wait for its end."""
        if os.getpid() == self._of:
            self._lines.close()
            self._socket.close()
            self._process.wait()


_parents: list[_Parent] = []
_making = threading.Lock()


def _parent() -> _Parent:
    with _making:
        if not _parents:
            _parents.append(_Parent())
            atexit.register(_parents[0].end)
        return _parents[0]


def _set_subreaper(value: bool) -> None:  # noqa: FBT001 - a setting of the process
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(value))


def _serve(control: socket.socket) -> dict[str, Any]:
    """Fork for each request. Returns in each child, with what it must run."""
    lines = control.makefile("r", encoding="utf-8")
    while True:
        _, streams, *_ = socket.recv_fds(control, 1, 3)
        if not streams:
            os._exit(0)
        program: dict[str, Any] = json.loads(lines.readline())
        told, tell = os.pipe()
        if (between := os.fork()) == 0:
            if os.fork():
                os._exit(0)
            if program["new_session"]:
                os.setsid()
            for own, stream in enumerate(streams):
                os.dup2(stream, own)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.write(tell, str(os.getpid()).encode())
            lines.close()
            control.close()
            os.closerange(3, os.sysconf("SC_OPEN_MAX"))
            return program
        os.waitpid(between, 0)
        control.sendall(os.read(told, 20) + b"\n")
        for each in (told, tell, *streams):
            os.close(each)


def _run(program: dict[str, Any]) -> None:
    """Do as the interpreter does with such a command line."""
    os.chdir(program["folder"])
    os.environ.clear()
    os.environ.update(program["environment"])
    time.tzset()
    errors = "surrogateescape" if os.environ.get("PYTHONUTF8") == "1" else "strict"
    sys.stdin, sys.stdout = sys.__stdin__, sys.__stdout__ = (
        _stream(0, "rb", errors),
        _stream(1, "wb", errors),
    )
    sys.stderr = sys.__stderr__ = _stream(2, "wb", "backslashreplace")
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    sys.path[:0] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    importlib.invalidate_caches()
    arguments = program["arguments"]
    safe_path = arguments[0] == "-P"
    arguments = arguments[safe_path:]
    if arguments[0] == "-W":
        sys.warnoptions[:] = [arguments[1]]
        warnings.simplefilter(arguments[1])
        arguments = arguments[2:]
    kind = arguments.pop(0) if arguments[0] in {"-c", "-m"} else ""
    what, *sys.argv[1:] = arguments
    if not safe_path:
        sys.path.insert(0, {"-c": "", "-m": str(Path.cwd()), "": str(Path(what).parent)}[kind])
    if kind == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    elif kind == "-c":
        sys.argv[0] = "-c"
        main = sys.modules["__main__"] = ModuleType("__main__")
        exec(compile(what, "<string>", "exec"), main.__dict__)
    else:
        sys.argv[0] = what
        runpy.run_path(what, run_name="__main__")


def _stream(number: int, mode: str, errors: str) -> TextIO:
    binary = open(number, mode, closefd=False)  # noqa: SIM115 - a stream of the process
    return io.TextIOWrapper(
        binary, "utf-8", errors, "\n", line_buffering=number == 2 or binary.isatty()
    )


if __name__ == "__main__":
    _control = socket.socket(fileno=int(sys.argv[1]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _name in _WARM:
            importlib.import_module(_name)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.collect()
    gc.freeze()
    _run(_serve(_control))
