"""One way to drive the sync and the async client, plain and fast, from a plain sync test.

The async client gets an event loop in a thread of its own, so that a test can cancel, wait and look
from outside, for both clients alike.
"""

from __future__ import annotations

import asyncio
import inspect
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing, closing, contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, TypeVar

import pytest

from loopback import LoopbackServer
from patience import PATIENCE
from vesselog import (
    AsyncClient,
    AsyncStream,
    Client,
    Recording,
    Stream,
    StreamChunk,
    VerifyReport,
    verify,
)
from vesselog.core.truth.recording import RecordedCall
from vesselog.vessels.ollama import Ollama
from vesselog.vessels.openai import OpenAI

__all__ = [
    "KINDS",
    "Heard",
    "Talker",
    "at_once",
    "every_client",
    "every_client_at_once",
    "every_dialect",
    "talking",
]

KINDS = ("sync", "sync-fast", "async", "fast")
every_client = pytest.mark.parametrize("kind", KINDS)


def at_once(*kinds: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Run a test for each `kind`, all at the same time: for tests that mostly wait."""

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @wraps(test)
        def all_kinds(*arguments: Any, **given: Any) -> None:
            with ThreadPoolExecutor(len(kinds)) as threads:
                runs = {
                    kind: threads.submit(test, *arguments, kind=kind, **given) for kind in kinds
                }
            for kind, run in runs.items():
                if error := run.exception():
                    error.add_note(f"kind: {kind}")
                    raise error

        signature = inspect.signature(test)
        shared = [each for name, each in signature.parameters.items() if name != "kind"]
        all_kinds.__signature__ = signature.replace(parameters=shared)  # type: ignore[attr-defined]
        return all_kinds

    return decorate


every_client_at_once = at_once(*KINDS)

# The same server as two vessels: "lab" speaks Ollama's dialect, "open" OpenAI's.
MODELS = {"ollama": "lab/m", "openai": "open/m"}
every_dialect = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())

# Reading the system's certificates takes longer than most tests, of which few need any.
_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

AnyStream = Stream | AsyncStream
Result = TypeVar("Result")


@dataclass
class Heard:
    """A stream as its caller got it, to its end. report: of its recording, once it was checked."""

    stream: AnyStream
    chunks: list[StreamChunk] = field(default_factory=list)
    error: BaseException | None = None
    report: VerifyReport | None = None

    @property
    def text(self) -> str:
        return "".join(chunk.text for chunk in self.chunks)

    @property
    def outcome(self) -> str | None:
        return self.stream.outcome

    @property
    def calls(self) -> list[RecordedCall]:
        """The calls in the recording, the stream's own one last."""
        assert self.stream.path is not None
        return list(Recording(self.stream.path).calls())

    def check(self, outcome: str, *, error: type[BaseException] | None = None) -> Heard:
        """It ended once, like this, and the recording says the same."""
        assert type(self.error) is (error or type(None)), repr(self.error)
        assert self.stream.outcome == outcome
        assert self.stream.completion.outcome == outcome
        assert self.stream.completion.text == self.text
        assert self.stream.path is not None
        self.report = verify(self.stream.path)
        assert self.report.ok, self.report.findings
        call = next(call for call in self.calls if call.number == self.stream.call)
        ends = [line for line in call.lines() if line["type"] == "end"]
        assert len(ends) == 1
        assert call.outcome == outcome
        stored = list(call.chunks())
        assert stored[: len(self.chunks)] == self.chunks
        if outcome != "cancelled":
            assert len(stored) == len(self.chunks)
        return self


class Talker:
    """A client of one kind."""

    def __init__(self, kind: str, **settings: Any) -> None:
        self.kind = kind
        self._loop = None if kind.startswith("sync") else _Loop()
        kind_of_client = AsyncClient if self._loop else Client
        settings = {"fast": kind.endswith("fast"), **settings}
        try:
            self.client: Any = self._here(lambda: kind_of_client(**settings))
        except BaseException:
            if self._loop is not None:
                self._loop.end()
            raise

    def stream(self, model: str = "lab/m", messages: Any = "hi", **fields: Any) -> Any:
        """A stream that has not been opened."""
        return self._here(lambda: self.client.stream(model, messages, **fields))

    def begin(
        self,
        stream: Any,
        told: Callable[[StreamChunk], None] | None = None,
        *,
        opened: bool = False,
    ) -> Future[Heard]:
        """Open the stream, unless it is, and read it to its end, in the background."""
        heard = Heard(stream)

        def take(chunk: StreamChunk) -> None:
            heard.chunks.append(chunk)
            if told is not None:
                told(chunk)

        def listen() -> Heard:
            try:
                with closing(stream) if opened else stream:
                    for chunk in stream:
                        take(chunk)
            except Exception as error:  # noqa: BLE001 - looked at by the test
                heard.error = error
            return heard

        async def listen_async() -> Heard:
            try:
                async with aclosing(stream) if opened else stream:
                    async for chunk in stream:
                        take(chunk)
            except Exception as error:  # noqa: BLE001 - looked at by the test
                heard.error = error
            return heard

        return _in_thread(listen) if self._loop is None else self._loop.begin(listen_async())

    def hear(self, model: str = "lab/m", messages: Any = "hi", **fields: Any) -> Heard:
        """A stream, read to its end."""
        return self.begin(self.stream(model, messages, **fields)).result(PATIENCE)

    def complete(self, model: str = "lab/m", messages: Any = "hi", **fields: Any) -> Any:
        """The answer in one piece."""
        return self._call(lambda: self.client.complete(model, messages, **fields))

    def models(self, vessel: str = "lab") -> Any:
        return self._call(lambda: self.client.models(vessel))

    def server_version(self, vessel: str = "lab") -> Any:
        return self._call(lambda: self.client.server_version(vessel))

    def open(self, stream: Any) -> None:
        """What `with` does at its begin."""
        if self._loop is None:
            stream.__enter__()
        else:
            self._loop.begin(stream.__aenter__()).result(PATIENCE)

    def take(self, stream: Any, count: int) -> list[StreamChunk]:
        """The stream's next chunks."""
        if self._loop is None:
            return [next(stream) for _ in range(count)]

        async def take() -> list[StreamChunk]:
            return [await anext(stream) for _ in range(count)]

        return self._loop.begin(take()).result(PATIENCE)

    def leave(self, stream: Any) -> None:
        """What `with` does at its end."""
        if self._loop is None:
            stream.close()
        else:
            self._loop.begin(stream.aclose()).result(PATIENCE)

    def close(self) -> None:
        """Close the client."""
        if self._loop is None:
            self.client.close()
        else:
            self._loop.begin(self.client.aclose()).result(PATIENCE)

    def end(self) -> None:
        """Close the client; no task and no thread of it is left."""
        self.close()
        if self._loop is not None:
            self._loop.end()

    def _here(self, make: Callable[[], Result]) -> Result:
        return make() if self._loop is None else self._loop.call(make)

    def _call(self, ask: Callable[[], Any]) -> Any:
        if self._loop is None:
            return ask()

        async def run() -> Any:
            return await ask()

        return self._loop.begin(run()).result(PATIENCE)


class _Loop:
    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def begin(self, task: Awaitable[Result]) -> Future[Result]:
        async def run() -> Result:
            return await task

        return asyncio.run_coroutine_threadsafe(run(), self._loop)

    def call(self, function: Callable[[], Result]) -> Result:
        async def run() -> Result:
            return function()

        return self.begin(run()).result(PATIENCE)

    def end(self) -> None:
        async def others() -> list[Any]:
            return [each for each in asyncio.all_tasks() if each is not asyncio.current_task()]

        # What only waits for its next turn, as a connection's last goodbye does, may have it.
        for _ in range(10):
            left = self.begin(others()).result(PATIENCE)
            if not left:
                break
        self.begin(self._loop.shutdown_default_executor()).result(PATIENCE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()
        assert not left, left


def _in_thread(function: Callable[[], Result]) -> Future[Result]:
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # noqa: BLE001 - handed to who waits
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


@contextmanager
def talking(
    kind: str, server: LoopbackServer | str | None = None, **settings: Any
) -> Iterator[Talker]:
    """A client of this kind whose vessels "lab" and "open" are both the given server."""
    url = server.url if isinstance(server, LoopbackServer) else server
    vessels = {} if url is None else {"lab": Ollama(base_url=url), "open": OpenAI(base_url=url)}
    made = {"vessels": vessels, "environment": {}, "ssl_context": _NOBODY, **settings}
    talker = Talker(kind, **made)
    try:
        yield talker
    finally:
        talker.end()
