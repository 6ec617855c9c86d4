"""Which headers are recorded and shown."""

from __future__ import annotations

import pytest

from vesselog.core.response_headers import kept_headers, request_id_of


@pytest.mark.parametrize(
    "name",
    [
        *("Authorization", "api-key", "x-api-key", "Cookie", "Set-Cookie", "Proxy-Authorization"),
        *("x-amz-security-token", "x-anything-new", "Location", "openai-organization"),
    ],
)
def test_a_header_that_may_be_secret_is_left_out(name: str) -> None:
    assert kept_headers({name: "canary"}) == {}


def test_what_explains_an_answer_is_kept_in_lower_case() -> None:
    headers = {"Content-Type": "text/event-stream", "X-RateLimit-Remaining-Tokens": "9"}
    assert kept_headers(headers) == {
        "content-type": "text/event-stream",
        "x-ratelimit-remaining-tokens": "9",
    }


@pytest.mark.parametrize(
    "name", ["x-request-id", "request-id", "apim-request-id", "x-amzn-requestid", "cf-ray"]
)
def test_the_request_id_under_the_names_of_several_servers(name: str) -> None:
    assert request_id_of(kept_headers({name.title(): "req_1", "date": "today"})) == "req_1"


def test_the_servers_own_id_goes_before_that_of_a_proxy() -> None:
    assert request_id_of({"cf-ray": "proxy", "request-id": "own"}) == "own"


def test_no_request_id() -> None:
    assert request_id_of({"request-id": "", "date": "today"}) is None
