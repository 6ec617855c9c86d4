"""A chat backend on Flask: answers POST /chat {"message": …} with server-sent events.

    pip install vesselog flask
    flask --app examples/flask_chat.py run

CHAT_MODEL       the model, as vessel/model (default: ollama/qwen3:1.7b)
CHAT_RECORDINGS  the folder for the recordings (default: recordings)

One client serves all threads of the process. A server that forks its workers, such as gunicorn,
must import this file in each worker: do not use its --preload.
"""

from __future__ import annotations

import os

from flask import Flask, Response, request

import vesselog
from vesselog.server import EventBytes

MODEL = os.environ.get("CHAT_MODEL", "ollama/qwen3:1.7b")
RECORDINGS = os.environ.get("CHAT_RECORDINGS", "recordings")

app = Flask(__name__)
client = vesselog.Client(recordings=RECORDINGS)


@app.post("/chat")
def chat() -> Response:
    """Answer one question. When the server notices that the browser left, generation stops."""
    body = EventBytes(client.stream(MODEL, str(request.get_json()["message"])))
    return Response(body, body.status, body.headers)
