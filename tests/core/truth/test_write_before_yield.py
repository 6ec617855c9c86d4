"""At the moment any chunk is handed out, its line can be read in the file by another process."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from loopback import Conversation, LoopbackServer, ollama_lines, unanswering_port
from patience import PATIENCE
from talking import every_client, every_dialect, talking
from vesselog import AsyncClient, RecordingError, StreamChunk, Timeouts
from vesselog.core.truth import appender
from vesselog.vessels import Ollama
from warm_python import Popen

CHUNKS = 2000

# Reads the file for itself, with nothing of this library: are these chunks of this call there?
OTHER_PROCESS = """
import json, os, sys

with open(sys.argv[1], "rb") as file:
    seen, rest = set(), b""
    for asked in sys.stdin:
        while data := file.read(65536):
            *lines, rest = (rest + data).split(b"\\n")
            for line in map(json.loads, lines):
                if line["type"] == "frame":
                    seen.update((line["call"], each["seq"]) for each in line.get("chunks", ()))
        call, seq = map(int, asked.split())
        print("there" if (call, seq) in seen else "MISSING", flush=True)
"""


@contextmanager
def other_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    process = Popen(
        [sys.executable, "-c", OTHER_PROCESS, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


@every_client
@every_dialect
@pytest.mark.parametrize("size", [1, 7], ids=["frame-by-frame", "seven-at-once"])
def test_every_chunk_of_a_long_stream(kind: str, model: str, size: int):
    def long(conversation: Conversation) -> None:
        conversation.begin()
        frames = conversation.frames(*(f"{number} " for number in range(CHUNKS // size)))
        for start in range(0, len(frames), size):
            conversation.chunk(b"".join(frames[start : start + size]))
        conversation.end()

    with LoopbackServer([long]) as server, talking(kind, server) as talker:
        stream = talker.stream(model)
        talker.open(stream)
        answers: list[str] = []
        with other_process(stream.path) as other:
            assert other.stdin is not None
            assert other.stdout is not None

            def ask(chunk: StreamChunk) -> None:
                print(stream.call, chunk.seq, file=other.stdin, flush=True)
                answers.append(other.stdout.readline().strip())

            heard = talker.begin(stream, ask, opened=True).result(PATIENCE)
        heard.check("complete")
        assert len(answers) == len(heard.chunks) >= CHUNKS // size
        assert set(answers) == {"there"}


@every_client
def test_what_could_not_be_written_is_not_handed_out(kind: str, monkeypatch: pytest.MonkeyPatch):
    """The disk is full from the third frame on."""
    write = appender.os.write

    def full(fd: int, data: bytes) -> int:
        if b"three" in data:
            raise OSError(28, "No space left on device")
        return write(fd, data)

    def slow(conversation: Conversation) -> None:
        conversation.begin()
        for frame in conversation.frames("one", "two", "three", "four"):
            conversation.chunk(frame)
        conversation.wait_for_hangup()

    with LoopbackServer([slow]) as server, talking(kind, server) as talker:
        with monkeypatch.context() as patch:
            patch.setattr(appender.os, "write", full)
            heard = talker.hear()
        assert isinstance(heard.error, RecordingError)
        assert "No space left" in str(heard.error)
        assert heard.outcome == "error"
        assert "onetwo".startswith(heard.text)
        (call,) = heard.calls
        assert call.outcome == "interrupted"
        assert [chunk.text for chunk in call.chunks()] == [chunk.text for chunk in heard.chunks]
        server.wait_until(lambda: server.open_connections == 0)


@every_client
def test_an_end_that_could_not_be_written_is_told_at_once(
    kind: str, monkeypatch: pytest.MonkeyPatch
):
    """The deadline passes while connecting, and its outcome does not reach the file."""
    write = appender.os.write

    def full(fd: int, data: bytes) -> int:
        if b'"type":"end"' in data:
            raise OSError(28, "No space left on device")
        return write(fd, data)

    with (
        unanswering_port() as port,
        talking(kind, f"http://127.0.0.1:{port}", timeouts=Timeouts(total=0.1)) as talker,
        monkeypatch.context() as patch,
    ):
        patch.setattr(appender.os, "write", full)
        heard = talker.hear()
        assert isinstance(heard.error, RecordingError)
        (call,) = heard.calls
        assert call.outcome == "interrupted"


async def test_leaving_what_cannot_be_written_keeps_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Bytes are left behind a whole answer when it is left; the transport cannot be cancelled."""
    last = asyncio.Event()

    class Body(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"".join(ollama_lines("Hi")) + b"{"
            await asyncio.Event().wait()

    def full(fd: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    async def listen() -> None:
        async for chunk in stream:
            if chunk.finish_reason:
                last.set()

    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=Body()))
    async with (
        httpx.AsyncClient(transport=transport) as http,
        AsyncClient(
            http_client=http,
            vessels={"lab": Ollama(base_url="http://127.0.0.1:9")},
            environment={},
            recordings=tmp_path,
            timeouts=Timeouts(drain=60),
        ) as client,
    ):
        stream = client.stream("lab/m", "hi")
        listening = asyncio.create_task(listen())
        await last.wait()
        with monkeypatch.context() as patch:
            patch.setattr(appender.os, "write", full)
            stream.cancel()
            with pytest.raises(RecordingError):
                await asyncio.wait_for(listening, 10)
        assert stream.outcome == "error"
