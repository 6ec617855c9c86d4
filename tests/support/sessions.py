"""Sessions for tests: made by the real writer, on real files, by a clock that tests move."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vesselog.core.chunk import StreamChunk
from vesselog.core.exchange import Step
from vesselog.core.frame import Frame
from vesselog.core.framing import Framing
from vesselog.core.jsontext import dumps
from vesselog.core.replay.compare_requests import request_key
from vesselog.core.truth.call_writer import Writer
from vesselog.core.truth.line import check_line, parse_line
from vesselog.core.truth.session import Session

BODY = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
NOON = 1_800_000_000_000_000  # microseconds; a day in 2027


class ManualClock:
    """Both clocks stand still until they are moved."""

    def __init__(self, wall: int = NOON) -> None:
        self.time = 5_000_000
        self.date = wall

    def monotonic(self) -> int:
        return self.time

    def wall(self) -> int:
        return self.date

    def pass_seconds(self, seconds: float) -> None:
        self.time += round(seconds * 1e6)
        self.date += round(seconds * 1e6)


def request(body: dict[str, Any] = BODY, **more: Any) -> dict[str, Any]:
    """A request line's words."""
    return {
        "vessel": "ollama",
        "model": "m",
        "method": "POST",
        "url": "http://127.0.0.1:11434/api/chat",
        "headers": {"content-type": "application/json"},
        "body": body,
        "key": request_key("/api/chat", body),
        **more,
    }


def step(seq: int, text: str = "x", raw: bytes | None = None, **fields: Any) -> Step:
    """A frame with one chunk."""
    raw = dumps({"message": {"content": text}}) + b"\n" if raw is None else raw
    return Step(Frame(raw, Framing.NDJSON), fields=({"seq": seq, "text": text, **fields},))


def write(writer: Writer, steps: Iterable[Step]) -> list[StreamChunk]:
    """Write each of the steps on its own; gives the chunks as the client would hand them out."""
    seen: list[StreamChunk] = []
    for each in steps:
        with writer.write_lock as t:
            writer.frames([each], t)
        seen += [
            StreamChunk(
                **fields,  # type: ignore[arg-type]
                call=writer.call,
                t=(t - writer.started) / 1e6,
                raw=each.frame.text,
            )
            for fields in each.fields
        ]
    return seen


def record(
    folder: Path, name: str = "a", texts: Iterable[str] = ("Hel", "lo"), *, closed: bool = False
) -> Path:
    """A session with one complete call; unless it is closed, as a writer that died leaves it."""
    session = Session.open(folder, name)
    writer = session.begin(request())
    writer.response(200, {"content-type": "application/x-ndjson"})
    write(writer, (step(seq, text) for seq, text in enumerate(texts)))
    writer.end("complete")
    session.close()
    if not closed:
        cut_close(session.path)
    return session.path


def cut_close(path: Path) -> None:
    """Take the `close` line away, as if the last writer had died before it."""
    content = path.read_bytes()
    start = content.rindex(b"\n", 0, -1) + 1
    assert content.startswith(b'{"type":"close"', start)
    os.truncate(path, start)


def read(path: Path) -> list[dict[str, Any]]:
    """All lines of a file, each of which must be whole and match its check."""
    raw = path.read_bytes()
    assert raw.endswith(b"\n")
    lines = []
    for line in raw[:-1].split(b"\n"):
        assert check_line(line) is True, line
        fields = parse_line(line)
        assert fields is not None, line
        lines.append(fields)
    assert [line["n"] for line in lines[1:]] == list(range(1, len(lines)))
    times = [line["t"] for line in lines[1:]]
    assert times == sorted(times)
    return lines


def kinds(path: Path) -> list[str]:
    """The types of a file's lines; an end with its outcome."""
    return [
        f"end {line['outcome']}" if line["type"] == "end" else line["type"] for line in read(path)
    ]
