"""The command line as a process of its own, and recordings for it to work on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from loopback import LoopbackServer
from patience import PATIENCE
from sessions import cut_close, request, step, write
from vesselog.core.completion import Outcome
from vesselog.core.errors import VesselogError
from vesselog.core.truth.session import Session
from warm_python import Popen

__all__ = ["command", "json_lines", "ollama", "recording", "serving", "start"]


def command(
    *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `vesselog` to its end."""
    process = start(*arguments, env=env, stdin=subprocess.PIPE)
    out, err = process.communicate(stdin, timeout=PATIENCE)
    return subprocess.CompletedProcess(
        arguments, process.returncode, out.decode(), (err or b"").decode()
    )


def start(
    *arguments: str, env: Mapping[str, str] | None = None, **settings: Any
) -> subprocess.Popen[bytes]:
    """Run `vesselog` beside the test."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return Popen(
        [sys.executable, "-W", "error", "-m", "vesselog", *arguments],
        env={**os.environ, "PYTHONUTF8": "1", **(env or {})},
        **{**pipes, **settings},
    )


@contextmanager
def serving(*arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A `vesselog serve` beside the test, and its base URL."""
    process = start("serve", "--port", "0", *arguments)
    try:
        url = process.stdout.readline().decode().split(" ")[0]  # type: ignore[union-attr]
        assert url.startswith("http://127.0.0.1:"), process.communicate()
        yield process, url
    finally:
        process.kill()
        process.communicate()


def json_lines(text: str) -> list[dict[str, Any]]:
    """The lines of some output, each a JSON object."""
    assert text.endswith("\n")
    return [json.loads(line) for line in text[:-1].split("\n")]


def ollama(server: LoopbackServer) -> Sequence[str]:
    """The option that makes `server` the Ollama."""
    return ("--base-url", server.url)


def recording(
    folder: Path,
    *texts: str,
    name: str = "s",
    outcome: Outcome | None = "complete",
    error: VesselogError | None = None,
    prompt: str = "Say hello",
) -> Path:
    """One more call in a session that is not closed. outcome: None takes the end away, too."""
    session = Session.open(folder, name)
    body = {"model": "m", "messages": [{"role": "user", "content": prompt}]}
    writer = session.begin(request(body))
    writer.response(200, {"content-type": "application/x-ndjson"})
    write(writer, (step(seq, text) for seq, text in enumerate(texts)))
    writer.end(outcome or "complete", error=error)
    session.close()
    cut_close(session.path)
    if outcome is None:
        *lines, _end, _empty = session.path.read_bytes().split(b"\n")
        session.path.write_bytes(b"\n".join([*lines, b""]))
    return session.path
