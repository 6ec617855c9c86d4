"""Python's SDKs of OpenAI's Responses, Anthropic and Google, unmodified: what they build of a real
server's answers is what they build through the gateway, and from its recordings.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from model_servers import STORY, WEATHER, ModelServer
from three_ways import built_from, built_three_ways, different, steady, through_gateway
from vesselog.vessels import Anthropic, Gemini, Ollama, OpenAIResponses, Vessel

pytestmark = pytest.mark.live

Built = Iterator[tuple[str, Any]]
MODELS = ("story", "think", "tool", "tiny")
ASKED: Any = [{"role": "user", "content": "Hello"}]
FUNCTION: dict[str, Any] = WEATHER["function"]
NAMED = {key: FUNCTION[key] for key in ("name", "description")}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}


def of_responses(urls: Mapping[str, str]) -> Built:
    openai = pytest.importorskip("openai")
    for model, url in urls.items():
        with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
            body: dict[str, Any] = {"model": model, "input": "Hello", "temperature": 0}
            if model == "tool":
                body["tools"] = [{"type": "function", "strict": False, **FUNCTION}]
            if model == "tiny":
                body["text"] = {"format": {"type": "json_schema", "name": "s", "schema": SCHEMA}}
                body["max_output_tokens"] = 20
            yield f"{model} whole", client.responses.create(**body)
            yield f"{model} events", list(client.responses.create(**body, stream=True))
            if model == "story":
                for stream in (False, True):
                    with pytest.raises(openai.BadRequestError) as wrong:
                        client.responses.create(
                            model=model, input=[{"type": "nonsense"}], stream=stream
                        )
                    yield f"error {stream}", [wrong.value.status_code, wrong.value.body]


def of_anthropic(urls: Mapping[str, str]) -> Built:
    anthropic = pytest.importorskip("anthropic", reason="needs its SDK: pip install anthropic")
    for model, url in urls.items():
        with anthropic.Anthropic(base_url=url, api_key="none", max_retries=0) as client:
            body: dict[str, Any] = {"model": model, "max_tokens": 500, "messages": ASKED}
            body["extra_body"] = {"temperature": 0}
            if model == "tool":
                body["tools"] = [{**NAMED, "input_schema": FUNCTION["parameters"]}]
            if model == "tiny":
                output = {"format": {"type": "json_schema", "schema": SCHEMA}}
                body |= {"max_tokens": 20, "output_config": output}
            yield f"{model} whole", client.messages.create(**body)
            with client.messages.stream(**body) as stream:
                yield f"{model} events", list(stream)
            if model == "story":
                counted = client.messages.count_tokens(model=model, messages=ASKED)
                yield "count", counted
                yield "models", sorted(each.id for each in client.models.list())
                for streamed in (False, True):
                    with pytest.raises(anthropic.APIStatusError) as wrong:
                        client.messages.create(
                            model=model,
                            max_tokens=9,
                            messages=[{"role": "user", "content": 5}],
                            stream=streamed,
                        )
                    yield f"error {streamed}", [wrong.value.status_code, wrong.value.body]


def of_google(urls: Mapping[str, str]) -> Built:
    genai = pytest.importorskip("google.genai", reason="needs its SDK: pip install google-genai")
    errors = pytest.importorskip("google.genai.errors")
    for model, url in urls.items():
        with genai.Client(api_key="none", http_options={"base_url": url}) as client:
            config: dict[str, Any] = {"seed": 1, "temperature": 0}
            if model == "tool":
                declared = {**NAMED, "parameters_json_schema": FUNCTION["parameters"]}
                config["tools"] = [{"function_declarations": [declared]}]
                config["automatic_function_calling"] = {"disable": True}
            if model == "tiny":
                config |= {"max_output_tokens": 20, "response_mime_type": "application/json"}
                config["response_json_schema"] = SCHEMA
            body: dict[str, Any] = {"model": model, "contents": "Hello", "config": config}
            yield f"{model} whole", client.models.generate_content(**body)
            yield f"{model} events", list(client.models.generate_content_stream(**body))
            if model == "story":
                yield "models", sorted(each.name for each in client.models.list())
                with pytest.raises(errors.ClientError) as wrong:
                    client.models.generate_content(model="missing", contents="Hello")
                yield "error", [wrong.value.code, wrong.value.details]


def plain(built: Any) -> Any:
    """As JSON has it: what an SDK's own classes hold, field by field."""
    if isinstance(built, list):
        return [plain(each) for each in built]
    return built.model_dump(mode="json") if hasattr(built, "model_dump") else built


def three_ways(
    answers: Callable[[Mapping[str, str]], Built],
    urls: Mapping[str, str],
    vessel: Callable[..., Vessel],
    folder: Path,
    *replayed: tuple[Path, str],
) -> None:
    """replayed: folders of answers in another dialect, and the option that has them translated."""

    def asked(urls: Mapping[str, str]) -> Mapping[str, Any]:
        return {name: plain(built) for name, built in answers(urls)}

    upstreams = {model: vessel(base_url=url, api_key="none") for model, url in urls.items()}
    built = built_three_ways(asked, urls, upstreams, folder)
    for translated, option in replayed:
        again = built_from(translated, asked, urls, option)
        assert different(steady({**again, "models": None}), steady({**built, "models": None})) == []
    assert STORY in json.dumps(built["story whole"], ensure_ascii=False)
    assert "get_weather" in json.dumps(built["tool whole"])
    assert len(built["story events"]) > 1


@pytest.mark.parametrize(
    ("answers", "vessel"), [(of_responses, OpenAIResponses), (of_anthropic, Anthropic)]
)
def test_an_sdk_of_llama_server(
    llama: Callable[[str], ModelServer],
    answers: Callable[[Mapping[str, str]], Built],
    vessel: Callable[..., Vessel],
    tmp_path: Path,
) -> None:
    three_ways(answers, {model: llama(model).url for model in MODELS}, vessel, tmp_path)


@pytest.mark.parametrize(
    ("answers", "vessel"),
    [(of_responses, OpenAIResponses), (of_anthropic, Anthropic), (of_google, Gemini)],
)
def test_an_sdk_of_a_dialect_that_is_translated(
    ollama: ModelServer,
    answers: Callable[[Mapping[str, str]], Built],
    vessel: Callable[..., Vessel],
    tmp_path: Path,
) -> None:
    """The server is a gateway that translates the dialect for Ollama."""
    upstream: dict[str, Vessel] = {"local": Ollama(base_url=ollama.url)}
    with through_gateway(tmp_path / "translated", upstream) as urls:
        three_ways(
            answers,
            dict.fromkeys(MODELS, urls["local"]),
            vessel,
            tmp_path / "recordings",
            (tmp_path / "translated", "--upstream=local=ollama@http://127.0.0.1:1"),
        )
