"""curl gets from the gateway what it gets from the server, but for ids, times and what the server's
cache held; and from the recordings every byte that it got from the gateway.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from model_servers import STORY, WEATHER, ModelServer
from three_ways import built_three_ways
from vesselog.vessels import Anthropic, Ollama, OpenAI, OpenAIResponses, Vessel

pytestmark = pytest.mark.live

ASKED = [{"role": "user", "content": "Hello"}]
FUNCTION: dict[str, Any] = WEATHER["function"]
# The body asked for, and what calls a tool, by route.
ROUTES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "/v1/chat/completions": ({"messages": ASKED, "temperature": 0}, WEATHER),
    "/v1/responses": (
        {"input": "Hello", "temperature": 0},
        {"type": "function", "strict": False, **FUNCTION},
    ),
    "/v1/messages": (
        {"messages": ASKED, "max_tokens": 500, "temperature": 0},
        {"name": FUNCTION["name"], "input_schema": FUNCTION["parameters"]},
    ),
    "/api/chat": ({"messages": ASKED}, WEATHER),
}
VOLATILE = re.compile(
    r'"(id|item_id|call_id|created|created_at|completed_at|\w+_duration|modified_at|expires_at'
    r'|cached_tokens|cache_read_input_tokens)": ?("[^"]*"|-?[\d.]+)'
    r'|"input_tokens": ?\d+(?=,"output_tokens)|"timings": ?\{[^}]*\}'
)


def without_volatile(got: Mapping[str, str]) -> dict[str, str]:
    return {name: VOLATILE.sub(r'"\1"', text) for name, text in got.items()}


def curl(*arguments: str) -> str:
    """The body, then the status and the content type."""
    if (program := shutil.which("curl")) is None:
        pytest.skip("curl is not installed")
    command = [program, "-sSN", "--noproxy", "*", "-w", "\n%{http_code} %{content_type}"]
    return subprocess.run([*command, *arguments], check=True, capture_output=True).stdout.decode()


def asker(route: str, models: str) -> Callable[[Mapping[str, str]], dict[str, str]]:
    """Asks for whole answers and for streams, for errors, and at the path `models` for these."""
    body, tool = ROUTES[route]

    # Which dialect's list of models is meant is told by this header alone.
    dialect = ("-H", "anthropic-version: 2023-06-01") if route == "/v1/messages" else ()

    def ask(url: str, **more: Any) -> str:
        kind = "content-type: application/json"
        return curl(*dialect, "-H", kind, "-d", json.dumps(more), url + route)

    def answers(urls: Mapping[str, str]) -> dict[str, str]:
        got: dict[str, str] = {}
        for stream in (False, True):
            for model in ("story", "think"):
                got[f"{model} {stream}"] = ask(urls[model], model=model, stream=stream, **body)
            got[f"tool {stream}"] = ask(
                urls["tool"], model="tool", stream=stream, tools=[tool], **body
            )
            got[f"error {stream}"] = ask(urls["story"], model="missing", stream=stream)
        return {**got, "models": curl(*dialect, urls["story"] + models)}

    return answers


def holds_what_was_asked_for(built: Mapping[str, str]) -> None:
    assert STORY in built["story False"]
    assert built["story True"].count("\n") > len(STORY) / 20
    assert "get_weather" in built["tool True"]
    assert built["models"].splitlines()[-1].startswith("200 ")


@pytest.mark.parametrize(
    ("route", "vessel"),
    [
        ("/v1/chat/completions", OpenAI),
        ("/v1/responses", OpenAIResponses),
        ("/v1/messages", Anthropic),
    ],
)
def test_curl_of_llama_server(
    llama: Callable[[str], ModelServer],
    route: str,
    vessel: Callable[..., Vessel],
    tmp_path: Path,
) -> None:
    urls = {model: llama(model).url for model in ("story", "think", "tool")}
    upstreams = {model: vessel(base_url=url) for model, url in urls.items()}
    holds_what_was_asked_for(
        built_three_ways(
            asker(route, "/v1/models"), urls, upstreams, tmp_path, without_volatile=without_volatile
        )
    )


@pytest.mark.parametrize(
    ("route", "models", "vessel"),
    [("/v1/chat/completions", "/v1/models", OpenAI), ("/api/chat", "/api/tags", Ollama)],
)
def test_curl_of_ollama(
    ollama: ModelServer,
    route: str,
    models: str,
    vessel: Callable[..., Vessel],
    tmp_path: Path,
) -> None:
    urls = dict.fromkeys(("story", "think", "tool"), ollama.url)
    root = f"{ollama.url}/v1" if vessel is OpenAI else ollama.url
    upstreams = dict.fromkeys(urls, vessel(base_url=root))
    holds_what_was_asked_for(
        built_three_ways(
            asker(route, models), urls, upstreams, tmp_path, without_volatile=without_volatile
        )
    )
