"""Names of the Gemini API's fields in snake_case, which are read as those in camelCase are."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from answering import sent
from decoding import JSON, SSE, Decoded, decode
from vesselog.core.frame import Frame
from vesselog.core.framing import Framing
from vesselog.vessels import Gemini
from vesselog.vessels.gemini_names import in_camel_case, may_be_in_snake_case

ARGUMENTS = {"file_uri": "x", "fileUri": "y", "function_call": {"mime_type": 1}}
IMAGE = {"inlineData": {"mimeType": "image/png", "data": "QUJD"}}
# One of everything that an answer has and the vessel reads.
EVENTS: list[dict[str, Any]] = [
    {
        "responseId": "r",
        "modelVersion": "gemini-3-pro",
        "candidates": [
            {
                "content": {
                    "role": "model",
                    "parts": [
                        {"text": "Hm", "thought": True, "thoughtSignature": "c2ln"},
                        {"text": 'a "snake_case": name'},
                        IMAGE,
                        {"fileData": {"mimeType": "text/plain", "fileUri": "https://x"}},
                        {"executableCode": {"language": "PYTHON", "code": "1"}},
                        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
                        {
                            "functionCall": {"id": "a", "name": "my_tool", "args": ARGUMENTS},
                            "thoughtSignature": "c2ln",
                        },
                        {"functionCall": {"name": "later", "willContinue": True}},
                        {
                            "functionCall": {
                                "partialArgs": [{"jsonPath": "$.city_name", "stringValue": "Rome"}],
                                "willContinue": False,
                            }
                        },
                    ],
                },
                "logprobsResult": {
                    "chosenCandidates": [{"token": "a", "logProbability": -1.0}],
                    "topCandidates": [{"candidates": [{"token": "a", "logProbability": -1.0}]}],
                },
                "groundingMetadata": {"webSearchQueries": ["tide"]},
            }
        ],
    },
    {
        "candidates": [{"finishReason": "STOP", "safetyRatings": [{"category": "HARM_X"}]}],
        "usageMetadata": {
            "promptTokenCount": 3,
            "cachedContentTokenCount": 1,
            "candidatesTokenCount": 5,
            "thoughtsTokenCount": 2,
            "toolUsePromptTokenCount": 1,
            "totalTokenCount": 11,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 3}],
        },
    },
]


def in_snake_case(value: Any, *, beside: bool = False) -> Any:
    """As a proxy writes it that has the names of the protocol buffers. beside: with both names."""
    if isinstance(value, list):
        return [in_snake_case(each, beside=beside) for each in value]
    if not isinstance(value, dict):
        return value
    written: dict[str, Any] = {}
    for key, each in value.items():
        told = each if key == "args" else in_snake_case(each, beside=beside)
        if key == "webSearchQueries":  # a name that nobody knows here stays as it came
            written[key] = told
            continue
        snake = re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", key)
        written[snake] = told
        if beside and snake != key:
            written = {key: told, **written, **({snake: None} if len(written) % 2 else {})}
    return written


def decoded(events: list[Any], *, envelope: bool = False) -> Decoded:
    told = [{"response": each} if envelope else each for each in events]
    body = b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in told)
    return decode(Gemini(), body, SSE)


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("envelope", [False, True])
def test_an_answer_in_snake_case_is_the_same_answer(*, beside: bool, envelope: bool) -> None:
    usual = decoded(EVENTS)
    found = decoded(in_snake_case(EVENTS, beside=beside), envelope=envelope)
    assert (found.outcome, usual.outcome) == ("complete", "complete")
    assert found.said == usual.said
    assert found.natives == usual.natives
    assert found.completion.tool_calls[0].arguments == ARGUMENTS
    assert found.completion.tool_calls[1].arguments == {"city_name": "Rome"}
    assert "field-in-snake-case" in found.repairs
    assert "field-in-snake-case" not in usual.repairs


def test_a_whole_answer_and_one_that_was_blocked() -> None:
    body = in_snake_case({**EVENTS[0], "candidates": [{**EVENTS[0]["candidates"][0]}]})
    body["candidates"][0]["finish_reason"] = "MAX_TOKENS"
    found = decode(Gemini(), json.dumps(body).encode(), JSON, stream=False)
    assert found.completion.finish_reason == "length"
    blocked = decoded([{"prompt_feedback": {"block_reason": "SAFETY"}}])
    assert blocked.completion.finish_reason == "content_filter"
    assert blocked.completion.raw_finish_reason == "SAFETY"


def test_native_messages_and_own_parts_go_back_in_camel_case() -> None:
    """Those of users, who copied them from elsewhere, and those of other proxies."""
    native = {
        "role": "model",
        "parts": [
            {"function_call": {"name": "f", "args": ARGUMENTS}, "thought_signature": "c2ln"},
            {"inline_data": {"mime_type": "image/png", "data": "QUJD"}},
        ],
    }
    body = sent(
        Gemini(),
        [
            {"role": "user", "content": [{"type": "file", "file_data": {"file_uri": "https://x"}}]},
            {"role": "assistant", "content": "", "native": {"gemini": native}},
        ],
        "gemini-3-pro",
    )
    assert body["contents"] == [
        {"role": "user", "parts": [{"fileData": {"fileUri": "https://x"}}]},
        {
            "role": "model",
            "parts": [
                {"functionCall": {"name": "f", "args": ARGUMENTS}, "thoughtSignature": "c2ln"},
                IMAGE,
            ],
        },
    ]


@pytest.mark.parametrize("first", ["inline_data", "inlineData"])
def test_of_two_spellings_the_one_that_says_something_counts(first: str) -> None:
    second = "inlineData" if first == "inline_data" else "inline_data"
    frame = Frame(b"{}", Framing.NDJSON)
    assert in_camel_case({first: {"data": "x"}, second: None}, frame) == {
        "inlineData": {"data": "x"}
    }
    assert in_camel_case({first: None, second: {"data": "x"}}) == {"inlineData": {"data": "x"}}
    assert frame.repairs == ("field-in-snake-case",)


def test_only_names_are_looked_for() -> None:
    assert may_be_in_snake_case('{"finish_reason": "STOP"}')
    assert not may_be_in_snake_case(json.dumps({"text": 'the key "finish_reason": here'}))
    assert not may_be_in_snake_case('{"finishReason": "MAX_TOKENS"}')
