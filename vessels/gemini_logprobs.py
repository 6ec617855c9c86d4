"""Log probabilities of the Gemini API in the universal form, which is the OpenAI dialect's.

https://ai.google.dev/api/generate-content#LogprobsResult
"""

from __future__ import annotations

from typing import Any

from .wire_values import list_in

__all__ = ["read_logprobs"]


def read_logprobs(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The chosen tokens of a `LogprobsResult`, each with its alternatives."""
    chosen = _tokens(list_in(result, "chosenCandidates"))
    alternatives = list_in(result, "topCandidates")
    for token in chosen[len(alternatives) :]:
        token["top_logprobs"] = []
    for token, place in zip(chosen, alternatives, strict=False):
        token["top_logprobs"] = _tokens(list_in(place, "candidates"))
    return chosen


def _tokens(listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"token": each.get("token"), "logprob": each.get("logProbability")} for each in listed]
