"""Answers of real servers: both clients, streamed and not, three APIs."""

from __future__ import annotations

import json
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel

from asking import Ask, Place, timeless
from model_servers import GREETING, STORY, THOUGHT, WEATHER, WEATHER_ASKED
from vesselog import Message

pytestmark = pytest.mark.live


def test_text_usage_finish_and_metrics(place: Place, ask: Ask, *, streamed: bool) -> None:
    heard = ask.hear(place.vessel("story"), "story", "Tell me a story.", streamed=streamed).check()
    completion, metrics = heard.completion, heard.completion.metrics
    assert completion.text == STORY
    assert completion.outcome == "complete"
    assert (completion.finish_reason, completion.raw_finish_reason) == ("stop", "stop")
    assert completion.usage is not None
    assert completion.usage.input_tokens in range(10, 40)
    assert completion.usage.output_tokens in range(66, 75)
    assert completion.model == "story"
    assert metrics.time_to_first_chunk is not None
    assert 0 < metrics.time_to_first_chunk <= metrics.duration
    if streamed:
        assert heard.chunks is not None
        assert "".join(chunk.text for chunk in heard.chunks) == STORY
        assert [chunk.t for chunk in heard.chunks] == sorted(chunk.t for chunk in heard.chunks)
        assert metrics.chunks == len(heard.chunks) > 50
        # What comes in one read has one time: on a busy machine even most gaps may be 0.
        gaps = sorted(after.t - before.t for before, after in pairwise(heard.chunks))
        assert metrics.inter_chunk_max == pytest.approx(gaps[-1])
        for share, told in ((0.5, metrics.inter_chunk_p50), (0.95, metrics.inter_chunk_p95)):
            assert told == pytest.approx(gaps[ceil(share * len(gaps)) - 1], rel=0.04, abs=1e-6)
        assert (metrics.clock_output_tokens_per_second is not None) == (sum(gaps) > 0)
    else:
        assert metrics.chunks == 1
        assert metrics.inter_chunk_p50 is None
    measured = place.name != "ollama-v1"  # which tells no durations
    assert (metrics.output_tokens_per_second is not None) == measured
    assert (completion.timings is not None) == measured


def test_provider_speed_is_eval_count_over_eval_duration(
    ask: Ask, place: Place, *, streamed: bool
) -> None:
    """The value in the raw frame, not in the decoded chunk."""
    if place.name == "ollama-v1":
        pytest.skip("Ollama's /v1 tells no durations")
    heard = ask.hear(place.vessel("story"), "story", "Hello", streamed=streamed)
    if place.name == "ollama":
        last = json.loads(heard.frames[-1])
        tokens, seconds = last["eval_count"], last["eval_duration"] / 1e9
    else:
        told = [frame for frame in heard.frames if '"usage":{' in frame]
        last = json.loads(told[-1].removeprefix("data: "))
        tokens = last["usage"]["completion_tokens"]
        seconds = last["timings"]["predicted_ms"] / 1e3
    speed = heard.completion.metrics.output_tokens_per_second
    assert speed == pytest.approx(tokens / seconds, rel=1e-12)


def test_reasoning(place: Place, ask: Ask, *, streamed: bool) -> None:
    """Ollama needs `think`, llama-server needs nothing, Ollama's /v1 leaves tags in the text."""
    wish = {"ollama": {"think": True}, "ollama-v1": {"split_think": True}, "llama": {}}[place.name]
    vessel = place.vessel("think")
    heard = ask.hear(vessel, "think", "Hello", streamed=streamed, **wish).check()
    assert heard.completion.reasoning.strip() == THOUGHT
    assert heard.completion.text.strip() == GREETING
    assert heard.completion.finish_reason == "stop"
    if heard.chunks is not None:
        assert sum(bool(chunk.reasoning) for chunk in heard.chunks) > 3


def test_tool_call_and_the_way_back(place: Place, ask: Ask, *, streamed: bool) -> None:
    vessel = place.vessel("tool")
    question = Message(role="user", content="What is the weather in Zürich?")
    heard = ask.hear(vessel, "tool", [question], tools=[WEATHER], streamed=streamed).check()
    completion = heard.completion
    (call,) = completion.tool_calls
    assert call.name == "get_weather"
    assert call.arguments == WEATHER_ASKED
    assert completion.text == ""
    # Ollama's own API says `stop` although a tool is called.
    expected = "stop" if place.name == "ollama" else "tool_calls"
    assert completion.raw_finish_reason == expected
    told = {"role": "tool", "content": "12 °C", "name": call.name, "tool_call_id": call.id or "1"}
    conversation = [question, completion.to_message(), told]
    again = ask.hear(vessel, "tool", conversation, tools=[WEATHER], streamed=streamed).check()
    assert again.completion.outcome == "complete"


def test_prompt_without_messages(place: Place, ask: Ask, *, streamed: bool) -> None:
    """Ollama's /api/generate, and the legacy completions."""
    prompt = "<|im_start|>assistant\n" if place.name == "llama" else "Tell me a story."
    heard = ask.hear(place.vessel("story"), "story", prompt=prompt, streamed=streamed).check()
    route = "/api/generate" if place.name == "ollama" else "/v1/completions"
    assert str(heard.recorded.request["url"]).endswith(route)
    completion = heard.completion
    assert completion.text == STORY
    assert completion.finish_reason == "stop"
    assert completion.usage is not None
    assert completion.usage.output_tokens in range(66, 75)
    assert completion.metrics.time_to_first_chunk is not None


def test_cut_by_its_length(place: Place, ask: Ask, *, streamed: bool) -> None:
    heard = ask.hear(place.vessel("story"), "story", "Hi", max_tokens=4, streamed=streamed).check()
    assert heard.completion.finish_reason == "length"
    assert heard.completion.outcome == "complete"
    assert STORY.startswith(heard.completion.text)
    assert heard.completion.usage is not None
    assert heard.completion.usage.output_tokens == 4


class Lamp(BaseModel):
    on: bool
    colour: Literal["red", "green"]


def test_pydantic_model_as_format_and_back(place: Place, ask: Ask, *, streamed: bool) -> None:
    """A model with random weights follows the schema only if the server enforces it."""
    heard = ask.hear(
        place.vessel("tiny"), "tiny", "Hello", response_format=Lamp, seed=1, streamed=streamed
    ).check()
    assert isinstance(heard.completion.parse(Lamp), Lamp)


def test_any_json(place: Place, ask: Ask, *, streamed: bool) -> None:
    """The model says random words; the server enforces JSON up to max_tokens."""
    heard = ask.hear(
        place.vessel("tiny"),
        "tiny",
        "Hi",
        response_format="json",
        max_tokens=30,
        seed=1,
        streamed=streamed,
    ).check()
    assert heard.completion.text.lstrip().startswith("{")


def test_half_characters(place: Place, ask: Ask, *, streamed: bool) -> None:
    """The model says random bytes; what the server sends for them is kept unchanged."""
    heard = ask.hear(
        place.vessel("bytes"), "bytes", "Hello", max_tokens=300, seed=7, streamed=streamed
    ).check()
    heard.completion.text.encode()  # no half of a surrogate pair
    assert len(heard.completion.text) > 20
    assert any(not character.isascii() for character in heard.completion.text)


def test_sync_and_async_are_equal(place: Place, tmp_path: Path, *, streamed: bool) -> None:
    """Except for times, and the names and numbers of the run."""
    clients = (Ask("sync", tmp_path), Ask("async", tmp_path))
    vessel = place.vessel("story")
    # The prompt is cached from now on.
    clients[0].complete(vessel, "story", "Tell me a story.")
    one, two = (
        each.hear(vessel, "story", "Tell me a story.", streamed=streamed).check()
        for each in clients
    )
    assert one.path != two.path
    assert one.completion.text == STORY
    assert timeless(one.completion) == timeless(two.completion)
    if one.chunks is not None and two.chunks is not None:
        kept = {"seq", "choice", "role", "text", "reasoning", "finish_reason", "usage", "model"}
        assert [chunk.model_dump(include=kept) for chunk in one.chunks] == [
            chunk.model_dump(include=kept) for chunk in two.chunks
        ]


def test_stream_and_body_say_the_same(place: Place, ask: Ask) -> None:
    """A stream adds up to the same text as the whole answer."""
    vessel = place.vessel("think")
    said = [
        (heard.completion.text, heard.completion.reasoning, heard.completion.finish_reason)
        for heard in (
            ask.hear(vessel, "think", "Hello", streamed=streamed) for streamed in (True, False)
        )
    ]
    assert said[0] == said[1]
