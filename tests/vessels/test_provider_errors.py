"""Errors of providers: what their bodies say of another try."""

from __future__ import annotations

import json
from typing import Any

import pytest

from decoding import DONE, SSE, decode, delta, ollama, openai, sse
from vesselog.core.errors import ProviderError, error_from_record
from vesselog.vessels import Anthropic, Gemini, OpenAIResponses, error_in_band, error_of_status

RETRY_INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.07s"}


def google(*details: dict[str, Any]) -> dict[str, Any]:
    return {
        "error": {
            "code": 429,
            "message": "quota",
            "status": "RESOURCE_EXHAUSTED",
            "details": [{"@type": "type.googleapis.com/google.rpc.Help"}, *details],
        }
    }


@pytest.mark.parametrize("wrapped", [False, True], ids=["object", "list"])
def test_googles_retry_info_is_the_wait(wrapped: bool):  # noqa: FBT001
    body = google(RETRY_INFO)
    error = error_of_status("gemini", 429, json.dumps([body] if wrapped else body))
    assert error.retry_after == 34.07
    assert error.retryable


@pytest.mark.parametrize("delay", ["soon", "", "1e999s", "nans", None, 7, {"seconds": 3}])
def test_an_odd_delay_is_no_advice(delay: Any):
    body = google({**RETRY_INFO, "retryDelay": delay})
    assert error_of_status("gemini", 429, json.dumps(body)).retry_after is None


def test_a_delay_in_band():
    error = error_in_band("gemini", google(RETRY_INFO)["error"])
    assert (error.retry_after, error.retryable) == (34.07, True)


@pytest.mark.parametrize("place", ["code", "type"])
@pytest.mark.parametrize("code", ["insufficient_quota", "billing_not_active"])
def test_missing_money_is_not_cured_by_waiting(code: str, place: str):
    fields = {"message": "no", "code": 429, "type": "tokens", place: code}
    assert not error_of_status("openai", 429, json.dumps({"error": fields})).retryable
    assert not error_in_band("openai", fields).retryable


@pytest.mark.parametrize(
    "code",
    [
        *("overloaded_error", "engine_overloaded_error", "RESOURCE_EXHAUSTED", "UNAVAILABLE"),
        *("service_tier_capacity_exceeded", "rate_limit_exceeded", "ServiceUnavailableException"),
        *("429", "503", "529", 503),
    ],
)
def test_missing_capacity_in_band_is_worth_another_try(code: str | int):
    assert error_in_band("openai", {"message": "busy", "code": code}).retryable


def test_a_deeply_nested_error_is_read():
    body: Any = "end"
    for _ in range(200):
        body = {"error": [body]}
    assert error_in_band("openai", body).retry_after is None


def test_the_id_of_a_request_is_in_the_body_where_no_header_has_it():
    told = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    body = {**told, "request_id": "req_1"}
    error = Anthropic().failure(529, json.dumps(body))
    assert error.request_id == "req_1"
    assert error_from_record(error.to_record()).request_id == "req_1"
    error.headers = {"request-id": "req_2"}
    assert error.request_id == "req_2"
    assert Anthropic().failure(529, json.dumps(told)).request_id is None
    found = decode(Anthropic(), f"event: error\ndata: {json.dumps(body)}\n\n".encode(), SSE)
    assert found.error is not None
    assert found.error.request_id == "req_1"


EMPTY = {"message": "", "type": "", "code": None, "status": 0}


@pytest.mark.parametrize("empty", [EMPTY, {"code": 0, "message": ""}, {}, "", None, False])
def test_an_error_that_says_nothing_is_none(empty: Any) -> None:
    text = {"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}
    message = {"content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn"}
    line = {"message": {"content": "Hi"}, "done": True, "done_reason": "stop"}
    choice = {**delta("stop", content="Hi"), "error": empty}
    choice["choices"][0]["error"] = empty
    done = {"type": "response.completed", "response": {"status": "completed", "output_text": ""}}
    for found in (
        openai(choice, DONE),
        ollama({**line, "error": empty}),
        decode(Gemini(), sse({"candidates": [text], "error": empty}), SSE),
        decode(Anthropic(), sse({"type": "message", **message, "error": empty}), SSE),
        decode(OpenAIResponses(), sse({**done, "error": empty}), SSE),
    ):
        assert found.outcome == "complete"
        assert found.completion.finish_reason == "stop"


@pytest.mark.parametrize(
    ("told", "code", "retryable"),
    [
        ({"error": "busy", "error_type": "overloaded"}, "overloaded", True),
        ({"error": "failed", "error_type": "generation"}, "generation", False),
        ({"error": "busy", "StatusCode": 429, "Status": "429 Too Many"}, "429", True),
        ({"code": "Throttling.RateQuota", "message": "busy"}, "Throttling.RateQuota", True),
    ],
)
def test_the_code_beside_an_errors_text(told: Any, code: str, *, retryable: bool) -> None:
    for found in (openai(told), ollama(told)) if "error" in told else (openai(told),):
        assert isinstance(found.error, ProviderError)
        assert (found.error.code, found.error.retryable) == (code, retryable)
        assert str(told.get("error", "busy")) in str(found.error)


def test_amazons_message_is_read() -> None:
    body = json.dumps({"Message": "Authentication failed"})
    assert "Authentication failed" in str(error_of_status("anthropic", 403, body))


@pytest.mark.parametrize("text", ["[" * 1000 + "]" * 1000, '{"error":[' * 450 + "]}" * 450])
def test_an_error_that_is_nested_deeply_is_one_without_a_reason(text: str):
    error = error_of_status("openai", 503, text)
    assert (error.message, error.status, error.retryable) == ("openai answered 503", 503, True)


def test_a_code_of_an_error_beside_a_text_is_an_error():
    """FastChat, which sends `[DONE]` behind it."""
    failed = {"text": "**NETWORK ERROR**", "error_code": 50001}
    found = openai(delta(content="Hi"), failed, DONE)
    assert found.error is not None
    assert (found.outcome, found.completion.text) == ("ProviderError", "Hi")
    assert found.error.message.endswith("**NETWORK ERROR**")
    fine = openai(delta(content="Hi"), {"text": "", "error_code": 0}, delta("stop"), DONE)
    assert (fine.outcome, fine.completion.text) == ("complete", "Hi")
