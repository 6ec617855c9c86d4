"""Log probabilities of the Gemini API in the universal form, which is the OpenAI dialect's.

https://ai.google.dev/api/generate-content#LogprobsResult
"""

from __future__ import annotations

from typing import Any

from .wire_values import list_in

__all__ = ["read_logprobs"]


def read_logprobs(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The chosen tokens of a `LogprobsResult`, each with its alternatives."""
    alternatives = list_in(result, "topCandidates")
    return [
        {
            **_token(chosen),
            "top_logprobs": [
                _token(each)
                for place in alternatives[number : number + 1]
                for each in list_in(place, "candidates")
            ],
        }
        for number, chosen in enumerate(list_in(result, "chosenCandidates"))
    ]


def _token(token: dict[str, Any]) -> dict[str, Any]:
    return {"token": token.get("token"), "logprob": token.get("logProbability")}
