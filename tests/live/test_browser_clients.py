"""The official clients of the AI SDK and of AG-UI read what EventStream sends.

They are found in the folder that `VESSELOG_NPM_DIR` names, where `npm install ai @ag-ui/client` was
run. They run in node.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response

from asgi_server import served_by_uvicorn
from chat_backend import app_of
from loopback import Conversation, LoopbackServer, sse
from patience import PATIENCE
from vesselog import AsyncClient
from vesselog.server import EventStream

PIECES = (
    {"role": "assistant", "reasoning_content": "Hm"},
    {"content": "Hi "},
    {"content": "you"},
    {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "get", "arguments": '{"a":'}}]},
    {"tool_calls": [{"index": 1, "id": "b", "function": {"name": "put", "arguments": '{"b":'}}]},
    {"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]},
    {"tool_calls": [{"index": 1, "function": {"arguments": "2}"}}]},
)
EVENTS = [
    *({"choices": [{"index": 0, "delta": piece}]} for piece in PIECES),
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
]

AI_SDK = """
import { DefaultChatTransport, readUIMessageStream } from "ai";
const errors = [], transport = new DefaultChatTransport({ api: process.argv[2] });
const stream = await transport.sendMessages({
  chatId: "c", trigger: "submit-message",
  messages: [{ id: "u", role: "user", parts: [{ type: "text", text: "hi" }] }],
});
const onError = (error) => errors.push(error.message);
let message;
for await (message of readUIMessageStream({ stream, onError }));
console.log(JSON.stringify({ message, errors }));
"""
AG_UI = """
import { HttpAgent } from "@ag-ui/client";
const agent = new HttpAgent({ url: process.argv[2] }), ends = [];
await agent.runAgent({}, {
  onRunErrorEvent: ({ event }) => ends.push(event),
  onRunFinishedEvent: ({ event }) => ends.push(event),
});
console.log(JSON.stringify({ messages: agent.messages, ends }));
"""


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[httpx.Client]:
    """Answers in the protocol `?p=`; the model does what `?do=` says."""

    def script(talk: Conversation) -> None:
        match talk.request.json["messages"][0]["content"]:
            case "fail":
                talk.stream(sse(*EVENTS[:2], {"error": {"message": "x"}}), "text/event-stream")
            case "cut":
                talk.stream(sse(*EVENTS[:5], done=False), "text/event-stream")
            case _:
                talk.stream(sse(*EVENTS), "text/event-stream")

    def respond(client: AsyncClient, request: Request) -> Response:
        asked: Any = request.query_params
        return EventStream(client.stream("open/m", asked["do"]), asked["p"], heartbeat=0.001)

    with (
        LoopbackServer([script]) as model,
        served_by_uvicorn(app_of(model, tmp_path, respond)) as client,
    ):
        yield client


def run(npm_folder: Path, program: str, url: str, tmp_path: Path) -> Any:
    """What the program prints; a warning or an error on stderr fails."""
    source = tmp_path / "program.mjs"
    source.write_text(program)
    (tmp_path / "node_modules").symlink_to(npm_folder / "node_modules")
    command = ["node", "--preserve-symlinks-main", str(source), url]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


@pytest.mark.parametrize("do", ["answer", "fail", "cut"])
def test_the_ai_sdk_reads_it(
    npm_folder: Path, backend: httpx.Client, tmp_path: Path, do: str
) -> None:
    said = run(npm_folder, AI_SDK, f"{backend.base_url}?p=ai-sdk&do={do}", tmp_path)
    parts = said["message"]["parts"]
    assert (parts[1]["type"], parts[1]["text"]) == ("reasoning", "Hm")
    if do == "answer":
        assert said["errors"] == []
        assert (parts[2]["text"], parts[2]["state"]) == ("Hi you", "done")
        calls = [(part["type"], part["state"], part["input"]) for part in parts[3:]]
        assert calls == [
            ("tool-get", "input-available", {"a": 1}),
            ("tool-put", "input-available", {"b": 2}),
        ]
        assert said["message"]["metadata"]["call"] == 1
    else:
        (error,) = said["errors"]
        assert {"fail": "provider_error", "cut": "truncated"}[do] in error


@pytest.mark.parametrize("do", ["answer", "fail", "cut"])
def test_ag_ui_reads_it(npm_folder: Path, backend: httpx.Client, tmp_path: Path, do: str) -> None:
    said = run(npm_folder, AG_UI, f"{backend.base_url}?p=ag-ui&do={do}", tmp_path)
    (end,) = said["ends"]
    reasoning, answer = said["messages"]
    assert (reasoning["role"], reasoning["content"]) == ("reasoning", "Hm")
    if do == "answer":
        assert end["type"] == "RUN_FINISHED"
        assert answer["content"] == "Hi you"
        calls = [call["function"] for call in answer["toolCalls"]]
        assert calls == [
            {"name": "get", "arguments": '{"a":1}'},
            {"name": "put", "arguments": '{"b":2}'},
        ]
    else:
        assert end["code"] == {"fail": "provider_error", "cut": "truncated"}[do]
