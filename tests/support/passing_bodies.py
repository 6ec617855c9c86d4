"""Every captured body through a gateway: what the client gets, and what is recorded."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import cycle
from pathlib import Path

import httpx

from corpus import CAPTURES, MISSING, ROOT, WIRE, capture_body, wire_body
from gateways import gateway_to
from loopback import Conversation, LoopbackServer
from vesselog import Recording, verify
from vesselog.vessels import Anthropic, Gemini, Ollama, OpenAI, OpenAIResponses

__all__ = ["BODIES", "not_passed"]

ROUTES = {
    "ollama": "/api/chat",
    "openai": "/v1/chat/completions",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/m:streamGenerateContent?alt=sse",
}
TYPES = {".sse": "text/event-stream", ".ndjson": "application/x-ndjson", ".json": ""}
# How many bytes a read of the upstream's body has.
SIZES = cycle([1, 7, 100, 1 << 20])


def cases() -> Iterator[tuple[str, int, str, str, bytes]]:
    """Of each body: its name, status, content type, route and bytes."""
    for name in WIRE:
        body = wire_body(name)
        yield name, body.status, body.content_type, ROUTES[body.dialect], body.content
    for path in CAPTURES:
        route, body = capture_body(path)
        name = str(path.relative_to(ROOT))
        yield name, body.status, body.content_type, route or "/v1/models", body.content
    for path in sorted((ROOT / "cases").iterdir()):
        if path.suffix in TYPES:
            status = re.search(r"\.(\d{3})\.", path.name)
            dialect = next((each for each in ROUTES if f".{each}." in path.name), "openai")
            kind = TYPES[path.suffix] or "application/json"
            number = int(status[1]) if status else 200
            yield path.name, number, kind, ROUTES[dialect], path.read_bytes()


BODIES = {name: case for name, *case in cases()} if not MISSING else {}


def play(conversation: Conversation) -> None:
    status, kind, _, content = BODIES[conversation.request.headers["x-body"]]
    conversation.head(status, content_type=kind)
    size = max(next(SIZES), len(content) // 30 + 1)
    for at in range(0, len(content), size):
        conversation.chunk(content[at : at + size])
    conversation.end()


def not_passed(names: Iterable[str], folder: Path, *, stream: bool) -> list[str]:
    """Those of the bodies that a client got otherwise than the upstream sent them."""
    failed: list[str] = []
    with LoopbackServer([play]) as server:
        vessels = {
            "ollama": Ollama(base_url=server.url),
            "openai": OpenAI(base_url=f"{server.url}/v1"),
            "by-item": OpenAIResponses(base_url=f"{server.url}/v1"),
            "anthropic": Anthropic(base_url=server.url),
            "gemini": Gemini(base_url=server.url),
        }
        with gateway_to(folder, vessels) as http:
            for name in names:
                status, kind, route, content = BODIES[name]
                answer = ask(http, route, name, stream=stream)
                same = (answer.status_code, answer.content) == (status, content)
                if not same or answer.headers["content-type"] != kind:
                    failed.append(name)
                    continue
                path = folder / f"{answer.headers['x-vesselog-session']}.jsonl"
                if recorded(path) != content:
                    failed.append(f"{name} in its recording")
                report = verify(path)
                if not report.ok or report.drifting or report.decoded != 1:
                    failed.append(f"{name} decoded again: {report.findings}")
    return failed


def ask(http: httpx.Client, route: str, name: str, *, stream: bool) -> httpx.Response:
    body = {"model": "m", "stream": stream, "messages": [{"role": "user", "content": "x"}]}
    if route.endswith(("/tags", "/models", "/version", "/props", "/health")):
        return http.get(route, headers={"x-body": name})
    return http.post(route, content=json.dumps(body), headers={"x-body": name})


def recorded(path: Path) -> bytes:
    return b"".join(frame.raw for frame in Recording(path).frames())
