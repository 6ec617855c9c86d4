"""The estimate of tokens is near, and rather too high than too low."""

from __future__ import annotations

from typing import Any

from coding_agent import AGENT_REQUEST
from vesselog.server.gateway.token_estimate import estimated_tokens


def body(content: Any, **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": content}], **more}


def test_prose_has_no_more_bytes_per_token_than_it_has() -> None:
    """800 words are some 1,000 tokens."""
    assert 1_000 < estimated_tokens(body("A word is some " * 200)) < 1_500


def test_an_image_counts_by_itself_and_not_by_its_bytes() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": "A" * 1_000_000}
    counted = estimated_tokens(body([{"type": "image", "source": source}]))
    assert 1_600 < counted < 1_700


def test_the_system_prompt_and_the_tools_count() -> None:
    tools = [{"name": "f", "description": "x" * 300, "input_schema": {"type": "object"}}]
    plain = estimated_tokens(body("Hi"))
    assert estimated_tokens(body("Hi", tools=tools)) > plain + 100
    assert estimated_tokens(body("Hi", system="x" * 300)) > plain + 100
    assert estimated_tokens(body("Hi", metadata={"user_id": "x" * 300})) == plain
    assert estimated_tokens(AGENT_REQUEST) > 100


def test_a_type_that_is_no_text_is_no_file() -> None:
    assert estimated_tokens({"tools": [{"type": {}, "data": "x" * 30}]}) > 10
