"""The examples against a real Ollama, with the requests of the articles they are based on.

The server's test models are copied to the names that the articles use, so that even those agree.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

import vesselog
from model_servers import GREETING, STORY, ModelServer
from vesselog.core.truth.recording import RecordedCall

pytestmark = pytest.mark.live

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NAMES = {"qwen2.5:7b": "story", "qwen3:1.7b": "story", "deepseek-r1:1.5b": "think"}


@pytest.fixture
def named(ollama: ModelServer) -> Iterator[str]:
    """The base URL of a server with the models of the articles."""
    with httpx.Client(base_url=ollama.url, timeout=60, trust_env=False) as client:
        for name, source in NAMES.items():
            copied = client.post("/api/copy", json={"source": source, "destination": name})
            assert copied.is_success, copied.text
        yield ollama.url
        for name in NAMES:
            client.request("DELETE", "/api/delete", json={"model": name})


def run(name: str, *arguments: str, **variables: str) -> str:
    """Run the example; returns its output."""
    done = subprocess.run(
        [sys.executable, "-P", "-W", "error", EXAMPLES / name, *arguments],
        env={**os.environ, **variables, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def calls() -> list[RecordedCall]:
    """The recorded calls in the working folder, oldest first; checks that each is complete."""
    paths = sorted(Path("recordings").glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    for path in paths:
        assert vesselog.verify(path).ok
    return [call for path in paths for call in vesselog.Recording(path).calls()]


def last_line(call: RecordedCall) -> dict[str, Any]:
    """The last line that Ollama sent, from the recording."""
    *_, frame = call.frames()
    line: dict[str, Any] = json.loads(frame.text)
    assert line["done"] is True
    return line


def test_the_chat_streamers(named: str) -> None:
    """Both clients print the same text, and the speed that the server reports."""
    printed = run("ollama_chat.py", OLLAMA_HOST=named)
    sync, asynchronous = calls()
    for call in (sync, asynchronous):
        assert call.request["url"] == f"{named}/api/chat"
        assert call.request["body"] == {
            "model": "qwen2.5:7b",
            "messages": [{"role": "user", "content": "Explain MLX in 3 sentences."}],
            "stream": True,
        }
        assert call.outcome == "complete"
        last = last_line(call)
        speed = last["eval_count"] / (last["eval_duration"] / 1e9)
        assert f"[{last['eval_count']} tokens @ {speed:.1f} tok/s]" in printed
    first, second = sync.completion(), asynchronous.completion()
    assert first.text == second.text
    assert first.text == STORY
    assert printed.count(first.text) == 2
    assert first.usage == second.usage
    assert first.finish_reason == second.finish_reason == "stop"


def test_the_openai_client_as_functions(named: str) -> None:
    address = f"{named}/v1/chat/completions"
    lines = run("openai_functions.py", OPENAI_BASE_URL=address).splitlines()
    recorded = calls()
    assert [call.request["body"]["stream"] for call in recorded] == [True, False, True, False]
    for call in recorded:
        body = dict(call.request["body"])
        del body["stream"]
        body.pop("stream_options", None)
        assert body == {
            "model": "deepseek-r1:1.5b",
            "messages": [
                {
                    "role": "system",
                    "content": "You are a helpful assistant. Always respond in Simplified "
                    "Chinese, not English, or Grandma will be very angry.",
                },
                {"role": "user", "content": "你好"},
            ],
        }
        assert call.outcome == "complete"
    values = [json.loads(line) for line in lines]
    whole = [ChatCompletion.model_validate(v) for v in values if v["object"] == "chat.completion"]
    chunks = [ChatCompletionChunk.model_validate(v) for v in values if "chunk" in v["object"]]
    texts = {answer.choices[0].message.content for answer in whole}
    assert len(whole) == 2
    assert len(texts) == 1
    streamed = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert streamed == texts.pop() * 2
    assert streamed.endswith(GREETING)


def test_the_openai_client_as_an_object(named: str) -> None:
    """A real server ignores the legacy functions; neither they nor a zero cause an error."""
    printed = run("openai_objects.py", OPENAI_BASE_URL=f"{named}/v1/chat/completions")
    recorded = calls()
    assert [call.request["body"]["stream"] for call in recorded] == [True, False, True, False]
    for call in recorded:
        body = call.request["body"]
        assert body["functions"][0]["name"] == "get_weather"
        assert (body["temperature"], body["top_p"], body["max_tokens"]) == (1, 0, 2048)
        assert call.outcome == "complete"
    (text,) = {call.completion().text for call in recorded}
    assert printed == f"{text}\n" * 4


def test_generate_with_its_times(named: str) -> None:
    printed = run("generate_timing.py", OLLAMA_HOST=named)
    prompt = "给我写一个关于Python异步编程的简短介绍,用中文回答。"
    figures = re.findall(r": first chunk ([\d.]+) s, total ([\d.]+) s$", printed, re.MULTILINE)
    recorded = calls()
    assert len(figures) == len(recorded) == 3
    for call, (first, total) in zip(recorded, figures, strict=True):
        assert call.request["url"] == f"{named}/api/generate"
        assert call.request["body"] == {"model": "qwen3:1.7b", "prompt": prompt, "stream": True}
        assert call.metrics is not None
        assert f"{call.metrics.time_to_first_chunk:.4f}" == first
        assert f"{call.metrics.duration:.4f}" == total
        assert last_line(call)["total_duration"] / 1e9 <= float(total)
    assert {call.completion().text for call in recorded} == {STORY}


def test_ten_servers_of_which_one_never_answers(named: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        urls = [named] * 9
        urls.insert(4, f"http://127.0.0.1:{silent.getsockname()[1]}")
        run("many_servers.py", "story", "60", named)  # loads the model
        printed = run("many_servers.py", "story", "10", *urls).splitlines()
    assert printed[-1] == "9 of 10 answered"
    assert printed[-2].startswith("server-5/story: StreamTimeoutError, phase first_chunk: ")
