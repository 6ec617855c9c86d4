"""Which headers are recorded and shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vesselog.core.response_headers import kept_headers, parse_retry_after, request_id_of

NOW = datetime(2026, 11, 21, 7, 17, tzinfo=UTC)


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


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            ("0", 0.0),
            ("120", 120.0),
            ("1.5", 1.5),
            ("-3", 0.0),
            (" 7 ", 7.0),
            (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
            (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0.0),
            ("Saturday, 21-Nov-26 07:18:00 GMT", 60.0),
            ("Sat Nov 21 07:18:00 2026", 60.0),
            ("Sat, 21 Nov 2026 08:18:00 +0100", 60.0),
            ("", None),
            (None, None),
            ("soon", None),
            ("Wed", None),
            ("Sat, 99 Nov 2026 07:18:00 GMT", None),
        ],
    )
    def test_both_forms(self, value: str | None, seconds: float | None):
        assert parse_retry_after(value, NOW) == seconds

    @given(st.text())
    def test_whatever_stands_there(self, value: str):
        seconds = parse_retry_after(value, NOW)
        assert seconds is None or seconds >= 0
