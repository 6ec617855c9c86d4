"""A Starlette application that answers with EventStream, and a model that waits to be left."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from loopback import Conversation, LoopbackServer, ollama_lines
from vesselog import AsyncClient, Retries
from vesselog.server import EventStream
from vesselog.vessels import Ollama, OpenAI

__all__ = ["Respond", "app_of", "hangs", "streaming"]

Respond = Callable[[AsyncClient, Request], Response]


def app_of(
    model: LoopbackServer | None,
    folder: Path | None,
    respond: Respond,
    more: Callable[[AsyncClient], Sequence[BaseRoute]] = lambda _: (),
    **settings: Any,
) -> Starlette:
    """An application that answers with what `respond` gives. more: its other routes."""
    url = "http://127.0.0.1:9" if model is None else model.url
    client = AsyncClient(
        recordings=folder,
        environment={},
        retries=Retries(count=0),
        vessels={"lab": Ollama(base_url=url), "open": OpenAI(base_url=url)},
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with client:
            yield

    async def answer(request: Request) -> Response:
        return respond(client, request)

    methods = ["GET", "POST"]
    routes = [Route(path, answer, methods=methods) for path in ("/", "/chat/completions")]
    return Starlette(routes=[*routes, *more(client)], lifespan=lifespan, **settings)


def streaming(protocol: Any = "vesselog", model: str = "lab/m", **settings: Any) -> Respond:
    """Answers in the session "s"."""

    def respond(client: AsyncClient, _: Request) -> Response:
        return EventStream(client.stream(model, "hi", session="s"), protocol, **settings)

    return respond


def hangs(begun: threading.Event, left: threading.Event) -> Callable[[Conversation], None]:
    """A model that sends one piece and then waits for its client to leave."""

    def script(talk: Conversation) -> None:
        talk.head()
        talk.chunk(ollama_lines("One")[0])
        begun.set()
        talk.wait_for_hangup()
        left.set()

    return script
