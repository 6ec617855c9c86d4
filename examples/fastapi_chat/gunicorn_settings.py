"""Settings for gunicorn.

    pip install gunicorn uvicorn-worker
    gunicorn -c examples/fastapi_chat/gunicorn_settings.py app:app

A worker that is told to stop waits 10 seconds for running answers, then ends each with a last event
and an `end` line. Without `post_worker_init` it would wait until gunicorn kills it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

pythonpath = str(Path(__file__).parent)  # of app.py
worker_class = "uvicorn_worker.UvicornWorker"
workers = 4
graceful_timeout = 30  # seconds after which a worker that is told to stop is killed


def post_worker_init(worker: Any) -> None:
    """Tell uvicorn how long a worker may take to stop: gunicorn does not."""
    worker.config.timeout_graceful_shutdown = 10
