"""What a client is told of an error, and what it is not."""

from __future__ import annotations

import json
import logging

import pytest

from vesselog import (
    ClientStateError,
    ConfigurationError,
    ConnectionFailedError,
    InvalidRequestError,
    ProtocolError,
    ProviderError,
    RecordingCorruptError,
    RecordingError,
    RecordingLockedError,
    ReplayMissError,
    SessionNameError,
    StreamTimeoutError,
    TruncatedError,
    UnknownVesselError,
    VesselogError,
)
from vesselog.server.protocols.problem import Problem, problem_of

SECRET = "http://10.1.2.3:8000/v1 sk-very-secret /srv/app/recordings/x.jsonl"
KINDS = {
    ClientStateError: (500, "internal_error"),
    ConfigurationError: (500, "internal_error"),
    ConnectionFailedError: (502, "connection_failed"),
    InvalidRequestError: (400, "invalid_request"),
    ProtocolError: (502, "unreadable_answer"),
    ProviderError: (502, "provider_error"),
    RecordingCorruptError: (500, "recording_failed"),
    RecordingError: (500, "recording_failed"),
    RecordingLockedError: (409, "session_in_use"),
    ReplayMissError: (404, "not_recorded"),
    SessionNameError: (400, "invalid_request"),
    StreamTimeoutError: (504, "timeout"),
    TruncatedError: (502, "truncated"),
    UnknownVesselError: (500, "internal_error"),
    VesselogError: (500, "internal_error"),
    ValueError: (500, "internal_error"),
}


def told(error: Exception, outcome: str | None = None) -> Problem:
    return problem_of(error, outcome=outcome, session="s", call=3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_learns_kind_and_id_but_no_internals(
    kind: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "vesselog"):
        problem = told(kind(SECRET))
    assert (problem.status, problem.code) == KINDS[kind]
    said = json.dumps(problem.to_dict()) + problem.text
    assert not [word for word in SECRET.split() if word in said]
    assert problem.correlation_id is not None
    assert problem.correlation_id in said
    assert problem.correlation_id in caplog.text


@pytest.mark.parametrize(
    ("status", "expected", "code"),
    [
        (400, 400, "refused"),
        (401, 502, "provider_error"),
        (403, 502, "provider_error"),
        (404, 502, "provider_error"),
        (408, 504, "timeout"),
        (413, 413, "refused"),
        (422, 422, "refused"),
        (429, 429, "rate_limited"),
        (500, 502, "provider_error"),
        (503, 503, "overloaded"),
        (529, 503, "overloaded"),
    ],
)
def test_a_providers_status_is_passed_on_only_where_it_is_the_clients_matter(
    status: int, expected: int, code: str
) -> None:
    problem = told(ProviderError(SECRET, status=status, retryable=True, retry_after=2.5))
    assert (problem.status, problem.code) == (expected, code)
    assert problem.retryable
    assert problem.retry_after == 2.5


def test_what_a_provider_says_is_not_logged_either(caplog: pytest.LogCaptureFixture) -> None:
    """It may quote the prompt; the recording has it."""
    with caplog.at_level(logging.WARNING, "vesselog"):
        told(ProviderError("bad prompt: my diary", status=400, code="bad"))
        told(RecordingError("the disk is full"))
    assert "diary" not in caplog.text
    assert "ProviderError, status 400, code bad, session s, call 3" in caplog.text
    assert "the disk is full" in caplog.text


@pytest.mark.parametrize("outcome", ["crashed", "interrupted"])
def test_an_answer_whose_writer_died_is_interrupted(outcome: str) -> None:
    assert told(TruncatedError("x"), outcome).code == "interrupted"
    assert told(TruncatedError("x"), "truncated").code == "truncated"
