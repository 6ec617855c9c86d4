"""A chat with a page: answers stream, survive a reload, and are kept.

    pip install "vesselog[server]" "fastapi>=0.135"
    uvicorn --app-dir examples/fastapi_chat app:app

Then open http://127.0.0.1:8000. Programs use the same route: POST /chat {"message": …} answers one
question with server-sent events.

CHAT_MODEL       the model, as vessel/model (default: ollama/qwen3:1.7b). The vessel reads the
                 server's address and key from variables such as OLLAMA_HOST and OPENAI_API_KEY.
CHAT_ORIGINS     the origins that may call from a browser, separated by spaces (default: none)
CHAT_RECORDINGS  the folder for the recordings (default: recordings)
CHAT_PAGE        the folder of another page to serve, such as examples/react_chat/dist

A conversation is one recording. Its name begins with the user, so `authorize` needs no database.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypedDict

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field

import vesselog
from vesselog.server import EventStream, session_in_use, sessions_app
from vesselog.server.protocols import ProtocolName

MODEL = os.environ.get("CHAT_MODEL", "ollama/qwen3:1.7b")
ORIGINS = os.environ.get("CHAT_ORIGINS", "").split()
RECORDINGS = os.environ.get("CHAT_RECORDINGS", "recordings")
PAGE = os.environ.get("CHAT_PAGE", Path(__file__).parent / "page")
USER = "chat_user"  # the cookie with which a visitor is known


class Question(BaseModel):
    """What the browser sends. Anything else is answered with 422."""

    message: str = Field(min_length=1, max_length=100_000)
    session: str | None = Field(default=None, pattern=r"^[0-9a-f]{32}-[0-9a-f]{32}$")


class State(TypedDict):
    """Objects that exist as long as the process."""

    client: vesselog.AsyncClient


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[State]:
    """Open one client, with one connection pool, for the whole process."""
    async with vesselog.AsyncClient(recordings=RECORDINGS) as client:
        app.mount("/sessions", sessions_app(client, authorize=authorize))
        app.mount("/", StaticFiles(directory=PAGE, html=True))
        yield {"client": client}


app = FastAPI(lifespan=lifespan)
app.add_middleware(
    CORSMiddleware, allow_origins=ORIGINS, allow_methods=["POST"], allow_headers=["content-type"]
)


def prefix_of(secret: str) -> str:
    """How the names of this user's sessions begin."""
    return hashlib.sha256(secret.encode()).hexdigest()[:32] + "-"


def authorize(request: Request, session: str) -> bool:
    """Whether the user of this request may use this session. Use your own login here."""
    secret = request.cookies.get(USER)
    return secret is not None and session.startswith(prefix_of(secret))


@app.post("/conversations", status_code=201)
async def begin(request: Request, response: Response) -> dict[str, str]:
    """Name a new conversation, and a new visitor. Nothing is stored before the first question."""
    secret = request.cookies.get(USER)
    if not secret:
        secret, year = secrets.token_urlsafe(32), 365 * 86_400
        secure = request.url.scheme == "https"
        response.set_cookie(
            USER, secret, max_age=year, httponly=True, secure=secure, samesite="strict"
        )
    return {"session": prefix_of(secret) + secrets.token_hex(16)}


@app.post("/chat")
async def chat(
    question: Question, request: Request, protocol: ProtocolName = "vesselog"
) -> Response:
    """Answer one question, in a conversation or without one. protocol: how the answer is sent.

    In a conversation the answer goes on if the browser leaves; else generation is cancelled. One
    question of it is answered at a time: another one has status 409 meanwhile.
    """
    client: vesselog.AsyncClient = request.state.client
    if question.session is None:
        return EventStream(client.stream(MODEL, question.message), protocol)
    if not authorize(request, question.session):
        raise HTTPException(404, "no such conversation")
    if await asyncio.to_thread(session_in_use, client, question.session):
        busy = {"code": "session_in_use", "message": "Another answer of this conversation runs."}
        return JSONResponse({"error": busy}, 409)
    said = await asyncio.to_thread(history, client, question.session)
    stream = client.stream(
        MODEL,
        [*said, {"role": "user", "content": question.message}],
        session=question.session,
        meta={"title": question.message[:80]},
        split_think=True,  # what a model says between <think> tags is reasoning
    )
    return EventStream(stream, protocol, on_disconnect="detach")


def history(client: vesselog.AsyncClient, session: str) -> list[vesselog.Message]:
    """What was said before in this conversation."""
    if not Path(RECORDINGS, f"{session}.jsonl").exists():
        return []  # this is its first question
    return client.recording(session).messages()
