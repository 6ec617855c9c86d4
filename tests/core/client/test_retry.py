"""What is tried again, when, and what never is: a request that may have been paid for."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vesselog import (
    ConnectionFailedError,
    ProtocolError,
    ProviderError,
    Retries,
    StreamTimeoutError,
    TruncatedError,
    VesselogError,
)
from vesselog.core.client.retry import retry_delay, take_retry_advice

CHANCE = random.Random(0)
NOW = datetime(2026, 11, 21, 7, 17, tzinfo=UTC)


class TestRetries:
    @pytest.mark.parametrize("code", [408, 429, 502, 503, 504, 529])
    def test_of_these_statuses(self, code: int):
        error = ProviderError("no", status=code)
        assert retry_delay(Retries(), 0, error, CHANCE) is not None

    @pytest.mark.parametrize("code", [200, 307, 400, 401, 403, 404, 409, 413, 422, 500, 501])
    def test_of_no_other(self, code: int):
        error = ProviderError("no", status=code, retryable=True)
        assert retry_delay(Retries(), 0, error, CHANCE) is None

    @pytest.mark.parametrize(
        ("error", "again"),
        [
            (ConnectionFailedError("no", phase="connect"), True),
            (ConnectionFailedError("no", phase="refused"), True),
            (StreamTimeoutError("no", phase="connect"), True),
            (ConnectionFailedError("no", phase="response"), False),
            (ConnectionFailedError("no", phase="body"), False),
            (StreamTimeoutError("no", phase="first_chunk"), False),
            (StreamTimeoutError("no", phase="pool"), False),
            (StreamTimeoutError("no", phase="write"), False),
            (StreamTimeoutError("no", phase="idle"), False),
            (ProviderError("in band", phase="body"), False),
            (TruncatedError("no"), False),
            (ProtocolError("no"), False),
        ],
        ids=lambda value: getattr(value, "phase", None),
    )
    def test_of_connections_that_were_never_made(self, error: VesselogError, again: bool):  # noqa: FBT001
        assert (retry_delay(Retries(), 0, error, CHANCE) is not None) == again

    @given(st.integers(0, 200), st.integers(), st.floats(0, 10), st.floats(0, 100))
    def test_waits_are_doubled_spread_and_capped(
        self, attempt: int, seed: int, backoff: float, longest: float
    ):
        retries = Retries(count=1000, backoff=backoff, longest=longest)
        error = ConnectionFailedError("no", phase="connect")
        delay = retry_delay(retries, attempt, error, random.Random(seed))
        full = backoff * 2.0**attempt
        assert delay is not None
        assert min(longest, full * 0.75) <= delay <= min(longest, full)

    def test_not_of_what_waiting_does_not_cure(self):
        error = ProviderError("your quota is used up", status=429, retryable=False)
        assert retry_delay(Retries(), 0, error, CHANCE) is None

    @pytest.mark.parametrize(
        ("status", "told", "again"),
        [(500, "true", True), (409, "true", True), (429, "false", False), (503, "odd", True)],
    )
    def test_the_server_has_the_last_word(self, status: int, told: str, again: bool):  # noqa: FBT001
        headers = {"x-should-retry": told}
        error = ProviderError("no", status=status, retryable=status >= 429, headers=headers)
        take_retry_advice(error, NOW)
        assert (retry_delay(Retries(), 0, error, CHANCE) is not None) == again
        assert error.retryable == again

    def test_never_of_an_error_in_band(self):
        """The answer had begun: it may have been paid for."""
        error = ProviderError("no", phase="body", headers={"x-should-retry": "false"})
        take_retry_advice(error, NOW)
        assert retry_delay(Retries(), 0, error, CHANCE) is None

    def test_as_often_as_told(self):
        error = ConnectionFailedError("no", phase="connect")
        delays = [retry_delay(Retries(count=2), attempt, error, CHANCE) for attempt in range(4)]
        assert [delay is not None for delay in delays] == [True, True, False, False]

    def test_the_server_says_when_up_to_the_longest(self):
        error = ProviderError("no", status=429, retry_after=7.0)
        assert retry_delay(Retries(backoff=100), 0, error, CHANCE) == 7.0
        assert retry_delay(Retries(longest=5), 0, error, CHANCE) == 5


class TestAdvice:
    @pytest.mark.parametrize(
        ("headers", "body", "wait"),
        [
            ({"retry-after": "7"}, None, 7.0),
            ({"retry-after-ms": "250"}, None, 0.25),
            ({"retry-after-ms": "250", "retry-after": "1"}, None, 0.25),
            ({"retry-after-ms": "soon", "retry-after": "1"}, None, 1.0),
            ({"retry-after": "3"}, 34.07, 3.0),
            ({}, 34.07, 34.07),
            ({}, None, None),
        ],
    )
    def test_headers_win_over_the_body(
        self, headers: dict[str, str], body: float | None, wait: float | None
    ):
        error = ProviderError("no", status=429, retry_after=body, headers=headers)
        take_retry_advice(error, NOW)
        assert error.retry_after == wait

    @pytest.mark.parametrize("name", ["retry-after", "retry-after-ms"])
    @pytest.mark.parametrize(("value", "logged"), [("soon" * 99, 1), ("1", 0), ("", 0)])
    def test_what_cannot_be_read_is_ignored_and_logged(
        self, name: str, value: str, logged: int, caplog: pytest.LogCaptureFixture
    ):
        caplog.set_level("INFO", "vesselog")
        error = ProviderError("no", status=429, headers={name: value})
        take_retry_advice(error, NOW)
        assert (error.retry_after is None) == (value != "1")
        assert [len(each.message) < 150 for each in caplog.records] == [True] * logged
