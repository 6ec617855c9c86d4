"""Features that only one of the servers has, and requests that both refuse."""

from __future__ import annotations

import json

import pytest

from asking import Ask, Place
from model_servers import STORY, ModelServer
from vesselog import ProviderError, Recording
from vesselog.vessels.ollama import Ollama
from vesselog.vessels.openai import OpenAI

pytestmark = pytest.mark.live


def test_models(place: Place, ask: Ask) -> None:
    names = {model.name.removesuffix(":latest") for model in ask.models(place.vessel("story"))}
    assert "story" in names
    if place.name != "llama":
        assert names >= {"bytes", "endless", "story", "think", "tiny", "tool"}


def test_version(ollama: ModelServer, ask: Ask) -> None:
    told = json.loads(ollama.get("/api/version"))["version"]
    assert ask.server_version(Ollama(base_url=ollama.url)) == told


def test_model_is_loaded_and_unloaded(ollama: ModelServer, ask: Ask, *, streamed: bool) -> None:
    """The answer is one object, even if a stream was asked for."""
    vessel = Ollama(base_url=ollama.url)
    loaded = ask.hear(vessel, "story", prompt="", streamed=streamed).check().completion
    assert (loaded.raw_finish_reason, loaded.outcome, loaded.text) == ("load", "complete", "")
    assert '"story:latest"' in ollama.get("/api/ps").decode()
    gone = ask.hear(vessel, "story", prompt="", keep_alive=0, streamed=streamed).check().completion
    assert (gone.raw_finish_reason, gone.outcome, gone.text) == ("unload", "complete", "")


def test_thinking_can_be_left_out(ollama: ModelServer, ask: Ask, *, streamed: bool) -> None:
    heard = ask.hear(
        Ollama(base_url=ollama.url), "think", "Hi", think=False, streamed=streamed
    ).check()
    assert heard.recorded.request["body"]["think"] is False
    assert heard.completion.reasoning == ""


def test_unknown_model(ollama: ModelServer, ask: Ask, *, streamed: bool) -> None:
    for vessel in (Ollama(base_url=ollama.url), OpenAI(base_url=ollama.url)):
        with pytest.raises(ProviderError, match=r"nope.* not found") as caught:
            ask.hear(vessel, "nope", "Hello", streamed=streamed)
        error = caught.value
        assert error.status == 404
        assert not error.retryable
        (path,) = ask.folder.glob(f"{error.session}.jsonl")
        *_, call = Recording(path).calls()
        assert (call.outcome, call.error.status) == ("error", 404)


def test_refused_request(ollama: ModelServer, ask: Ask, *, streamed: bool) -> None:
    """The model cannot think; the caller gets the error message that the server sends."""
    with pytest.raises(ProviderError, match="does not support thinking") as caught:
        ask.hear(Ollama(base_url=ollama.url), "tiny", "Hello", think=True, streamed=streamed)
    assert caught.value.status == 400


def test_prompt_that_does_not_fit(llama, ask: Ask, *, streamed: bool) -> None:
    with pytest.raises(ProviderError, match="exceeds the available context size") as caught:
        ask.hear(OpenAI(base_url=llama("story").url), "story", "word " * 4000, streamed=streamed)
    assert caught.value.status == 400


def test_two_choices_with_logprobs(llama, ask: Ask, *, streamed: bool) -> None:
    heard = ask.hear(
        OpenAI(base_url=llama("story").url),
        "story",
        "Hello",
        n=2,
        logprobs=2,
        max_tokens=6,
        streamed=streamed,
    ).check()
    completion = heard.completion
    assert [choice.index for choice in completion.choices] == [0, 1]
    for choice in completion.choices:
        tokens = choice.logprobs["content"]
        assert choice.finish_reason == "length"
        assert STORY.startswith(choice.text)
        assert len(tokens) == 6
        assert bytes(byte for token in tokens for byte in token["bytes"]).decode() == choice.text
        assert all(len(token["top_logprobs"]) == 2 for token in tokens)


def test_logprobs_of_a_legacy_completion(llama, ask: Ask, *, streamed: bool) -> None:
    heard = ask.hear(
        OpenAI(base_url=llama("story").url),
        "story",
        prompt="<|im_start|>assistant\n",
        logprobs=1,
        max_tokens=5,
        streamed=streamed,
    ).check()
    assert len(heard.completion.logprobs["content"]) == 5


def test_two_ollama_dialects_say_the_same(ollama: ModelServer, ask: Ask, *, streamed: bool) -> None:
    own = ask.hear(Ollama(base_url=ollama.url), "story", "Hello", streamed=streamed).completion
    v1 = ask.hear(OpenAI(base_url=ollama.url), "story", "Hello", streamed=streamed).completion
    assert own.usage is not None
    assert v1.usage is not None
    assert (own.text, own.finish_reason) == (v1.text, v1.finish_reason)
    assert (own.usage.input_tokens, own.usage.output_tokens) == (
        v1.usage.input_tokens,
        v1.usage.output_tokens,
    )
