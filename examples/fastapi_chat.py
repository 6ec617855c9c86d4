"""A chat backend: answers POST /chat {"message": …} with server-sent events, and records it.

    pip install "fastapi>=0.135" uvicorn
    uvicorn --app-dir examples fastapi_chat:app

CHAT_MODEL       the model, as vessel/model (default: ollama/qwen3:1.7b). The vessel reads the
                 server's address and key from variables such as OLLAMA_HOST and OPENAI_API_KEY.
CHAT_ORIGINS     the origins that may call from a browser, separated by spaces (default: none)
CHAT_RECORDINGS  the folder for the recordings (default: recordings)

The pieces of the answer are `message` events, {"text": …}. A failure is an `error` event. The last
event is always `end`, {"outcome": …}; an answer without it is incomplete.
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
    """What the browser sends. Anything else is answered with 422."""

    message: str = Field(min_length=1, max_length=100_000)


class State(TypedDict):
    """Objects that exist as long as the process."""

    client: vesselog.AsyncClient


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncGenerator[State]:
    """Open one client, with one connection pool, for the whole process."""
    async with vesselog.AsyncClient(recordings=RECORDINGS) as client:
        yield {"client": client}


app = FastAPI(lifespan=lifespan)
app.add_middleware(
    CORSMiddleware, allow_origins=ORIGINS, allow_methods=["POST"], allow_headers=["content-type"]
)


@app.post("/chat", response_class=EventSourceResponse)
async def chat(question: Question, request: Request) -> AsyncIterator[ServerSentEvent]:
    """Answer one question. If the browser disconnects, generation is cancelled."""
    client: vesselog.AsyncClient = request.state.client
    outcome: str | None = "error"
    try:
        async with client.stream(MODEL, question.message) as stream:
            async for chunk in stream:
                if chunk.text:
                    yield ServerSentEvent(data={"text": chunk.text})
        outcome = stream.outcome
    except vesselog.VesselogError as error:
        # Addresses, HTTP statuses and the provider's message go to the log; the browser learns only
        # whether to try again.
        LOGGER.warning("%s in session %s: %s", type(error).__name__, error.session, error)
        data = {"error": "The model could not answer.", "retryable": error.retryable}
        yield ServerSentEvent(event="error", data=data)
    yield ServerSentEvent(event="end", data={"outcome": outcome})
