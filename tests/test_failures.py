"""Errors of providers: by status, and in the middle of an answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from decoding import DONE, decode, delta, openai
from vesselog.vessels import OpenAI

STOP = delta("stop")
USAGE = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}


@pytest.mark.parametrize(
    ("event", "message", "code", "retryable"),
    [
        (
            {"error": {"message": "no", "type": "server_error", "code": None}},
            "no",
            "server_error",
            True,
        ),
        ({"error": {"message": "no", "code": 502}}, "no", "502", True),
        ({"error": {"message": "no", "code": "500"}}, "no", "500", True),
        ({"error": {"message": "no", "code": 400}}, "no", "400", False),
        ({"error": "no"}, "no", None, False),
        ({"object": "error", "message": "no", "type": "t", "code": 7}, "no", "7", False),
        ({"detail": "no"}, "no", None, False),
        ({"x_groq": {"error": "no"}, "choices": []}, "no", None, False),
        (b'event: error\ndata: {"error":{"message":"no"}}\n\n', "no", None, False),
        (b'event: error\ndata: {"message":"no"}\n\n', "no", None, False),
        (b"event: error\ndata: no\n\n", "no", None, False),
        (b"event: error\ndata:\n\n", "it does not say why", None, False),
        (b'error: {"message":"no","code":500}\n\n', "no", "500", True),
        (b"error: no\r\n\r\n", "no", None, False),
        (b'{"error":{"message":"no"}}\n\n', "no", None, False),
        (b'data: [{"error":{"message":"no","code":429}}]\n\n', "no", "429", True),
    ],
)
def test_errors_in_band(event: Any, message: str, code: str | None, retryable: bool) -> None:  # noqa: FBT001
    found = openai(delta(content="a"), event, {**STOP, "usage": USAGE}, DONE)
    assert found.outcome == "ProviderError"
    assert found.error
    assert str(found.error) == f"openai failed while answering: {message}"
    assert (found.error.code, found.error.retryable) == (code, retryable)
    assert found.completion.text == "a"
    assert found.steps[1].error is found.error, "the frame of the error is recorded, then it raises"


@pytest.mark.parametrize("beside", [{}, {"error": {"message": "no", "code": 502}}])
def test_an_error_beside_choices_comes_after_what_they_say(beside: Any) -> None:
    found = openai(delta(content="a"), {**delta("error", content="b"), **beside})
    assert found.outcome == "ProviderError"
    assert found.completion.text == "ab"
    assert found.completion.finish_reason == "error"


def test_an_error_in_a_choice() -> None:
    event = delta("stop", content="b")
    event["choices"][0]["error"] = {"message": "no", "code": 502}
    found = openai(delta(content="a"), event)
    assert (found.outcome, found.completion.text) == ("ProviderError", "ab")


def test_an_error_by_itself_after_the_end_changes_nothing() -> None:
    found = openai(delta(content="a"), STOP, {"error": {"message": "no"}})
    assert found.outcome == "complete"
    assert found.repairs == ["error-after-the-end"]


def test_an_error_beside_more_of_the_answer_is_how_it_ended() -> None:
    found = openai(delta(content="a"), STOP, {**delta("stop", content="b"), "error": "no"})
    assert found.outcome == "ProviderError"


@pytest.mark.parametrize(
    "data",
    [
        b"nothing",
        b"5",
        b'"text"',
        b'{"choices":5}',
        b'{"choices":[5]}',
        b'{"choices":[{"index":0,"delta":"x"}]}',
        b'{"choices":[{"index":0,"delta":{"content":5}}]}',
        b'{"choices":[{"index":0,"delta":{"tool_calls":"x"}}]}',
        b'{"choices":[{"index":0,"finish_reason":["x"]}]}',
        b'{"object":"list","data":[]}',
        b'{"choices":[{"index":0,"delta":{"content":"los',
        b'{"id":"x","choidata: {"choices":[]}',
    ],
)
def test_what_is_not_the_dialect_is_an_error_after_what_came(data: bytes) -> None:
    found = openai(delta(content="a"), b"data: " + data + b"\n\n", STOP)
    assert found.outcome == "ProtocolError"
    assert found.completion.text == "a"
    assert found.steps[1].frame.raw == b"data: " + data + b"\n\n"


@pytest.mark.parametrize(
    ("status", "body", "message", "code", "retryable"),
    [
        (
            401,
            '{"error":{"message":"bad key","type":"t","code":"invalid"}}',
            "bad key",
            "invalid",
            False,
        ),
        (404, '{"error":"no model"}', "no model", None, False),
        (400, '{"code":400,"error":"bad"}', "bad", "400", False),
        (
            400,
            '{"object":"error","message":"bad","type":"t","param":null,"code":3}',
            "bad",
            "3",
            False,
        ),
        (422, '{"detail":[{"loc":["body"],"msg":"missing","type":"m"}]}', "missing", "m", False),
        (401, '{"detail":"Unauthorized"}', "Unauthorized", None, False),
        (400, '{"code":400,"message":"bad","type":"Bad Request"}', "bad", "400", False),
        (502, "upstream\n  failed", "upstream failed", None, True),
        (
            503,
            "<html><head><title>503 Busy</title></head><body>…</body></html>",
            "503 Busy",
            None,
            True,
        ),
        (500, "<p>Oh <b>no</b></p>", "Oh no", None, True),
        (408, "", None, None, True),
        (429, '{"error":{"message":"slow","code":429}}', "slow", "429", True),
        (501, "{}", "{}", None, False),
        (400, '[{"error":{"message":"bad","code":400}}]', "bad", "400", False),
        (400, '{"error":{"message":{"a":1}}}', '{"a":1}', None, False),
        (400, '{"error":null}', '{"error":null}', None, False),
        (400, "null", None, None, False),
    ],
)
def test_error_bodies(status: int, body: str, message: Any, code: Any, retryable: bool) -> None:  # noqa: FBT001
    found = decode(OpenAI(), body.encode(), "text/plain", status=status)
    error = found.error
    assert error
    assert found.raw == body.encode()
    said = f": {message}" if message else ""
    assert str(error) == f"openai answered {status}{said}"
    assert (error.status, error.code, error.retryable) == (status, code, retryable)


def test_a_long_error_body_gives_a_short_message() -> None:
    for body in ("x" * 10_000, json.dumps({"error": {"message": "x" * 10_000}})):
        assert len(str(OpenAI().failure(500, body))) < 600


def test_a_page_with_status_200_is_no_answer() -> None:
    found = decode(OpenAI(), b"<html><body>Sign in</body></html>", "text/html")
    assert found.outcome == "ProtocolError"
