"""A chat backend: answers POST /chat {"message": …} with server-sent events, and records it.

    pip install "vesselog[server]" "fastapi>=0.135"
    uvicorn --app-dir examples fastapi_chat:app

CHAT_MODEL       the model, as vessel/model (default: ollama/qwen3:1.7b). The vessel reads the
                 server's address and key from variables such as OLLAMA_HOST and OPENAI_API_KEY.
CHAT_ORIGINS     the origins that may call from a browser, separated by spaces (default: none)
CHAT_RECORDINGS  the folder for the recordings (default: recordings)

The pieces of the answer are `chunk` events. The last event is `end` or `error`; an answer without
one of them is incomplete.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from pydantic import BaseModel, Field

import vesselog
from vesselog.server import EventStream

MODEL = os.environ.get("CHAT_MODEL", "ollama/qwen3:1.7b")
ORIGINS = os.environ.get("CHAT_ORIGINS", "").split()
RECORDINGS = os.environ.get("CHAT_RECORDINGS", "recordings")


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


@app.post("/chat")
async def chat(question: Question, request: Request) -> EventStream:
    """Answer one question. If the browser disconnects, generation is cancelled."""
    client: vesselog.AsyncClient = request.state.client
    return EventStream(client.stream(MODEL, question.message))
