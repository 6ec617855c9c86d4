"""Writes a session in a process of its own that starts quickly: hundreds of them are killed.

As a program: `python session_writer.py JSON`, with the arguments of `write_session`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import sessions
from producing import line
from vesselog.core.chunk import StreamChunk
from vesselog.core.truth.session import Session

__all__ = ["Telling", "write_session"]


class Telling:
    """Keeps what was yielded, and when, in a file of its own."""

    def __init__(self, path: str | Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def __call__(self, path: Path | None, call: int | None, chunk: StreamChunk) -> None:
        told = [str(path), call, chunk.seq, chunk.text, time.monotonic()]
        os.write(self._fd, json.dumps(told).encode() + b"\n")


def write_session(
    folder: str,
    name: str,
    acks: str,
    *,
    frames: int,
    level: str = "process",
    size: int | None = None,
) -> None:
    """Record one call of so many frames without a client. size: of each, in bytes."""
    tell = Telling(acks)
    session = Session.open(Path(folder), name, durability=level)
    body = {"model": "m", "messages": [{"role": "user", "content": name}]}
    writer = session.begin(sessions.request(body))
    writer.response(200, {"content-type": "application/x-ndjson"})
    for seq in range(frames):
        raw = line(name, seq, size)
        chunks = sessions.write(writer, [sessions.step(seq, f"{seq} ", raw)])
        if writer.gate is not None:
            writer.gate.wait()
        for chunk in chunks:
            tell(session.path, writer.call, chunk)
    writer.end("complete")
    session.close()


if __name__ == "__main__":
    write_session(**json.loads(sys.argv[1]))
