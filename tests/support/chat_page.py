"""The chat example, served by uvicorn or gunicorn in a process of its own."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pages import ROOT
from patience import PATIENCE

__all__ = ["EXAMPLE", "served_by_command"]

EXAMPLE = ROOT / "examples" / "fastapi_chat"


@contextmanager
def served_by_command(
    folder: Path,
    *arguments: str,
    watched: bool = False,
    gunicorn: bool = False,
    port: int = 0,
    **variables: str,
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run it in `folder`; gives the process and its URL. All its processes are killed at the end.

    watched: with the routes of watched_chat.py. gunicorn: with the settings of the example.
    """
    app = ["--app-dir", str(Path(__file__).parent), "watched_chat:app"]
    if not watched:
        app = ["--app-dir", str(EXAMPLE), "app:app"]
    program = ["uvicorn", *app, "--port", str(port)]
    if gunicorn:
        settings = ["-c", str(EXAMPLE / "gunicorn_settings.py"), "-b", f"127.0.0.1:{port}"]
        program = ["gunicorn", *settings, "app:app"]
    log = folder / f"uvicorn-{len(list(folder.glob('uvicorn-*')))}.log"
    with (
        log.open("wb") as written,
        subprocess.Popen(
            [sys.executable, "-P", "-m", *program, *arguments],
            cwd=folder,
            env={**os.environ, **variables, "CHAT_EXAMPLE": str(EXAMPLE)},
            stdout=subprocess.DEVNULL,
            stderr=written,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield process, _address(process, log)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(PATIENCE)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Where it serves, once it does."""
    with log.open(encoding="utf-8") as lines:
        said = ""
        while process.poll() is None:
            said += lines.readline()
            found = re.search(r"(?:running on|Listening at:) (http://[\d.:]+)", said)
            if found and "startup complete" in said and _listens(found[1]):
                return found[1]
    raise AssertionError(log.read_text("utf-8"))


def _listens(url: str) -> bool:
    """A worker says that it has started before it listens."""
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", int(url.rpartition(":")[2]))) == 0
