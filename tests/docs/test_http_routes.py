"""Checks docs/http-routes.md: its requests are sent, and no route and no code is missing."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from asgi_server import served_by_uvicorn
from gateways import gateway_of
from house import ROOT
from loopback import Conversation, LoopbackServer
from vesselog import AsyncClient
from vesselog.server import replay_app, sessions_app
from vesselog.server.gateway import own_answers, routes
from vesselog.server.guard import Guard
from vesselog.server.metrics import Metrics
from vesselog.server.operations import Operations
from vesselog.vessels import Ollama

PAGE = (ROOT / "docs/http-routes.md").read_text("utf-8")
TAGS = b'{"models": [{"name": "m", "size": 7, "modified_at": "2026-01-02T03:04:05Z"}]}'
HI = [{"role": "user", "content": "Hi"}]
CHAT = {"model": "m", "messages": HI, "max_tokens": 9}
GEMINI = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
PROMPT = {"model": "m", "prompt": "Hi"}
BODIES: dict[str, Any] = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": PROMPT,
    "/v1/responses": {"model": "m", "input": "Hi"},
    "/openai/deployments/NAME/chat/completions": CHAT,
    "/api/chat": {"model": "m", "messages": HI},
    "/api/generate": PROMPT,
    "/v1/messages": CHAT,
    "/v1/messages/count_tokens": CHAT,
    "/v1beta/models/MODEL:generateContent": GEMINI,
    "/v1beta/models/MODEL:streamGenerateContent?alt=sse": GEMINI,
}


def rows(section: str, columns: int = 3) -> list[list[str]]:
    """The rows of the tables of a section."""
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    lines = re.findall(r"^\|(.*)\|$", text, re.MULTILINE)
    cells = [[cell.strip() for cell in line.split(" | ")] for line in lines]
    known = {"request", "status", "parameter", "header"}
    return [
        row
        for row in cells
        if len(row) == columns and row[0] not in known and "-" * 3 not in row[0]
    ]


def requests_of(*sections: str) -> list[tuple[str, str, set[int]]]:
    """Method, path and statuses of each request in these sections."""
    found: list[tuple[str, str, set[int]]] = []
    for row in (row for section in sections for row in rows(section)):
        if (request := re.fullmatch(r"`([A-Z]+) (\S+)`", row[0])) is not None:
            statuses = {int(status) for status in row[1].split(", ")}
            found.append((request[1], request[2], statuses))
    return found


def ollama(conversation: Conversation) -> None:
    path = conversation.request.path
    if path == "/api/tags":
        conversation.whole(TAGS)
    elif path == "/api/version":
        conversation.whole(b'{"version": "0.12.0"}')
    elif conversation.request.method == "GET":
        conversation.whole(b'{"object": "list", "data": []}')
    elif conversation.request.json.get("stream") is False:
        conversation.whole(
            b'{"model":"m","message":{"role":"assistant","content":"Hi"},"response":"Hi",'
            b'"done":true,"done_reason":"stop"}'
        )
    else:
        conversation.answer("Hi")


@contextmanager
def serving(folder: Path) -> Iterator[httpx.Client]:
    """What `vesselog serve --upstream up=ollama` serves."""
    metrics = Metrics()
    with LoopbackServer([ollama] * 40) as upstream:
        gateway = gateway_of(folder, {"up": Ollama(base_url=upstream.url)}, metrics=metrics)
        with served_by_uvicorn(
            Guard(Operations(gateway, metrics.text)), log_level="critical"
        ) as http:
            yield http


def ask(http: httpx.Client, method: str, path: str) -> httpx.Response:
    body = BODIES.get(path)
    return http.request(
        method, path, json=body, headers={"x-vesselog-session": "chat-1"} if body else {}
    )


def test_each_request_of_the_gateway_gets_the_status_of_its_row(tmp_path: Path) -> None:
    with serving(tmp_path) as http:
        made = http.post("/v1/responses", json=BODIES["/v1/responses"]).json()["id"]
        http.post("/api/chat", json=BODIES["/api/chat"], headers={"x-vesselog-session": "NAME"})
        asked = requests_of(
            "Health and figures",
            "Answers of models",
            "Models, versions and counts",
            "Responses again",
            "Sessions",
        )
        assert len(asked) >= 25
        for method, path, statuses in asked:
            told = ask(http, method, path.replace("/ID", f"/{made}").replace("=N", "=0"))
            if path.endswith("/stop"):
                assert (told.status_code, told.json()["error"]["code"]) == (409, "not_running")
            else:
                assert told.status_code in statuses, (method, path, told.text)
            if path in BODIES and "count_tokens" not in path:
                assert told.headers["x-vesselog-call"], path
        assert http.post("/healthz").status_code == 405
        assert http.get("/sessions/OTHER").json() == {"error": {"code": "no_session"}}
        assert http.get("/sessions/NAME?speed=x").json()["error"]["code"] == "invalid_request"


def test_each_request_of_a_replay_gets_the_status_of_its_row(tmp_path: Path) -> None:
    with serving(tmp_path) as http:
        ask(http, "POST", "/api/chat")
    with served_by_uvicorn(replay_app([tmp_path])) as http:
        for method, path, statuses in requests_of("Replay"):
            assert ask(http, method, path).status_code in statuses, path
        missing = http.post("/v1/chat/completions", json=CHAT)
        assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_recorded")


def test_every_route_of_the_sessions_is_on_the_page(tmp_path: Path) -> None:
    told = {f"{method} {path}" for method, path, _ in requests_of("Sessions")}
    app = sessions_app(AsyncClient(recordings=tmp_path), authorize=lambda *_: True)
    assert isinstance(app, Starlette)
    there: set[str] = set()
    for route in [*app.routes, *gateway_of(tmp_path, {"up": Ollama()})._app.routes]:
        if isinstance(route, Mount):
            continue
        assert isinstance(route, Route)
        path = route.path.replace("{session}", "NAME")
        path = path if path.startswith("/sessions") else f"/sessions{path}"
        there |= {f"{method} {path}" for method in (route.methods or set()) - {"HEAD"}}
    assert told == there


def test_every_route_that_is_decoded_or_answered_here_is_on_the_page() -> None:
    told = [(method, path) for method, path, _ in requests_of("Answers of models")]
    for method, path in told:
        plain, _, query = path.partition("?")
        assert routes.route_of(method, plain, query, {}).decoded, path
    patterns = (routes._OPENAI, routes._OLLAMA, routes._ANTHROPIC, routes._GEMINI)
    known = {
        ending
        for pattern in patterns
        for ending in re.findall(r"[/:]\w+(?:/\w+)*(?=[|)](?!\?))", pattern.pattern)
    }
    assert known >= {"/chat/completions", "/api/generate", "/messages", ":generateContent"}
    assert [
        end for end in known if not any(path.partition("?")[0].endswith(end) for _, path in told)
    ] == []
    lists = {path for _, path, _ in requests_of("Models, versions and counts")}
    assert set(own_answers._LISTS) <= lists


def codes_in_the_code() -> set[tuple[int, str]]:
    """Status and code of each problem that the server makes."""
    found: set[tuple[int, str]] = set()
    for path in (ROOT / "server").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                values = [each.value for each in node.args if isinstance(each, ast.Constant)]
                if node.func.id in {"Problem", "_refused"} and len(values) >= 2:
                    found.add((values[0], values[1]))
                elif node.func.id == "invalid" and len(values) >= 2:  # behind the message
                    found.add((values[-2], values[-1]))
    return found


def test_every_error_is_on_the_page_and_exists() -> None:
    told = {
        (int(status), row[1].strip("`"))
        for section in ("Errors", "Sessions")
        for row in rows(section)
        if re.fullmatch(r"[\d, ]+", row[0])
        for status in row[0].split(", ")
    }
    there = codes_in_the_code()
    assert (401, "no_token") in there
    assert told == there


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"host": "evil.example"}, 403, "unknown_host"),
        ({"origin": "https://evil.example"}, 403, "foreign_origin"),
        ({"x-vesselog-session": "../x"}, 400, "invalid_request"),
        ({"x-vesselog-meta": "[]"}, 400, "invalid_request"),
    ],
)
def test_errors_have_the_status_and_the_code_of_their_row(
    tmp_path: Path, headers: dict[str, str], status: int, code: str
) -> None:
    with serving(tmp_path) as http:
        refused = http.post("/v1/chat/completions", json=CHAT, headers=headers)
    assert (refused.status_code, json.loads(refused.content)["error"]["code"]) == (status, code)
