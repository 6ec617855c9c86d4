"""Which headers are recorded."""

from __future__ import annotations

import pytest

from vesselog.core.truth.line_types import recordable


@pytest.mark.parametrize(
    "name",
    [
        *("Authorization", "api-key", "x-api-key", "Cookie", "Set-Cookie", "Proxy-Authorization"),
        *("x-amz-security-token", "x-anything-new", "Location", "openai-organization"),
    ],
)
def test_a_header_that_may_be_secret_is_left_out(name: str) -> None:
    assert recordable({name: "canary"}) == {}


def test_what_explains_an_answer_is_kept_in_lower_case() -> None:
    headers = {"Content-Type": "text/event-stream", "X-RateLimit-Remaining-Tokens": "9"}
    assert recordable(headers) == {
        "content-type": "text/event-stream",
        "x-ratelimit-remaining-tokens": "9",
    }
