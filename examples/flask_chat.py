"""A chat backend on Flask: answers POST /chat {"message": …} with server-sent events.

    pip install vesselog flask
    flask --app examples/flask_chat.py run

CHAT_MODEL       the model, as vessel/model (default: ollama/qwen3:1.7b)
CHAT_RECORDINGS  the folder for the recordings (default: recordings)

One client serves all threads of the process. A server that forks its workers, such as gunicorn,
must import this file in each worker: do not use its --preload.

The events have ids, `<session>:<call>:<seq>`. Whoever knows a session's name may stop its answer
and read it again; nobody can guess one.
"""

from __future__ import annotations

import os

from flask import Flask, Response, request

import vesselog
from vesselog.server import EventBytes, EventId

MODEL = os.environ.get("CHAT_MODEL", "ollama/qwen3:1.7b")
RECORDINGS = os.environ.get("CHAT_RECORDINGS", "recordings")

app = Flask(__name__)
client = vesselog.Client(recordings=RECORDINGS)


@app.post("/chat")
def chat() -> Response:
    """Answer one question. When the server notices that the browser left, generation stops."""
    match request.get_json():
        case {"message": str(message)} if message:
            body = EventBytes(client.stream(MODEL, message))
            return Response(body, body.status, body.headers)
        case _:
            return Response("There is no message.", 422, mimetype="text/plain")


@app.post("/sessions/<session>/stop")
def stop(session: str) -> Response:
    """Stop an answer of this process."""
    return Response(status=204 if client.stop(session) else 409)


@app.get("/sessions/<session>")
def resume(session: str) -> Response:
    """What follows the event in Last-Event-ID, of an answer that may still be written."""
    last = EventId.parse(request.headers.get("Last-Event-ID", f"{session}:1:-1"))
    if last.seq is None:
        return Response(status=204)
    path = client.recording(session).path
    body = EventBytes(vesselog.follow(path, call=last.call, after=last.seq))
    return Response(body, body.status, body.headers)


@app.errorhandler(vesselog.RecordingError)
def missing(_: vesselog.RecordingError) -> Response:
    """There is no such session or call."""
    return Response(status=404)


@app.errorhandler(vesselog.UsageError)
def refused(_: vesselog.UsageError) -> Response:
    """A name or a number that cannot be."""
    return Response(status=400)
