"""Token counts of the Messages API."""

from __future__ import annotations

from typing import Any

import pytest

from anthropic_bodies import HELLO, answer, end, frame, start, text, whole
from decoding import JSON, decode
from vesselog.vessels import Anthropic

CACHED = {"cache_creation_input_tokens": 10, "cache_read_input_tokens": 5}


def delta(**usage: Any) -> bytes:
    return frame({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage})


def test_usage_is_joined_from_its_events() -> None:
    usage = answer(*HELLO).completion.usage
    assert usage is not None
    assert usage.model_dump(exclude_none=True) == {"input_tokens": 25, "output_tokens": 15}


def test_cached_input_counts_as_input() -> None:
    """The API counts it apart, whether it was read or written."""
    details = {"thinking_tokens": 3}
    found = answer(start(**CACHED), delta(output_tokens=8, output_tokens_details=details))
    usage = found.completion.usage
    assert usage is not None
    assert usage.model_dump(exclude_none=True) == {
        "input_tokens": 40,
        "output_tokens": 8,
        "cached_input_tokens": 5,
        "cache_write_tokens": 10,
        "reasoning_tokens": 3,
    }
    assert found.completion.extra == {}


def test_what_has_no_field_is_in_the_details() -> None:
    written = {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 6}
    tools = {"web_search_requests": 2}
    begun = start(**CACHED, cache_creation=written, service_tier="standard")
    output = {"thinking_tokens": 3, "image_tokens": 1}
    found = answer(begun, delta(server_tool_use=tools, output_tokens_details=output))
    usage = found.completion.usage
    assert usage is not None
    assert usage.details == {
        "cache_creation": written,
        "service_tier": "standard",
        "server_tool_use": tools,
        "output_tokens_details": output,
    }


def test_streamed_and_whole_count_alike() -> None:
    counts = {"input_tokens": 25, "output_tokens": 15, "service_tier": "batch", **CACHED}
    body = whole([{"type": "text", "text": "a"}], usage=counts)
    streamed = answer(start(service_tier="batch", **CACHED), *text(0, "a"), *end())
    assert decode(Anthropic(), body, JSON, stream=False).completion.usage == (
        streamed.completion.usage
    )


@pytest.mark.parametrize(
    "usage", [7, [1], "many", {"output_tokens": "many"}, {"output_tokens": None}]
)
def test_counts_of_another_type_are_left_out(usage: Any) -> None:
    final = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}
    found = answer(start(), *text(0, "a"), frame(final))
    assert (found.outcome, found.completion.text) == ("complete", "a")
    assert found.completion.usage is not None
    assert found.completion.usage.input_tokens == 25


def test_a_stream_that_ends_before_its_counts_says_so() -> None:
    final = frame({"type": "message_delta", "delta": {"stop_reason": "end_turn"}})
    found = answer(start(), *text(0, "a"), final)
    assert (found.outcome, found.repairs) == ("complete", ["usage-missing"])
    assert answer(start(), *text(0, "a"), final, frame({"type": "message_stop"})).repairs == []
    assert answer(*HELLO[:-1]).repairs == []
