"""What servers of the OpenAI dialect stream piece by piece is whole in the completion."""

from __future__ import annotations

from typing import Any

from decoding import DONE, delta, openai


def test_citations_that_come_one_by_one_are_all_there() -> None:
    """LiteLLM, in front of Anthropic."""

    def cited(url: str) -> dict[str, Any]:
        return delta(content="a", provider_specific_fields={"citation": {"url": url}})

    found = openai(cited("u"), cited("v"), delta("stop"), DONE)
    both = {"citations": [{"url": "u"}, {"url": "v"}]}
    assert found.completion.extra["provider_specific_fields"] == both
    assert found.natives[0]["provider_specific_fields"] == both


def test_other_fields_of_a_provider_stay_as_they_are() -> None:
    found = openai(delta(content="a", provider_specific_fields={"x": {"y": 1}}), delta("stop"))
    assert found.completion.extra["provider_specific_fields"] == {"x": {"y": 1}}
    found = openai(delta(content="a", provider_specific_fields=None), delta("stop"))
    assert (found.outcome, found.completion.text) == ("complete", "a")


def test_log_probabilities_as_bare_numbers_are_those_of_their_tokens() -> None:
    """Together streams one number with each token."""

    def token(text: str, logprob: float, finish: str | None = None) -> dict[str, Any]:
        event = delta(finish, content=text)
        event["choices"][0]["logprobs"] = logprob
        return event

    found = openai(token("a", -0.5), token("b", -1, "stop"), DONE)
    assert found.completion.logprobs == {
        "content": [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": -1}]
    }


def test_a_sound_is_whole_in_the_completion() -> None:
    found = openai(
        delta(audio={"id": "s", "transcript": "He"}),
        delta(audio={"transcript": "y", "data": "AA=="}),
        delta(audio={"data": "AQ=="}),
        delta("stop"),
    )
    sound = {"id": "s", "transcript": ["He", "y"], "data": ["AA==", "AQ=="]}
    assert found.completion.extra["audio"] == sound
