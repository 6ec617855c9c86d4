"""One way to ask a real server, for the sync and the async client alike.

Each question gets a client of its own, which is closed before the answer is looked at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vesselog import (
    AsyncClient,
    AsyncStream,
    Client,
    Completion,
    Recording,
    Stream,
    StreamChunk,
    Timeouts,
    VesselogError,
    replay,
    verify,
)
from vesselog.core.truth.recording import RecordedCall
from vesselog.core.vessel import Vessel

__all__ = ["Ask", "Heard", "Place", "timeless"]

React = Callable[[Stream | AsyncStream, list[StreamChunk]], None]
"""Called after each chunk with the stream and all chunks so far."""

# Everything that differs from one run to the next.
_OF_THE_RUN = {"call", "metrics", "response_id", "session", "timings"}


@dataclass(frozen=True)
class Heard:
    """An answer as its caller got it. chunks: None where it was asked for in one piece."""

    completion: Completion
    chunks: list[StreamChunk] | None
    error: VesselogError | None
    path: Path

    @property
    def recorded(self) -> RecordedCall:
        """The call in the recording; there is no other in its file."""
        (call,) = Recording(self.path).calls()
        return call

    @property
    def frames(self) -> list[str]:
        """The exact text of the answer's frames."""
        return [frame.text for frame in self.recorded.frames()]

    def check(self) -> Heard:
        """The file is sound, says what the caller saw, and replays the same, error and all.

        What had arrived when the caller cancelled is in the file, and not all of it handed out.
        """
        report = verify(self.path)
        assert report.ok, report.findings
        call = self.recorded
        stored = list(call.chunks())
        assert [chunk.seq for chunk in stored] == list(range(len(stored)))
        assert call.outcome == self.completion.outcome
        if self.completion.outcome == "cancelled":
            assert self.chunks is not None
            assert stored[: len(self.chunks)] == self.chunks
        else:
            assert self.chunks is None or stored == self.chunks
            assert call.completion() == self.completion
        again = replay(self.path, speed=0)
        replayed: list[StreamChunk] = []
        failure: VesselogError | None = None
        try:
            replayed.extend(again)
        except VesselogError as error:
            failure = error
        assert replayed == stored
        assert [chunk.raw for chunk in replayed] == [chunk.raw for chunk in stored]
        assert described(failure) == described(self.error)
        assert again.completion == call.completion()
        assert asyncio.run(_replayed(self.path)) == stored
        return self


async def _replayed(path: Path) -> list[StreamChunk]:
    chunks: list[StreamChunk] = []
    try:
        async for chunk in replay(path, speed="max"):
            chunks.append(chunk)  # noqa: PERF401 - kept when an error ends the loop
    except VesselogError:
        pass
    return chunks


def described(error: VesselogError | None) -> object:
    """What makes two errors the same for a caller."""
    if error is None:
        return None
    partial = error.completion
    return (type(error), error.message, error.phase, error.status, error.code, error.seq, partial)


def timeless(completion: Completion) -> dict[str, Any]:
    """A completion without times, names and numbers of the run; extra stays but for its times."""
    kept = completion.model_dump(exclude=_OF_THE_RUN)
    for said in (kept, *kept["choices"]):
        said["extra"].pop("created", None)
    headers = {
        name: value
        for name, value in completion.headers.items()
        if name not in {"date", "content-length"}  # times are written with more or fewer digits
    }
    return {**kept, "headers": headers}


@dataclass(frozen=True)
class Place:
    """A server by one of its dialects. vessel: gives the vessel to ask it for a model."""

    name: Literal["ollama", "ollama-v1", "llama"]
    vessel: Callable[[str], Vessel]


@dataclass(frozen=True)
class Ask:
    """Asks by the sync or the async client, and records in `folder`."""

    mode: Literal["sync", "async"]
    folder: Path

    def stream(
        self,
        vessel: Vessel,
        model: str,
        messages: Any = None,
        *,
        react: React | None = None,
        timeouts: Timeouts | None = None,
        **fields: Any,
    ) -> Heard:
        """The answer in chunks, as far as it came."""
        address = f"{vessel.name}/{model}"
        told = react or (lambda stream, chunks: None)
        chunks: list[StreamChunk] = []
        error: VesselogError | None = None
        if self.mode == "sync":
            with Client(recordings=self.folder, vessels={vessel.name: vessel}) as client:
                stream = client.stream(address, messages, timeouts=timeouts, **fields)
                try:
                    with stream:
                        for chunk in stream:
                            chunks.append(chunk)
                            told(stream, chunks)
                except VesselogError as problem:
                    error = problem
            return _heard(stream, chunks, error)

        async def run() -> Heard:
            error: VesselogError | None = None
            vessels = {vessel.name: vessel}
            async with AsyncClient(recordings=self.folder, vessels=vessels) as client:
                stream = client.stream(address, messages, timeouts=timeouts, **fields)
                try:
                    async with stream:
                        async for chunk in stream:
                            chunks.append(chunk)
                            told(stream, chunks)
                except VesselogError as problem:
                    error = problem
            return _heard(stream, chunks, error)

        return asyncio.run(run())

    def complete(self, vessel: Vessel, model: str, messages: Any = None, **fields: Any) -> Heard:
        """The answer in one piece. Raises what goes wrong."""
        address = f"{vessel.name}/{model}"
        settings: Any = {"recordings": self.folder, "vessels": {vessel.name: vessel}}
        if self.mode == "sync":
            with Client(**settings) as client:
                completion = client.complete(address, messages, **fields)
        else:

            async def run() -> Completion:
                async with AsyncClient(**settings) as client:
                    return await client.complete(address, messages, **fields)

            completion = asyncio.run(run())
        return Heard(completion, None, None, self.folder / f"{completion.session}.jsonl")

    def hear(
        self, vessel: Vessel, model: str, messages: Any = None, *, streamed: bool, **fields: Any
    ) -> Heard:
        """The answer, either way. Raises what goes wrong."""
        if not streamed:
            return self.complete(vessel, model, messages, **fields)
        heard = self.stream(vessel, model, messages, **fields)
        if heard.error is not None:
            raise heard.error
        return heard

    def models(self, vessel: Vessel) -> list[Any]:
        """The server's models."""
        if self.mode == "sync":
            with Client(recordings=None, vessels={vessel.name: vessel}) as client:
                return client.models(vessel.name)

        async def run() -> list[Any]:
            async with AsyncClient(recordings=None, vessels={vessel.name: vessel}) as client:
                return await client.models(vessel.name)

        return asyncio.run(run())

    def server_version(self, vessel: Vessel) -> str:
        """The server's version."""
        if self.mode == "sync":
            with Client(recordings=None, vessels={vessel.name: vessel}) as client:
                return client.server_version(vessel.name)

        async def run() -> str:
            async with AsyncClient(recordings=None, vessels={vessel.name: vessel}) as client:
                return await client.server_version(vessel.name)

        return asyncio.run(run())


def _heard(
    stream: Stream | AsyncStream, chunks: list[StreamChunk], error: VesselogError | None
) -> Heard:
    assert stream.path is not None
    return Heard(stream.completion, chunks, error, stream.path)
