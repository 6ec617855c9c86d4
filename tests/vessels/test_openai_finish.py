"""Finish reasons of the OpenAI dialect, and what each means."""

from __future__ import annotations

from typing import Any

import pytest

from decoding import delta, openai
from vesselog.vessels import finish_reason


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        *((raw, "stop") for raw in ("stop", "STOP", "end_turn", "COMPLETE", "stop_sequence")),
        *((raw, "length") for raw in ("MAX_TOKENS", "max_output", "model_context_window_exceeded")),
        *(
            (raw, "content_filter")
            for raw in ("SAFETY", "sensitive", "guardrail_intervened", "blacklist")
        ),
        ("content_filter: PROHIBITED_CONTENT", "content_filter"),
        *((raw, "other") for raw in ("load", "unload", "repetition", "custom")),
    ],
)
def test_a_reason_that_servers_list_is_known(raw: str, reason: str) -> None:
    found = openai(delta(content="a"), delta(raw))
    assert (found.completion.finish_reason, found.completion.raw_finish_reason) == (reason, raw)
    assert (found.outcome, found.repairs) == ("complete", [])


@pytest.mark.parametrize(
    "raw",
    [
        *("abort", "error", "network_error", "insufficient_system_resource", "cancelled"),
        *("ERROR", "function_call_filter: MALFORMED_FUNCTION_CALL", "time_limit"),
    ],
)
def test_a_server_that_gives_up_is_a_failure_with_what_came(raw: str) -> None:
    found = openai(delta(content="Once upon"), delta(raw))
    assert found.outcome == "ProviderError"
    assert found.error is not None
    assert raw in found.error.message
    assert found.completion.text == "Once upon"
    assert found.natives[0]["content"] == "Once upon"


def test_an_unknown_reason_without_content_is_named() -> None:
    found = openai(delta(role="assistant"), delta("overwhelmed"))
    assert (found.outcome, found.repairs) == ("complete", ["unknown-finish-reason"])
    assert found.completion.raw_finish_reason == "overwhelmed"


@pytest.mark.parametrize("odd", [False, 0, [], {"type": None}, {}])
def test_a_reason_that_is_none_does_not_finish(odd: Any) -> None:
    found = openai(delta(odd, content="a"))
    assert found.outcome == "TruncatedError"
    assert found.repairs == ["unexpected-type"]
    assert openai(delta(odd, content="a"), delta("stop")).outcome == "complete"


@pytest.mark.parametrize(
    ("odd", "raw"), [({"type": "length", "length": 9}, "length"), (True, "true"), (7, "7")]
)
def test_a_reason_of_another_type_finishes(odd: Any, raw: str) -> None:
    found = openai(delta(content="a"), delta(odd))
    assert (found.outcome, found.completion.raw_finish_reason) == ("complete", raw)
    assert found.repairs == ["unexpected-type"]


@pytest.mark.parametrize(
    ("reasons", "reason"),
    [
        (("length", "stop"), "length"),
        (("content_filter", "eos", "stop"), "content_filter"),
        (("stop", "length"), "length"),
        (("stop", "content_filter"), "content_filter"),
    ],
)
def test_a_stop_does_not_undo_a_limit_or_a_filter(reasons: tuple[str, ...], reason: str) -> None:
    found = openai(delta(content="a"), *(delta(each) for each in reasons))
    assert found.completion.finish_reason == reason
    assert found.completion.raw_finish_reason == reasons[-1]
    assert set(found.repairs) == {"repeated-finish-reason"}


def test_a_second_reason_after_the_tool_calls_does_not_undo_them() -> None:
    call = {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}
    found = openai(delta(tool_calls=[call]), delta("tool_calls"), delta("stop"))
    assert found.completion.finish_reason == "tool_calls"
    assert found.completion.raw_finish_reason == "stop"
    assert found.repairs == ["repeated-finish-reason"]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("FinishReason.STOP", "stop"),
        ("FinishReason.MAX_TOKENS", "length"),
        ("FINISH_REASON_STOP", "stop"),
        ("FINISH_REASON_MAX_TOKENS", "length"),
        ("FINISH_REASON_SAFETY", "content_filter"),
        ("tool-calls", "tool_calls"),
        ("content-filter", "content_filter"),
        ("FINISH_REASON_UNSPECIFIED", None),
    ],
)
def test_names_of_gateways_own_lists(raw: str, reason: str | None) -> None:
    assert finish_reason(raw) == reason


@pytest.mark.parametrize(
    "last",
    [
        {"choices": [{"index": 0, "delta": {"finish_reason": "length"}}]},
        {"choices": [{"index": 0, "delta": {}}], "finish_reason": "length"},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": None}], "finish_reason": "length"},
    ],
)
def test_a_reason_in_another_place(last: dict[str, Any]) -> None:
    found = openai(delta(content="Hi"), last)
    assert (found.outcome, found.completion.finish_reason) == ("complete", "length")
    assert found.repairs == ["finish-reason-elsewhere"]
    assert found.natives == {0: {"role": "assistant", "content": "Hi"}}
