"""Token counts under the names of all servers of the OpenAI dialect."""

from __future__ import annotations

from typing import Any

import pytest

from decoding import DONE, JSON, SSE, decode, delta, openai, sse
from vesselog.core.jsontext import dumps
from vesselog.vessels import Frame, Framing, OpenAI, WireRequest

STOP = delta("stop")


def usage(**counts: Any) -> dict[str, Any]:
    found = openai(delta(content="a"), {**STOP, "usage": counts})
    assert found.completion.usage is not None
    return found.completion.usage.model_dump(exclude_none=True)


@pytest.mark.parametrize(
    "counts",
    [
        {"prompt_tokens_details": {"cache_write_tokens": 4}},
        {"prompt_tokens_details": {"cache_creation_input_tokens": 4}},
        {"input_tokens_details": {"cache_creation_tokens": 4}},
        {"cache_creation_input_tokens": 4},
        {"cache_write_tokens": 4},
    ],
)
def test_tokens_written_to_a_cache_have_a_field(counts: dict[str, Any]) -> None:
    assert usage(**counts) == {"cache_write_tokens": 4}


def test_further_counts_are_kept_as_they_are_nested() -> None:
    inside = {"audio_tokens": 3, "video_tokens": 0, "image_tokens": 5, "none": None}
    spoken = {"accepted_prediction_tokens": 1, "reasoning_tokens": 2}
    found = usage(
        prompt_tokens=10,
        completion_tokens=5,
        prompt_tokens_details={**inside, "cached_tokens": 2},
        completion_tokens_details=spoken,
    )
    assert found == {
        "input_tokens": 10,
        "output_tokens": 5,
        "cached_input_tokens": 2,
        "reasoning_tokens": 2,
        "details": {
            "prompt_tokens_details": {"audio_tokens": 3, "video_tokens": 0, "image_tokens": 5},
            "completion_tokens_details": {"accepted_prediction_tokens": 1},
        },
    }


def test_reasoning_beside_the_output_is_added_where_the_total_says_so() -> None:
    """xAI."""
    counts = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 9}
    told = {**counts, "completion_tokens_details": {"reasoning_tokens": 5}}
    found = openai(delta(content="a"), {**STOP, "usage": told})
    assert found.repairs == ["reasoning-tokens-apart"]
    assert found.completion.usage is not None
    assert found.completion.usage.output_tokens == 6
    assert usage(**{**told, "total_tokens": 4})["output_tokens"] == 1, "a part of the output"
    assert usage(**counts)["output_tokens"] == 1


def test_costs_go_to_extra() -> None:
    found = openai(delta(content="a"), {**STOP, "usage": {"prompt_tokens": 1, "cost": 0.5}})
    assert found.completion.extra["usage"] == {"cost": 0.5}


# A stream that ends before its usage.


@pytest.mark.parametrize("cost", [{"cost": 1}, None])
def test_a_stream_that_ends_before_the_usage_that_was_asked_for_says_so(cost: Any) -> None:
    found = openai(delta(content="a"), {**STOP, "usage": cost}, usage=True)
    assert (found.outcome, found.completion.usage) == ("complete", None)
    assert found.repairs == ["usage-missing"]
    assert found.steps[-1].frame.repairs == ("usage-missing",)
    assert (found.steps[-1].frame.raw, found.steps[-1].chunks) == (b"", ())


@pytest.mark.parametrize(
    ("events", "settings"),
    [
        ([delta(content="a"), STOP], {}),
        ([delta(content="a"), STOP, DONE], {"usage": True}),
        ([delta(content="a"), {**STOP, "usage": {"prompt_tokens": 1}}], {"usage": True}),
        ([delta(content="a"), STOP, {"x_groq": {"usage": {"prompt_tokens": 1}}}], {"usage": True}),
        ([delta(content="a")], {"usage": True}),
    ],
    ids=["not asked for", "done", "there", "there, behind the finish", "truncated"],
)
def test_any_other_end_does_not_say_so(events: list[Any], settings: dict[str, Any]) -> None:
    assert "usage-missing" not in openai(*events, **settings).repairs


def test_a_whole_answer_is_not_cut_behind_its_finish() -> None:
    choice = {"index": 0, "message": {"content": "a"}, "finish_reason": "stop"}
    found = decode(OpenAI(), dumps({"choices": [choice]}), JSON, usage=True)
    assert (found.outcome, found.repairs) == ("complete", [])


@pytest.mark.parametrize("option", [None, True, {"include_usage": False}, {"include_usage": "yes"}])
def test_only_the_option_asks_for_usage(option: Any) -> None:
    vessel = OpenAI()
    request = WireRequest(url="http://x", body={"model": "m", "stream_options": option})
    decoder = vessel.decoder(request)
    for event in (delta(content="a"), STOP):
        list(decoder.decode(Frame(sse(event), Framing.SSE)))
    last = Frame(b"", Framing.SSE)
    assert list(decoder.flush(last)) == []
    assert last.repairs == ()


def test_every_cut_behind_the_finish_is_told() -> None:
    """Of 2,100 captured streams that were cut there, 159 lost their usage in silence."""
    frames = [
        sse(delta(content="a")),
        sse(STOP),
        sse({"choices": [], "usage": {"prompt_tokens": 1}}),
        DONE,
    ]
    body = b"".join(frames)
    finished = len(frames[0] + frames[1])
    for cut in range(finished, len(body)):
        found = decode(OpenAI(), body[:cut], SSE, usage=True)
        assert found.outcome == "complete"
        lost = found.completion.usage is None
        assert lost == ("usage-missing" in found.repairs)
