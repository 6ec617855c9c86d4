"""Runs each example as a program, as its docstring says, against scripted servers.

The requests and answers are those of the articles on which the examples are based.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

import vesselog
import warm_python
from loopback import Conversation, LoopbackServer, ollama_lines, sse
from patience import PATIENCE

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TEXTS = ("A vessel ", "leaves ", "the harbour.")


def run(name: str, *arguments: str, **variables: str) -> str:
    """Run the example; returns its output."""
    done = warm_python.run(
        [sys.executable, "-P", "-W", "error", EXAMPLES / name, *arguments],
        env={**os.environ, **variables, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def recordings() -> list[vesselog.Recording]:
    """The recorded calls in the working folder, oldest first."""
    paths = sorted(Path("recordings").glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    return [vesselog.Recording(path) for path in paths]


def ollama(conversation: Conversation) -> None:
    conversation.stream(ollama_lines(*TEXTS))


def ollama_generate(conversation: Conversation) -> None:
    lines: list[dict[str, Any]] = [json.loads(line) for line in ollama_lines(*TEXTS)]
    for line in lines:
        line["response"] = line.pop("message")["content"]
    conversation.stream([json.dumps(line).encode() + b"\n" for line in lines])


def openai(message: dict[str, Any]) -> Callable[[Conversation], None]:
    """A server that answers with this message, streamed or not, as the request says."""
    told = {"id": "chatcmpl-1", "created": 1752575345, "model": "m"}

    def answer(conversation: Conversation) -> None:
        if not conversation.request.json["stream"]:
            choice = {"index": 0, "message": {"role": "assistant", **message}}
            choice["finish_reason"] = "stop"
            usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
            body = {**told, "object": "chat.completion", "choices": [choice], "usage": usage}
            conversation.whole(json.dumps(body).encode())
            return
        choices = [
            {"index": 0, "delta": {"role": "assistant", **message}, "finish_reason": None},
            {"index": 0, "delta": {}, "finish_reason": "stop"},
        ]
        chunk = {**told, "object": "chat.completion.chunk"}
        events = sse(*({**chunk, "choices": [choice]} for choice in choices))
        conversation.stream(events, "text/event-stream")

    return answer


def test_every_example_is_tested_and_listed() -> None:
    programs = {path.name for path in EXAMPLES.glob("*.py")}
    folders = {
        path.parent.name for name in ("app.py", "README.md") for path in EXAMPLES.glob(f"*/{name}")
    }
    tests = "".join(
        (Path(__file__).parent / name).read_text("utf-8")
        for name in (
            *("test_examples.py", "test_fastapi_example.py", "test_flask_example.py"),
            "../live/test_react_page.py",
        )
    )
    listed = (EXAMPLES / "README.md").read_text("utf-8")
    assert {name for name in programs if f'"{name}"' in tests} == programs
    assert {name for name in programs if f"({name})" in listed} == programs
    assert {name for name in folders if f"({name}/)" in listed} == folders
    tests += "".join(
        path.read_text("utf-8") for path in Path(__file__).parents[1].glob("live/*.py")
    )
    assert {name for name in folders if f'"{name}"' in tests} == folders


def test_ollama_chat_gives_the_same_sync_and_async() -> None:
    with LoopbackServer([ollama]) as server:
        printed = run("ollama_chat.py", OLLAMA_HOST=server.url)
    # 3 tokens in 1,000,000 ns, of the scripted last line
    speed = "[3 tokens @ 3000.0 tok/s]"
    text = "".join(TEXTS)
    assert printed == f"{text}\n{speed} sync\n{text}\n{speed} async\n"
    asked = {
        "model": "qwen2.5:7b",
        "messages": [{"role": "user", "content": "Explain MLX in 3 sentences."}],
        "stream": True,
    }
    assert [request.json for request in server.requests] == [asked, asked]
    assert [request.path for request in server.requests] == ["/api/chat"] * 2
    assert [[call.outcome for call in each.calls()] for each in recordings()] == [["complete"]] * 2


def test_ollama_chat_takes_a_model_and_a_prompt() -> None:
    with LoopbackServer([ollama]) as server:
        run("ollama_chat.py", "story", "What is GGUF?", OLLAMA_HOST=server.url)
    for request in server.requests:
        assert request.json["model"] == "story"
        assert request.json["messages"][0]["content"] == "What is GGUF?"


def test_openai_functions_print_what_the_sdk_accepts() -> None:
    with LoopbackServer([openai({"content": "你好!"})]) as server:
        address = f"{server.url}/v1/chat/completions"
        lines = run("openai_functions.py", OPENAI_BASE_URL=address).splitlines()
    values = [json.loads(line) for line in lines]
    for streamed in (values[0:2], values[3:5]):
        chunks = [ChatCompletionChunk.model_validate(value) for value in streamed]
        assert chunks[0].choices[0].delta.content == "你好!"
        assert chunks[1].choices[0].finish_reason == "stop"
    for value in (values[2], values[5]):
        assert ChatCompletion.model_validate(value).choices[0].message.content == "你好!"
    assert len(values) == 6
    assert [request.json["stream"] for request in server.requests] == [True, False] * 2
    for request in server.requests:
        assert request.path == "/v1/chat/completions"
        assert request.headers["authorization"] == "Bearer EMPTY"
        assert request.json["model"] == "deepseek-r1:1.5b"
        assert [message["role"] for message in request.json["messages"]] == ["system", "user"]
        assert request.json["messages"][1]["content"] == "你好"


def test_openai_objects_send_functions_and_read_function_calls() -> None:
    call = {"name": "get_weather", "arguments": '{"city": "Zürich"}'}
    with LoopbackServer([openai({"content": None, "function_call": call})]) as server:
        printed = run("openai_objects.py", OPENAI_BASE_URL=f"{server.url}/v1/chat/completions")
    assert printed == "\ncall get_weather({'city': 'Zürich'})\n" * 4
    assert [request.json["stream"] for request in server.requests] == [True, False] * 2
    for request in server.requests:
        body = request.json
        assert [each["name"] for each in body["functions"]] == ["get_weather"]
        assert (body["temperature"], body["top_p"], body["max_tokens"]) == (1, 0, 2048)


def test_agent_loop_runs_the_calls_and_tells_what_was_wrong() -> None:
    def calls(*functions: dict[str, Any]) -> Callable[[Conversation], None]:
        message = {"role": "assistant", "content": ""}
        message |= {"tool_calls": [{"function": function} for function in functions]}
        lines = [{"model": "m", "message": message, "done": False}]
        lines.append({"model": "m", "message": {}, "done": True, "done_reason": "stop"})
        frames = [json.dumps(line).encode() + b"\n" for line in lines]
        return lambda conversation: conversation.stream(frames)

    rostock, kiel = (
        {"name": "get_weather", "arguments": {"city": city}} for city in ("Rostock", "Kiel")
    )
    wrong = [{"name": "get_tide", "arguments": {}}, {"name": "get_weather", "arguments": {"x": 1}}]
    with LoopbackServer([calls(rostock, kiel), calls(*wrong), ollama]) as server:
        printed = run("agent_loop.py", "ollama/m", OLLAMA_HOST=server.url).splitlines()
    assert printed[0] == 'get_weather({"city":"Rostock"}) -> Rostock: sunny, 22 degrees'
    assert printed[1] == 'get_weather({"city":"Kiel"}) -> Kiel: sunny, 19 degrees'
    assert printed[2] == "get_tide({}) -> The call failed: KeyError('get_tide')"
    assert printed[3].startswith('get_weather({"x":1}) -> The call failed: TypeError(')
    assert printed[4:] == ["".join(TEXTS)]
    roles = [message["role"] for message in server.requests[-1].json["messages"]]
    assert roles == ["user", *["assistant", "tool", "tool"] * 2]


def test_generate_timing_tells_first_chunk_and_total() -> None:
    with LoopbackServer([ollama_generate]) as server:
        printed = run("generate_timing.py", OLLAMA_HOST=server.url)
    figures = re.findall(r"^(.+): first chunk ([\d.]+) s, total ([\d.]+) s$", printed, re.MULTILINE)
    assert [name for name, _, _ in figures] == ["httpx", "httpx async", "aiohttp"]
    assert all(0 < float(first) <= float(total) for _, first, total in figures)
    assert printed.count("".join(TEXTS)) == 3
    prompt = "给我写一个关于Python异步编程的简短介绍,用中文回答。"
    asked = {"model": "qwen3:1.7b", "prompt": prompt, "stream": True}
    assert [request.json for request in server.requests] == [asked] * 3
    assert [request.path for request in server.requests] == ["/api/generate"] * 3
    measured = [call.metrics for each in recordings() for call in each.calls()]
    assert [f"{m.time_to_first_chunk:.4f}" for m in measured if m] == [f for _, f, _ in figures]


def test_many_servers_answer_beside_a_slow_one() -> None:
    """The slow server times out; the other nine answer before that."""
    nine_asked = threading.Barrier(10)

    def together(conversation: Conversation) -> None:
        nine_asked.wait(PATIENCE)  # all ten are asked at once
        ollama(conversation)

    def slow(conversation: Conversation) -> None:
        nine_asked.wait(PATIENCE)
        conversation.wait_for_hangup()

    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(LoopbackServer([slow if number == 4 else together]))
            for number in range(1, 11)
        ]
        printed = run("many_servers.py", "m", "3", *(server.url for server in servers))
    lines = printed.splitlines()
    assert lines[-1] == "9 of 10 answered"
    assert lines[-2].startswith("server-4/m: StreamTimeoutError, phase first_chunk: ")
    answered = re.compile(r"server-\d+/m: ([\d.]+) s, recorded in /\S*recordings/")
    done = [answered.match(line) for line in lines]
    assert all(float(match[1]) < 3 for match in done[:9] if match)
    assert sum(match is not None for match in done) == 9
    outcomes = [call.outcome for each in recordings() for call in each.calls()]
    assert sorted(outcomes) == ["complete"] * 9 + ["error"]


PROGRAMS = sorted(path.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.rglob("*.py"))


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_docstring_tells_how_to_run_it(name: str) -> None:
    docstring = (EXAMPLES / name).read_text("utf-8").split('"""')[1]
    assert re.search(
        rf"\n    (python examples/{name}|uvicorn --app-dir examples/\w+ app:app"
        rf"|gunicorn -c examples/{name} app:app"
        rf"|flask --app examples/{name} run)",
        docstring,
    )
