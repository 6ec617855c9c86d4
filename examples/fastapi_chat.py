"""A chat backend: POST /chat {"message": …}, answered by server-sent events while it is recorded.

    pip install "fastapi>=0.135" uvicorn
    uvicorn --app-dir examples fastapi_chat:app

CHAT_MODEL       whom to ask, as vessel/model (ollama/qwen3:1.7b); the vessel's own variables, as
                 OLLAMA_HOST or OPENAI_API_KEY, say where its server is
CHAT_ORIGINS     the pages that may call from a browser, separated by spaces (none)
CHAT_RECORDINGS  the folder of the recordings (recordings)

The answer's pieces are `message` events, {"text": …}. What goes wrong is told by an `error` event.
The last event is always `end`, {"outcome": …}: an answer without it is not whole.
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, Field

import vesselog

MODEL = os.environ.get("CHAT_MODEL", "ollama/qwen3:1.7b")
ORIGINS = os.environ.get("CHAT_ORIGINS", "").split()
RECORDINGS = os.environ.get("CHAT_RECORDINGS", "recordings")

LOGGER = logging.getLogger("uvicorn.error")


class Question(BaseModel):
    """What the browser sends. Anything else is answered by 422."""

    message: str = Field(min_length=1, max_length=100_000)


class State(TypedDict):
    """What lives as long as the process."""

    client: vesselog.AsyncClient


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncGenerator[State]:
    """One client for the process: one connection pool, closed at the end."""
    async with vesselog.AsyncClient(recordings=RECORDINGS) as client:
        yield {"client": client}


app = FastAPI(lifespan=lifespan)
app.add_middleware(
    CORSMiddleware, allow_origins=ORIGINS, allow_methods=["POST"], allow_headers=["content-type"]
)


@app.post("/chat", response_class=EventSourceResponse)
async def chat(question: Question, request: Request) -> AsyncIterator[ServerSentEvent]:
    """Answer one question. When the browser leaves, generation is cancelled."""
    client: vesselog.AsyncClient = request.state.client
    outcome: str | None = "error"
    try:
        async with client.stream(MODEL, question.message) as stream:
            async for chunk in stream:
                if chunk.text:
                    yield ServerSentEvent(data={"text": chunk.text})
        outcome = stream.outcome
    except vesselog.VesselogError as error:
        # Addresses, statuses and the provider's words are for the log; the browser learns only
        # whether it is worth asking again.
        LOGGER.warning("%s in session %s: %s", type(error).__name__, error.session, error)
        told = {"error": "The model could not answer.", "retryable": error.retryable}
        yield ServerSentEvent(event="error", data=told)
    yield ServerSentEvent(event="end", data={"outcome": outcome})
