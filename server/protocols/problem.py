"""What a client is told of an error: a code, a fixed sentence and an id to quote; never internals.

Messages of errors are not passed on: a provider's may name accounts and quote keys, and those of
this library name addresses, files and settings. They are logged with the same id.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass, replace
from typing import Any

from ...core.errors import (
    ConnectionFailedError,
    InvalidRequestError,
    ProtocolError,
    ProviderError,
    RecordingError,
    RecordingLockedError,
    ReplayMissError,
    SessionNameError,
    StreamTimeoutError,
    TruncatedError,
    VesselogError,
)

__all__ = ["INTERRUPTED", "STOPPED", "STOPPING", "Problem", "kind_of", "problem_of"]

_LOGGER = logging.getLogger("vesselog")


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as a client is told of it.

    status: the HTTP status, if nothing was sent before. retryable: whether the same request may
    succeed later. retry_after: seconds that the provider asks to wait. correlation_id: the id that
    the error is logged with.
    """

    status: int
    code: str
    message: str
    retryable: bool = False
    retry_after: float | None = None
    correlation_id: str | None = None

    @property
    def text(self) -> str:
        """Code, message and id in one text, for protocols whose errors are a text."""
        known = " ".join(filter(None, (self.code, self.correlation_id)))
        return f"{self.message} [{known}]"

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "code": self.code,
            "message": self.message,
            "retryable": self.retryable,
            "correlation_id": self.correlation_id,
        }


STOPPED = Problem(503, "cancelled", "The answer was stopped.", retryable=True)
STOPPING = Problem(503, "server_stopping", "The server is stopping.", retryable=True)
INTERRUPTED = Problem(502, "interrupted", "The answer was interrupted.", retryable=True)

_INTERNAL = Problem(500, "internal_error", "The server failed.")
_TIMEOUT = Problem(504, "timeout", "The model did not answer in time.")
_INVALID = Problem(400, "invalid_request", "The request is not valid.")
_PROBLEMS: dict[type[Exception], Problem] = {
    ConnectionFailedError: Problem(502, "connection_failed", "The model could not be reached."),
    InvalidRequestError: _INVALID,
    ProtocolError: Problem(502, "unreadable_answer", "The model's answer could not be read."),
    ProviderError: Problem(502, "provider_error", "The model failed."),
    RecordingError: Problem(500, "recording_failed", "The conversation could not be stored."),
    RecordingLockedError: Problem(409, "session_in_use", "The conversation is in use."),
    ReplayMissError: Problem(404, "not_recorded", "There is no recorded answer."),
    SessionNameError: _INVALID,
    StreamTimeoutError: _TIMEOUT,
    TruncatedError: Problem(502, "truncated", "The answer ended too early."),
}
_REFUSED = "The model refused the request."
# A provider's statuses. Those about the key (401, 403) and the model (404) are the operator's
# matter: the client would take them for its own.
_OF_PROVIDERS = {
    400: Problem(400, "refused", _REFUSED),
    408: _TIMEOUT,
    413: Problem(413, "refused", _REFUSED),
    422: Problem(422, "refused", _REFUSED),
    429: Problem(429, "rate_limited", "Too many requests: try again later."),
    503: (_BUSY := Problem(503, "overloaded", "The model is overloaded: try again later.")),
    529: _BUSY,
}


def problem_of(
    error: Exception, *, outcome: str | None = None, session: str | None, call: int | None
) -> Problem:
    """What a client is told of `error`, which is logged. outcome: of the answer."""
    problem = replace(kind_of(error, outcome), correlation_id=secrets.token_hex(8))
    if not isinstance(error, VesselogError):
        _LOGGER.error("sending an answer failed [%s]", problem.correlation_id, exc_info=error)
        return problem
    # What a provider says may quote the prompt; the recording has it.
    quoting = isinstance(error, ProviderError | ProtocolError)
    _LOGGER.warning(
        "an answer failed [%s %s]: %s, status %s, code %s, session %s, call %s%s",
        problem.code,
        problem.correlation_id,
        type(error).__name__,
        error.status,
        error.code,
        session,
        call,
        "" if quoting else f": {error.message}",
    )
    return replace(problem, retryable=error.retryable, retry_after=error.retry_after)


def kind_of(error: Exception, outcome: str | None = None) -> Problem:
    """The code and the text for `error`. outcome: of the answer. Nothing is logged."""
    if outcome in {"crashed", "interrupted"}:
        return INTERRUPTED
    if isinstance(error, ProviderError) and error.status in _OF_PROVIDERS:
        return _OF_PROVIDERS[error.status]
    return next((_PROBLEMS[kind] for kind in type(error).mro() if kind in _PROBLEMS), _INTERNAL)
