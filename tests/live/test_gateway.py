"""Unmodified clients of real servers, through the gateway: what they build is what they build
directly, and what they saw is in the recording.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from commands import serving
from gateways import gateway_to
from model_servers import GREETING, STORY, THOUGHT, WEATHER, WEATHER_ASKED, ModelServer
from vesselog import Recording
from vesselog.vessels import Ollama, OpenAI

pytestmark = pytest.mark.live

ASKED = [{"role": "user", "content": "Hello"}]
SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "s",
        "schema": {"type": "object", "properties": {"a": {"type": "string"}}},
    },
}
# What differs from one answer to the next.
VOLATILE = {"id", "created", "created_at", "system_fingerprint", "expires_at", "timings"}


def steady(value: Any) -> Any:
    """Without ids, times and durations."""
    if hasattr(value, "model_dump"):
        value = value.model_dump()
    if isinstance(value, dict):
        return {
            name: steady(each)
            for name, each in value.items()
            if name not in VOLATILE and "duration" not in name
        }
    return [steady(each) for each in value] if isinstance(value, list | tuple) else value


@pytest.fixture
def gateway(ollama: ModelServer, tmp_path: Path) -> Iterator[httpx.Client]:
    vessels = {"local": Ollama(base_url=ollama.url), "openai": OpenAI(base_url=f"{ollama.url}/v1")}
    with gateway_to(tmp_path / "recordings", vessels) as http:
        yield http


def openai_answers(url: str) -> Iterator[tuple[str, Any]]:
    """What OpenAI's SDK builds of each kind of request."""
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=f"{url}/v1", api_key="ollama", max_retries=0) as client:
        chat = client.chat.completions.create
        common: dict[str, Any] = {"messages": ASKED, "seed": 1, "temperature": 0}
        for model in ("story", "think"):
            yield f"{model} whole", steady(chat(model=model, **common))
            options = {"include_usage": True}
            stream = chat(model=model, stream=True, stream_options=options, **common)
            yield f"{model} streamed", [steady(each) for each in stream]
        for streamed in (False, True):
            answer = chat(model="tool", tools=[WEATHER], stream=streamed, **common)
            yield f"tools {streamed}", steady(list(answer) if streamed else answer)
        yield "schema", steady(chat(model="tiny", max_tokens=20, response_format=SCHEMA, **common))
        yield "completion", steady(client.completions.create(model="story", prompt="x"))
        yield "models", sorted(each.id for each in client.models.list())
        yield "model", client.models.retrieve("story").id
        with pytest.raises(openai.NotFoundError) as missing:
            chat(model="missing", messages=ASKED)
        yield "error", (missing.value.status_code, missing.value.body)


def ollama_answers(url: str) -> Iterator[tuple[str, Any]]:
    """What Ollama's SDK builds of each kind of request."""
    ollama = pytest.importorskip("ollama")
    with ollama.Client(host=url) as client:
        common: dict[str, Any] = {"options": {"seed": 1, "temperature": 0}}
        for model in ("story", "think"):
            yield f"{model} whole", steady(client.chat(model, ASKED, **common))
            stream = client.chat(model, ASKED, stream=True, **common)
            yield f"{model} streamed", [steady(each) for each in stream]
        for streamed in (False, True):
            answer = client.chat("tool", ASKED, tools=[WEATHER], stream=streamed, **common)
            yield f"tools {streamed}", steady(list(answer) if streamed else answer)
        yield "generate", steady(client.generate("story", "x"))
        yield "models", sorted(each.model for each in client.list().models)
        yield "show", steady(client.show("story").modelinfo)
        with pytest.raises(ollama.ResponseError) as missing:
            client.chat("missing", ASKED)
        yield "error", (missing.value.status_code, missing.value.error)


@pytest.mark.parametrize("answers", [openai_answers, ollama_answers])
def test_an_sdk_builds_the_same_as_directly(
    gateway: httpx.Client,
    ollama: ModelServer,
    answers: Callable[[str], Iterator[tuple[str, Any]]],
    tmp_path: Path,
) -> None:
    directly = dict(answers(ollama.url))
    through = dict(answers(str(gateway.base_url).rstrip("/")))
    assert through == directly
    calls = [
        call for path in (tmp_path / "recordings").iterdir() for call in Recording(path).calls()
    ]
    assert len(calls) == len(directly)
    outcomes = sorted(call.outcome for call in calls)
    assert outcomes == ["complete"] * (len(calls) - 1) + ["error"]
    told = "\n".join(call.completion().text for call in calls)
    assert STORY in told
    assert GREETING in told
    assert THOUGHT in told  # of /v1, which does not tell thoughts apart, and of Ollama's own API
    folder = str(tmp_path / "recordings")
    with serving("--replay", folder, "--speed", "max") as (_, url):
        assert dict(answers(url)) == directly, "from the recordings, without a server"


@pytest.mark.parametrize("route", ["/api/chat", "/v1/chat/completions"])
def test_curl_gets_what_is_recorded(gateway: httpx.Client, tmp_path: Path, route: str) -> None:
    if (curl := shutil.which("curl")) is None:
        pytest.skip("curl is not installed")
    body = '{"model": "story", "stream": true, "messages": [{"role": "user", "content": "Hi"}]}'
    url = f"{gateway.base_url}".rstrip("/") + route
    got = subprocess.run([curl, "-sS", "--fail", "-d", body, url], check=True, capture_output=True)
    (path,) = (tmp_path / "recordings").iterdir()
    (call,) = Recording(path).calls()
    assert call.outcome == "complete"
    assert call.completion().text == STORY
    assert b"".join(frame.raw for frame in call.frames()) == got.stdout


def test_openais_sdk_over_ollamas_own_api(gateway: httpx.Client, tmp_path: Path) -> None:
    """Chat and responses: text, tools, an error and the models, each translated."""
    openai = pytest.importorskip("openai")
    url = f"{gateway.base_url}".rstrip("/")
    with openai.OpenAI(base_url=f"{url}/local/v1", api_key="ollama", max_retries=0) as client:
        chat, respond = client.chat.completions.create, client.responses.create
        whole = chat(model="story", messages=ASKED)
        assert (whole.choices[0].message.content, whole.choices[0].finish_reason) == (STORY, "stop")
        assert whole.usage.completion_tokens > 20
        pieces = list(chat(model="story", messages=ASKED, stream=True))
        assert "".join(each.choices[0].delta.content or "" for each in pieces) == STORY
        for streamed in (False, True):
            answer = chat(model="tool", messages=ASKED, tools=[WEATHER], stream=streamed)
            called = steady(list(answer) if streamed else answer)
            assert "get_weather" in str(called)
            assert "Z\u00fcrich" in str(called)
        assert respond(model="story", input="Hello").output_text == STORY
        with client.responses.stream(model="story", input="Hello") as stream:
            last = stream.get_final_response()
        assert (last.output_text, last.status) == (STORY, "completed")
        function = {"type": "function", "strict": False, **WEATHER["function"]}
        (call,) = respond(model="tool", input="Hello", tools=[function]).output
        assert json.loads(call.arguments) == WEATHER_ASKED
        with pytest.raises(openai.NotFoundError):
            chat(model="missing", messages=ASKED)
        with pytest.raises(openai.BadRequestError, match="n:"):
            chat(model="story", messages=ASKED, n=2)
        assert "story:latest" in {each.id for each in client.models.list()}
    calls = [
        call for path in (tmp_path / "recordings").iterdir() for call in Recording(path).calls()
    ]
    answered = [call for call in calls if call.request["url"].endswith("/api/chat")]
    assert [call.outcome for call in answered].count("complete") == len(answered) - 1 == 7


def test_ollamas_sdk_over_llama_server(llama: Any, tmp_path: Path) -> None:
    ollama = pytest.importorskip("ollama")
    vessels = {"llama": OpenAI(base_url=llama("story").url)}
    with (
        gateway_to(tmp_path, vessels) as http,
        ollama.Client(host=str(http.base_url)) as client,
    ):
        assert client.chat("story", ASKED).message.content == STORY
        pieces = list(client.chat("story", ASKED, stream=True))
        assert "".join(each.message.content for each in pieces) == STORY
        assert pieces[-1].done_reason == "stop"
        assert [each.model for each in client.list().models] == ["story"]
