"""Other people's clients, each as its documentation shows it, reading the text of every chunk.

An async peer is opened with the address of a model server and gives `ask`, which reads one stream
and calls `seen` with each piece of text. A sync peer does the same in the thread that asks. None of
them records anything, but for one loop that writes each line to a file. Each imports its library
itself: the others need not be installed.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from contextlib import asynccontextmanager as opened_async
from contextlib import contextmanager as opened
from typing import Any
from urllib.parse import urlsplit

from sample_answer import MODEL

__all__ = ["API_KEY", "ASYNC_PEERS", "PROMPT", "SYNC_PEERS", "Ask", "AsyncAsk", "Seen"]

Seen = Callable[[str], None]
Ask = Callable[[Seen], None]
AsyncAsk = Callable[[Seen], Awaitable[None]]
AsyncPeer = Callable[[str], AbstractAsyncContextManager[AsyncAsk]]
SyncPeer = Callable[[str], AbstractContextManager[Ask]]

API_KEY = "sk-benchmark-0123456789abcdef"
PROMPT = "Why is the sky blue?"
_MESSAGES: Any = [{"role": "user", "content": PROMPT}]
_BODY = {
    "model": MODEL,
    "messages": _MESSAGES,
    "stream": True,
    "stream_options": {"include_usage": True},
}
_HEADERS = {"authorization": f"Bearer {API_KEY}"}
_SECONDS = 300.0


@opened_async
async def barest(address: str) -> AsyncGenerator[AsyncAsk]:
    """The least that Python can do: an asyncio protocol, llhttp, orjson. No errors, no pool."""
    import httptools
    import orjson

    parts = urlsplit(f"{address}/v1/chat/completions")
    host, port = parts.hostname or "", parts.port or 80
    body = orjson.dumps(_BODY)
    request = (
        f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\n"
        f"authorization: Bearer {API_KEY}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    ).encode() + body

    class Reader(asyncio.Protocol):
        def __init__(self, seen: Seen) -> None:
            self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._seen = seen
            self._parser = httptools.HttpResponseParser(self)
            self._rest = b""

        def connection_made(self, transport: Any) -> None:
            transport.write(request)

        def data_received(self, data: bytes) -> None:
            self._parser.feed_data(data)

        def on_body(self, body: bytes) -> None:
            *events, self._rest = (self._rest + body).split(b"\n\n")
            for event in events:
                if event != b"data: [DONE]":
                    choices = orjson.loads(event[6:])["choices"]
                    if choices and (text := choices[0]["delta"].get("content")):
                        self._seen(text)

        def on_message_complete(self) -> None:
            self.over.set_result(None)

    async def ask(seen: Seen) -> None:
        loop = asyncio.get_running_loop()
        transport, reader = await loop.create_connection(lambda: Reader(seen), host, port)
        await reader.over
        transport.close()

    yield ask


@opened_async
async def httpx_loop(address: str) -> AsyncGenerator[AsyncAsk]:
    """The loop that tutorials show: httpx, httpx-sse, json.loads."""
    import httpx
    from httpx_sse import aconnect_sse

    url = f"{address}/v1/chat/completions"
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=_SECONDS, limits=limits, headers=_HEADERS) as client:

        async def ask(seen: Seen) -> None:
            async with aconnect_sse(client, "POST", url, json=_BODY) as source:
                async for event in source.aiter_sse():
                    if event.data == "[DONE]":
                        break
                    choices = json.loads(event.data)["choices"]
                    if choices and (text := choices[0]["delta"].get("content")):
                        seen(text)

        yield ask


@opened
def httpx_sync_loop(address: str) -> Generator[Ask]:
    """The loop that tutorials show, with the sync client."""
    import httpx
    from httpx_sse import connect_sse

    url = f"{address}/v1/chat/completions"
    limits = httpx.Limits(max_connections=None)
    with httpx.Client(timeout=_SECONDS, limits=limits, headers=_HEADERS) as client:

        def ask(seen: Seen) -> None:
            with connect_sse(client, "POST", url, json=_BODY) as source:
                for event in source.iter_sse():
                    if event.data == "[DONE]":
                        break
                    choices = json.loads(event.data)["choices"]
                    if choices and (text := choices[0]["delta"].get("content")):
                        seen(text)

        yield ask


@opened_async
async def aiohttp_loop(address: str) -> AsyncGenerator[AsyncAsk]:
    """aiohttp, line by line, json.loads."""
    async with _aiohttp_session() as session:

        async def ask(seen: Seen) -> None:
            async with session.post(f"{address}/v1/chat/completions", json=_BODY) as response:
                async for line in response.content:
                    if not line.startswith(b"data: ") or line == b"data: [DONE]\n":
                        continue
                    choices = json.loads(line[6:])["choices"]
                    if choices and (text := choices[0]["delta"].get("content")):
                        seen(text)

        yield ask


@opened_async
async def aiohttp_loop_with_file(address: str) -> AsyncGenerator[AsyncAsk]:
    """The same loop, which first writes each line, with its time, to a file: nothing buffered.

    It is the least that recording takes: no checksum, no decoded chunk, and no outcome.
    """
    import orjson

    with tempfile.TemporaryDirectory() as folder:
        async with _aiohttp_session() as session:

            async def ask(seen: Seen) -> None:
                async with session.post(f"{address}/v1/chat/completions", json=_BODY) as response:
                    with tempfile.NamedTemporaryFile(dir=folder, buffering=0) as file:
                        async for line in response.content:
                            if not line.startswith(b"data: ") or line == b"data: [DONE]\n":
                                continue
                            record = {"t": time.time_ns(), "raw": line.decode()}
                            file.write(orjson.dumps(record) + b"\n")
                            choices = json.loads(line[6:])["choices"]
                            if choices and (text := choices[0]["delta"].get("content")):
                                seen(text)

            yield ask


def _aiohttp_session() -> Any:
    import aiohttp

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=_SECONDS),
        headers=_HEADERS,
    )


@opened_async
async def openai_sdk(address: str) -> AsyncGenerator[AsyncAsk]:
    """The official openai SDK."""
    import openai

    async with openai.AsyncOpenAI(
        base_url=f"{address}/v1", api_key=API_KEY, timeout=_SECONDS
    ) as client:

        async def ask(seen: Seen) -> None:
            stream = await client.chat.completions.create(
                model=MODEL,
                messages=_MESSAGES,
                stream=True,
                stream_options={"include_usage": True},
            )
            async for chunk in stream:
                if chunk.choices and (text := chunk.choices[0].delta.content):
                    seen(text)

        yield ask


@opened_async
async def ollama_sdk(address: str) -> AsyncGenerator[AsyncAsk]:
    """The official ollama SDK, in its own dialect."""
    import ollama

    client: Any = ollama.AsyncClient(host=address, timeout=_SECONDS)

    async def ask(seen: Seen) -> None:
        async for part in await client.chat(model=MODEL, messages=_MESSAGES, stream=True):
            if text := part.message.content:
                seen(text)

    yield ask


@opened_async
async def httpx_ndjson_loop(address: str) -> AsyncGenerator[AsyncAsk]:
    """The loop that tutorials show for Ollama: httpx's lines, json.loads."""
    import httpx

    body = {"model": MODEL, "messages": _MESSAGES, "stream": True}
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=_SECONDS, limits=limits) as client:

        async def ask(seen: Seen) -> None:
            async with client.stream("POST", f"{address}/api/chat", json=body) as response:
                async for line in response.aiter_lines():
                    if text := json.loads(line)["message"]["content"]:
                        seen(text)

        yield ask


@opened_async
async def litellm_sdk(address: str) -> AsyncGenerator[AsyncAsk]:
    """litellm."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or it asks the network for prices
    import litellm

    async def ask(seen: Seen) -> None:
        stream: Any = await litellm.acompletion(
            model=f"openai/{MODEL}",
            api_base=f"{address}/v1",
            api_key=API_KEY,
            messages=_MESSAGES,
            stream=True,
            stream_options={"include_usage": True},
            timeout=_SECONDS,
        )
        async for chunk in stream:
            if chunk.choices and (text := chunk.choices[0].delta.content):
                seen(text)

    yield ask


@opened_async
async def pydantic_ai_sdk(address: str) -> AsyncGenerator[AsyncAsk]:
    """pydantic-ai's request to a model, without an agent."""
    from pydantic_ai.direct import model_request_stream
    from pydantic_ai.messages import (
        ModelRequest,
        PartDeltaEvent,
        PartStartEvent,
        TextPart,
        TextPartDelta,
    )
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    provider = OpenAIProvider(base_url=f"{address}/v1", api_key=API_KEY)
    model = OpenAIChatModel(MODEL, provider=provider)

    async def ask(seen: Seen) -> None:
        messages = [ModelRequest.user_text_prompt(PROMPT)]
        async with model_request_stream(model, messages) as events:
            async for event in events:
                match event:
                    case PartStartEvent(part=TextPart(content=text)) if text:
                        seen(text)
                    case PartDeltaEvent(delta=TextPartDelta(content_delta=text)):
                        seen(text)
                    case _:
                        pass

    yield ask


ASYNC_PEERS: dict[str, AsyncPeer] = {
    "barest": barest,
    "httpx": httpx_loop,
    "httpx-ndjson": httpx_ndjson_loop,
    "aiohttp": aiohttp_loop,
    "aiohttp-file": aiohttp_loop_with_file,
    "openai": openai_sdk,
    "ollama": ollama_sdk,
    "litellm": litellm_sdk,
    "pydantic-ai": pydantic_ai_sdk,
}
SYNC_PEERS: dict[str, SyncPeer] = {"httpx-sync": httpx_sync_loop}
