"""Errors that the gateway makes itself, in the form of the client's dialect.

The forms are those of https://platform.openai.com/docs/guides/error-codes,
https://docs.claude.com/en/api/errors, https://ai.google.dev/gemini-api/docs/troubleshooting and
https://github.com/ollama/ollama/blob/main/docs/errors.md.
"""

from __future__ import annotations

import math
from typing import Any

from ...core.errors import InvalidRequestError, ReplayMissError, SessionNameError
from ...core.jsontext import dumps
from ..protocols.problem import Problem, problem_of
from .routes import GEMINI_LIST

__all__ = ["explained_problem", "invalid", "problem_event", "problem_response"]

_OPENAI_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
}
_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_GEMINI_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def invalid(message: str, status: int = 400, code: str = "invalid_request") -> Problem:
    """A request that cannot be served, with the reason."""
    return Problem(status, code, message)


def explained_problem(error: Exception, *, session: str | None, call: int | None) -> Problem:
    """What the client is told of `error`, which is logged unless the request itself is at fault."""
    if isinstance(error, InvalidRequestError | SessionNameError):
        return invalid(error.message)
    if isinstance(error, ReplayMissError):
        return Problem(404, "not_recorded", error.message)
    return problem_of(error, session=session, call=call)


def problem_response(dialect: str | None, problem: Problem) -> tuple[dict[str, str], bytes]:
    """The headers and the body of an answer that has only this problem."""
    error = _error(dialect, problem)
    body = dumps([error] if dialect == GEMINI_LIST else error)
    headers = {"content-type": "application/json", "content-length": str(len(body))}
    if problem.retry_after is not None:
        headers["retry-after"] = str(math.ceil(problem.retry_after))
    return headers, body


def problem_event(dialect: str | None, problem: Problem) -> bytes | None:
    """The problem as the last frame of a stream; None where there is no known form for it."""
    error = _error(dialect, problem)
    if dialect == "ollama":
        return dumps(error) + b"\n"
    if dialect == "anthropic":
        return b"event: error\ndata: " + dumps(error) + b"\n\n"
    if dialect == "openai-responses":
        event = {**error["error"], "type": "error"}
        return b"event: error\ndata: " + dumps(event) + b"\n\n"
    if dialect == GEMINI_LIST:  # a list that has begun
        return b"," + dumps(error) + b"]"
    if dialect in {"openai", "gemini"}:
        return b"data: " + dumps(error) + b"\n\n"
    return None


def _error(dialect: str | None, problem: Problem) -> dict[str, Any]:
    status = problem.status
    if dialect == "ollama":
        return {"error": problem.text}
    if dialect == "anthropic":
        usual = "api_error" if status >= 500 else "invalid_request_error"
        kind = _ANTHROPIC_TYPES.get(status, usual)
        return {"type": "error", "error": {"type": kind, "message": problem.text}}
    if dialect in {"gemini", GEMINI_LIST}:
        usual = "INTERNAL" if status >= 500 else "INVALID_ARGUMENT"
        kind = _GEMINI_STATUSES.get(status, usual)
        return {"error": {"code": status, "message": problem.text, "status": kind}}
    usual = "server_error" if status >= 500 else "invalid_request_error"
    return {
        "error": {
            "message": problem.text,
            "type": _OPENAI_TYPES.get(status, usual),
            "param": None,
            "code": problem.code,
        }
    }
