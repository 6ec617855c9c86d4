"""schemathesis makes up requests by the description of the routes: none of them fails the server.

Needs `pip install schemathesis`; VESSELOG_SCHEMATHESIS names its program where it is elsewhere, as
in .ci/run, which gives it an environment of its own: it brings a plugin for pytest.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway_description import DESCRIPTION
from loopback import Conversation, LoopbackServer
from patience import PATIENCE
from vesselog import AsyncClient, Retries
from vesselog.server import Gateway, replay_app
from vesselog.server.asgi import Application
from vesselog.server.guard import Guard
from vesselog.server.metrics import Metrics
from vesselog.server.operations import Operations
from vesselog.server.serving import Serving
from vesselog.vessels import Anthropic, Gemini, Ollama, OpenAI

PROGRAM = os.environ.get("VESSELOG_SCHEMATHESIS", "schemathesis")
EXAMPLES = int(os.environ.get("VESSELOG_TEST_EXAMPLES", "30"))
# Of one run, unless more examples are asked for.
SECONDS = "40" if "VESSELOG_TEST_EXAMPLES" not in os.environ else "3600"


def lenient(talk: Conversation) -> None:
    """Answer what it can; nothing of it is a server's error."""
    try:
        asked = json.loads(talk.request.body)
    except ValueError:
        asked = None
    known = ("/chat/completions", "/completions", "/api/chat", "/api/generate")
    path = talk.request.path.partition("?")[0]
    if isinstance(asked, dict) and talk.request.method == "POST" and path.endswith(known):
        talk.answer("Hi")
    elif path.endswith(("/models", "/api/tags")):
        talk.whole(b'{"models": [{"name": "m"}], "data": [{"id": "m"}]}')
    else:
        talk.whole(b'{"error": {"message": "no such thing", "type": "not_found"}}', 404)


@contextmanager
def served(app: Application) -> Iterator[str]:
    server = Serving(Guard(app), "127.0.0.1", 0)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server.url
    finally:
        server.stop()
        thread.join(PATIENCE)


def fuzz(url: str, folder: Path) -> subprocess.CompletedProcess[str]:
    if shutil.which(PROGRAM) is None:
        pytest.skip("schemathesis is not installed: no requests are made up by the description")
    description = folder / "openapi.json"
    description.write_text(json.dumps(DESCRIPTION))
    return subprocess.run(
        [
            *(PROGRAM, "run", str(description), "--url", url, "--checks", "not_a_server_error"),
            *("--max-examples", str(EXAMPLES), "--max-time", SECONDS, "--seed", "1"),
            *("--max-failures", "1", "--warnings", "off", "--generation-database", "none"),
            *("--suppress-health-check", "all", "--phases", "examples,coverage,fuzzing"),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def assert_never_failed(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:]
    counted = re.search(r"(\d+) generated", done.stdout)
    assert counted, done.stdout[-2_000:]
    assert int(counted[1]) > 500, "it asked hardly anything"


def test_a_server_that_fails_at_one_route_is_found(tmp_path: Path) -> None:
    async def failing(scope: Any, receive: Any, send: Any) -> None:
        status = 500 if scope["path"] == "/api/show" else 404
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    with served(failing) as url:
        done = fuzz(url, tmp_path)
    assert done.returncode == 1
    assert "/api/show" in done.stdout


def test_the_gateway_never_fails(tmp_path: Path) -> None:
    with LoopbackServer([lenient]) as upstream:
        vessels = {
            "openai": OpenAI(base_url=f"{upstream.url}/v1"),
            "ollama": Ollama(base_url=upstream.url),
            "anthropic": Anthropic(base_url=upstream.url, api_key="a-key-of-some-length"),
            "gemini": Gemini(base_url=upstream.url, api_key="a-key-of-some-length"),
        }
        client = AsyncClient(
            recordings=tmp_path / "recordings", vessels=vessels, retries=Retries(count=0)
        )
        metrics = Metrics()
        gateway = Gateway(client, vessels, environment={}, metrics=metrics)
        with served(Operations(gateway, metrics.text)) as url:
            assert_never_failed(fuzz(url, tmp_path))


def test_nor_does_the_replay_server(tmp_path: Path) -> None:
    samples = Path(__file__).parents[2] / "recordings/samples"
    app = replay_app([samples], 0, match="messages", repeat=True)
    with served(Operations(app, Metrics().text)) as url:
        assert_never_failed(fuzz(url, tmp_path))
