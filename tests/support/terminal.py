"""The command line on a terminal of its own: a pseudo-terminal that a test types into and reads."""

from __future__ import annotations

import os
import pty
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from fcntl import ioctl
from pathlib import Path

from patience import PATIENCE
from warm_python import Popen

__all__ = ["CTRL_D", "UP", "Terminal", "terminal"]

# Only the controlling terminal of a process's session sends Ctrl-C to it.
_PROGRAM = """
import fcntl, runpy, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
runpy.run_module("vesselog", run_name="__main__", alter_sys=True)
"""

CTRL_D, UP = "\x04", "\x1b[A"


class Terminal:
    """A running command. screen: all that it has written."""

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int) -> None:
        self.process = process
        self.screen = ""
        self._descriptor = descriptor
        self._seen = 0

    def type(self, text: str) -> None:
        """Type a text, control characters included."""
        self.type_bytes(text.encode())

    def type_bytes(self, data: bytes) -> None:
        """Type bytes that need not be text."""
        os.write(self._descriptor, data)

    def close(self) -> None:
        """Close the terminal, as the window's button does."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def expect(self, text: str) -> str:
        """Read until this text is there; returns what came before it, since the last one."""
        while (found := self.screen.find(text, self._seen)) < 0:
            assert self._read(), f"{text!r} never came: {self.screen!r}"
        before = self.screen[self._seen : found]
        self._seen = found + len(text)
        return before

    def press_ctrl_c(self) -> None:
        """Type Ctrl-C once the command waits."""
        self._wait_until_it_waits()
        self.type("\x03")

    def terminate(self) -> None:
        """Send SIGTERM once the command waits."""
        self._wait_until_it_waits()
        self.process.terminate()

    def ended(self) -> int:
        """Read until the command has ended; returns its exit status."""
        while self._read():
            pass
        return self.process.wait(PATIENCE)

    @property
    def echoes(self) -> bool:
        """Whether the terminal shows what is typed, as a shell expects it."""
        return bool(termios.tcgetattr(self._descriptor)[3] & termios.ECHO)

    def _wait_until_it_waits(self) -> None:
        """Python's readline does not notice a signal between its prompt and its `select`."""
        stat = Path(f"/proc/{self.process.pid}/stat")
        while stat.exists() and stat.read_text("utf-8").rpartition(") ")[2][0] not in "SZ":
            os.sched_yield()

    def _read(self) -> bool:
        ready, _, _ = select.select([self._descriptor], [], [], PATIENCE)
        assert ready, f"nothing more came: {self.screen!r}"
        try:
            data = os.read(self._descriptor, 1 << 16)
        except OSError:  # Linux: nobody has the other end open any more
            return False
        self.screen += data.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)


@contextmanager
def terminal(
    *arguments: str,
    columns: int = 80,
    env: Mapping[str, str] | None = None,
    stdout: int | None = None,
) -> Iterator[Terminal]:
    """Run `vesselog` on a terminal. stdout: goes there instead."""
    above, below = pty.openpty()
    ioctl(below, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    surroundings = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    process = Popen(
        [sys.executable, "-W", "error", "-c", _PROGRAM, *arguments],
        stdin=below,
        stdout=below if stdout is None else stdout,
        stderr=below,
        env={**surroundings, "TERM": "xterm", "NO_COLOR": "1", "PYTHONUTF8": "1", **(env or {})},
        start_new_session=True,
    )
    os.close(below)
    screen = Terminal(process, above)
    try:
        yield screen
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait()
        screen.close()
