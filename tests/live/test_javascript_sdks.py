"""The JavaScript SDKs, unmodified: what they build of a real server's answers, streamed and whole,
of tools, structured output, errors and lists of models, is what they build through the gateway,
and from its recordings.

They are found in the folder that `VESSELOG_NPM_DIR` names. The programs are in javascript/.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from model_servers import GREETING, STORY, THOUGHT, ModelServer
from patience import PATIENCE
from three_ways import (
    Answers,
    built_from,
    built_three_ways,
    different,
    steady,
    through_gateway,
)
from vesselog.vessels import Anthropic, Gemini, Ollama, OpenAI, OpenAIResponses, Vessel

pytestmark = pytest.mark.live

Program = Callable[[str], Answers]
Llama = Callable[[str], ModelServer]
MODELS = ("story", "think", "tool", "tiny")
PACKAGES = {
    "openai_chat": "openai",
    "openai_responses": "openai",
    "ollama": "ollama",
    "anthropic": "@anthropic-ai/sdk",
    "google_genai": "@google/genai",
}


@pytest.fixture
def program(npm_folder: Path, tmp_path: Path) -> Program:
    """What a program prints, by its name. Whatever it says on stderr fails."""
    folder = tmp_path / "programs"
    shutil.copytree(Path(__file__).parent / "javascript", folder)
    (folder / "node_modules").symlink_to(npm_folder / "node_modules")

    def of_name(name: str) -> Answers:
        if not (npm_folder / "node_modules" / PACKAGES[name]).exists():
            pytest.skip(f"not in VESSELOG_NPM_DIR: npm install {PACKAGES[name]}")

        def answers(urls: Mapping[str, str]) -> Mapping[str, Any]:
            command = ["node", str(folder / f"{name}.mjs"), json.dumps(urls)]
            done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
            assert done.stderr.decode() == ""
            assert done.returncode == 0
            return dict(json.loads(line) for line in done.stdout.splitlines())

        return answers

    return of_name


@pytest.fixture
def llamas(llama: Llama) -> dict[str, str]:
    """The URL of the llama-server of each model."""
    return {model: llama(model).url for model in MODELS}


@pytest.mark.parametrize(
    ("name", "vessel"),
    [
        ("openai_chat", OpenAI),
        ("openai_responses", OpenAIResponses),
        ("anthropic", Anthropic),
    ],
)
def test_an_sdk_of_llama_server(
    program: Program,
    llamas: dict[str, str],
    name: str,
    vessel: Callable[..., Vessel],
    tmp_path: Path,
) -> None:
    upstreams = {model: vessel(base_url=url) for model, url in llamas.items()}
    built = built_three_ways(program(name), llamas, upstreams, tmp_path / "recordings")
    holds_what_the_models_say(built)


@pytest.mark.parametrize(("name", "vessel"), [("openai_chat", OpenAI), ("ollama", Ollama)])
def test_an_sdk_of_ollama(
    program: Program,
    ollama: ModelServer,
    name: str,
    vessel: Callable[..., Vessel],
    tmp_path: Path,
) -> None:
    root = f"{ollama.url}/v1" if vessel is OpenAI else ollama.url
    upstreams = dict.fromkeys(MODELS, vessel(base_url=root))
    directly = dict.fromkeys(MODELS, ollama.url)
    built = built_three_ways(program(name), directly, upstreams, tmp_path / "recordings")
    holds_what_the_models_say(built)


@pytest.fixture
def translated(ollama: ModelServer, tmp_path: Path) -> Iterator[str]:
    """The URL of a server of every dialect: a gateway that translates each for Ollama."""
    upstream: dict[str, Vessel] = {"local": Ollama(base_url=ollama.url)}
    with through_gateway(tmp_path / "translated", upstream) as urls:
        yield urls["local"]


@pytest.mark.parametrize(
    ("name", "vessel"),
    [
        ("google_genai", Gemini),
        ("openai_responses", OpenAIResponses),
        ("anthropic", Anthropic),
    ],
)
def test_an_sdk_of_a_dialect_that_is_translated(
    program: Program,
    translated: str,
    name: str,
    vessel: Callable[..., Vessel],
    tmp_path: Path,
) -> None:
    directly = dict.fromkeys(MODELS, translated)
    upstreams = dict.fromkeys(MODELS, vessel(base_url=translated, api_key="none"))
    built = built_three_ways(program(name), directly, upstreams, tmp_path / "recordings")
    holds_what_the_models_say(built)
    # From what was recorded in Ollama's dialect; the upstream is not asked. Models are those asked.
    upstream = "--upstream=local=ollama@http://127.0.0.1:1"
    again = built_from(tmp_path / "translated", program(name), MODELS, upstream)
    assert different(steady({**again, "models": None}), steady({**built, "models": None})) == []
    if name != "google_genai":  # which has no accumulator
        assert STORY in json.dumps(built["story accumulated"], ensure_ascii=False)


def holds_what_the_models_say(built: Mapping[str, Any]) -> None:
    """That the answers compared were no empty ones."""
    assert STORY in json.dumps(built["story whole"], ensure_ascii=False)
    said = json.dumps(built["think whole"], ensure_ascii=False)
    assert GREETING in said
    assert THOUGHT in said
    assert "get_weather" in json.dumps(built["tool whole"])
    assert len(built["story events"]) > 1
