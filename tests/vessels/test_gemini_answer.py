"""What the Gemini vessel reads where answers are odd: reasons, errors, frames, fields in pieces."""

from __future__ import annotations

import json
from typing import Any

import pytest

from decoding import JSON, SSE, Decoded, decode
from vesselog.core.errors import ProviderError
from vesselog.core.vessel import Progress
from vesselog.vessels import Gemini

RETRY_INFO = {
    "code": 429,
    "message": "quota",
    "status": "RESOURCE_EXHAUSTED",
    "details": [
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": []},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.07s"},
    ],
}


def event(text: str | None = None, finish: Any = None, **candidate: Any) -> dict[str, Any]:
    parts = [] if text is None else [{"text": text}]
    content = {"content": {"role": "model", "parts": parts}, **candidate}
    return {"candidates": [content | ({} if finish is None else {"finishReason": finish})]}


def frame(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def answer(*values: Any, content_type: str = SSE, **settings: Any) -> Decoded:
    body = b"".join(each if isinstance(each, bytes) else frame(each) for each in values)
    return decode(Gemini(), body, content_type, **settings)


LAST = event(finish="STOP")


@pytest.mark.parametrize(
    ("reason", "finish", "name"),
    [
        ("STOP", "stop", "STOP"),
        (1, "stop", "STOP"),
        ("MAX_TOKENS", "length", "MAX_TOKENS"),
        (2, "length", "MAX_TOKENS"),
        ("SAFETY", "content_filter", "SAFETY"),
        (3, "content_filter", "SAFETY"),
        ("RECITATION", "content_filter", "RECITATION"),
        ("LANGUAGE", "content_filter", "LANGUAGE"),
        (8, "content_filter", "PROHIBITED_CONTENT"),
        ("IMAGE_SAFETY", "content_filter", "IMAGE_SAFETY"),
        ("IMAGE_OTHER", "content_filter", "IMAGE_OTHER"),
        ("NO_IMAGE", "content_filter", "NO_IMAGE"),
        (16, "content_filter", "NO_IMAGE"),
        ("OTHER", "other", "OTHER"),
        (5, "other", "OTHER"),
    ],
)
def test_finish_reasons_by_name_and_number(reason: Any, finish: str, name: str) -> None:
    for said in ("a", None):
        found = answer(event(said), {"candidates": [{"finishReason": reason}]})
        assert (found.outcome, found.repairs) == ("complete", [])
        completion = found.completion
        assert (completion.finish_reason, completion.raw_finish_reason) == (finish, name)


@pytest.mark.parametrize("reason", ["SOMETHING_NEW", 99, -1])
def test_an_unknown_reason_without_content_is_named_as_a_repair(reason: Any) -> None:
    for text, repairs in ((None, ["unknown-finish-reason"]), ("a", [])):
        found = answer(event(text), {"candidates": [{"finishReason": reason}]})
        assert found.completion.finish_reason == "other"
        assert found.completion.raw_finish_reason == str(reason)
        assert found.repairs == repairs


@pytest.mark.parametrize("reason", ["FINISH_REASON_UNSPECIFIED", 0, "", False, None])
def test_a_reason_that_says_nothing_ends_nothing(reason: Any) -> None:
    assert answer(event("a"), event(finish=reason)).outcome == "TruncatedError"


@pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", 10, "MISSING_THOUGHT_SIGNATURE"])
def test_a_failure_told_as_a_reason_is_an_error(reason: Any) -> None:
    found = answer(event("a"), event(finish=reason))
    assert isinstance(found.error, ProviderError)
    assert (found.completion.text, found.completion.finish_reason) == ("a", "error")


@pytest.mark.parametrize("content_type", [SSE, JSON, "text/plain", ""])
@pytest.mark.parametrize("indent", [None, 2])
def test_one_object_in_answer_to_a_stream_request(content_type: str, indent: int | None) -> None:
    body = json.dumps(event("Hi", "STOP"), indent=indent).encode()
    for ending in (b"", b"\n", b"\r\n\r\n"):
        found = decode(Gemini(), body + ending, content_type)
        assert (found.outcome, found.completion.text) == ("complete", "Hi")
        assert found.progress is Progress.FINISHED
    listed = json.dumps([event("H"), event("i", "STOP")], indent=indent).encode()
    found = decode(Gemini(), listed, content_type)
    assert (found.outcome, found.completion.text) == ("complete", "Hi")


@pytest.mark.parametrize(
    "failure",
    [
        json.dumps({"error": RETRY_INFO}).encode() + b"\n\n",
        json.dumps([{"error": RETRY_INFO}], indent=2).encode(),
        frame({"error": RETRY_INFO}),
        b"event: error\ndata: " + json.dumps({"error": RETRY_INFO}).encode() + b"\n\n",
        b"error: " + json.dumps(RETRY_INFO).encode() + b"\n\n",
    ],
)
def test_an_error_in_mid_stream_in_any_dress(failure: bytes) -> None:
    found = answer(event("a"), failure)
    assert isinstance(found.error, ProviderError)
    assert (found.error.code, found.error.retry_after) == ("429", 34.07)
    assert found.completion.text == "a"


def test_an_error_in_words() -> None:
    found = answer(event("a"), b"event: error\ndata: upstream is gone\n\n")
    assert "upstream is gone" in str(found.error)


@pytest.mark.parametrize("wrapped", [{"error": RETRY_INFO}, [{"error": RETRY_INFO}]])
def test_the_delay_that_an_error_body_asks_for(wrapped: Any) -> None:
    failure = Gemini().failure(429, json.dumps(wrapped))
    assert (failure.retry_after, failure.retryable, failure.code) == (34.07, True, "429")


@pytest.mark.parametrize("delay", [None, 5, "", "s", "nans", "infs", "-1s", "soon", {}])
def test_a_delay_that_cannot_be_read_is_none(delay: Any) -> None:
    error = {"code": 429, "details": [None, {"retryDelay": delay}]}
    for body in ({"error": error}, {"error": "x"}, [], "x", {"error": {"details": 5}}):
        assert Gemini().failure(429, json.dumps(body)).retry_after is None
    assert Gemini().failure(503, "<html>busy</html>").retry_after is None


@pytest.mark.parametrize(
    "nothing",
    [
        b"data: null\n\n",
        b"data: ping\n\n",
        b"data: {}\n\n",
        b"data: true\n\n",
        b'data: {"message": "queued"}\n\n',
    ],
)
def test_a_frame_that_says_nothing_is_kept_and_skipped(nothing: bytes) -> None:
    found = answer(nothing, event("A"), nothing, event("B", "STOP"))
    assert (found.outcome, found.completion.text) == ("complete", "AB")
    assert found.repairs == ["unknown-event"] * 2
    assert nothing in found.raw


def test_a_comment_as_data_is_skipped() -> None:
    found = answer(event("a"), b"data: : keep-alive\n\n", LAST)
    assert (found.outcome, found.repairs) == ("complete", ["comment-as-data"])


def test_the_end_of_another_dialect_is_ignored() -> None:
    found = answer(event("a", "STOP"), b"data: [DONE]\n\n")
    assert (found.outcome, found.repairs) == ("complete", ["done-marker"])


def test_glued_events() -> None:
    glued = b"data: " + json.dumps(event("a")).encode() + json.dumps(LAST).encode() + b"\n\n"
    found = answer(glued)
    assert (found.outcome, found.repairs) == ("complete", ["glued-events"])


@pytest.mark.parametrize("broken", [b'data: {"candidates"\n\n', b'data: "a"}\n\n', b"data: a{\n\n"])
def test_a_broken_frame_is_a_protocol_error_after_what_came(broken: bytes) -> None:
    found = answer(event("a"), broken, LAST)
    assert (found.outcome, found.completion.text) == ("ProtocolError", "a")


@pytest.mark.parametrize(
    "value",
    [
        {"candidates": [None, event("a")["candidates"][0]]},
        {"candidates": event("a")["candidates"][0]},
        {"candidates": [{"index": "0", "content": {"parts": [{"text": "a"}]}}]},
        {"candidates": [{"index": 0, "content": {"parts": "a"}}]},
        {"candidates": [{"index": 0, "content": "a"}]},
        {**event("a"), "usageMetadata": 5},
        {**event("a"), "modelVersion": 3},
        {**event("a"), "promptFeedback": "fine"},
        event("a", logprobsResult=[]),
    ],
)
def test_odd_values_are_repairs(value: Any) -> None:
    found = answer(value, LAST)
    assert (found.outcome, found.completion.text) == ("complete", "a")
    (name,) = set(found.repairs)
    assert name in {"unexpected-type", "missing-choice-index"}


def test_citations_and_grounding_in_pieces_are_joined_whatever_their_size() -> None:
    sources = [{"uri": f"https://x/{number}", "title": "t" * 3000} for number in range(4)]
    chunks = [{"web": {"uri": str(number)}} for number in range(2)]
    found = answer(
        event("a", citationMetadata={"citationSources": sources[:2]}),
        # Cumulative: what was told before is not told again.
        event("b", groundingMetadata={"groundingChunks": chunks[:1], "webSearchQueries": ["q"]}),
        event("c", groundingMetadata={"groundingChunks": chunks, "webSearchQueries": ["q"]}),
        event("d", "STOP", citationMetadata={"citationSources": sources[2:]}),
    )
    assert found.completion.extra == {
        "citationMetadata": {"citationSources": sources},
        "groundingMetadata": {"groundingChunks": chunks, "webSearchQueries": ["q"]},
    }


def test_a_field_that_is_repeated_is_told_once() -> None:
    ratings = [{"category": "C", "probability": "NEGLIGIBLE"}]
    found = answer(*[event("a", safetyRatings=ratings)] * 3, LAST)
    assert [bool(chunk.extra) for chunk in found.chunks] == [True, False, False, False]
    assert found.completion.extra == {"safetyRatings": ratings}


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("FinishReason.STOP", "stop"),
        ("FinishReason.IMAGE_SAFETY", "content_filter"),
        ("stop", "stop"),
        ("length", "length"),
    ],
)
def test_reasons_of_gateways_own_lists(reason: str, finish: str) -> None:
    found = answer(event("Hi", reason))
    assert found.outcome == "complete"
    assert found.completion.finish_reason == finish
    assert found.completion.raw_finish_reason == reason


@pytest.mark.parametrize("content_type", [SSE, JSON])
def test_an_answer_in_the_envelope_of_code_assist(content_type: str) -> None:
    values = [{"response": event("Hi", "STOP"), "traceId": "t"}]
    found = (
        decode(Gemini(), json.dumps(values[0]).encode(), JSON, stream=False)
        if content_type == JSON
        else answer(*values)
    )
    assert (found.outcome, found.completion.text) == ("complete", "Hi")
    assert "answer-in-envelope" in found.repairs


def test_a_whole_answer_that_calls_tools_without_a_reason() -> None:
    call = {"functionCall": {"name": "f", "args": {"x": 1}}}
    body = {"candidates": [{"content": {"parts": [call]}}]}
    found = decode(Gemini(), json.dumps(body).encode(), JSON, stream=False)
    assert (found.outcome, found.completion.finish_reason) == ("complete", "tool_calls")
