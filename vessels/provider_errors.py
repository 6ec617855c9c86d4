"""Reads errors of providers in all their shapes: error bodies, and errors in a stream.

Shapes: `{"error": {…}}`, `{"error": "text"}`, `{"code", "error": "text"}`, flat `{"object",
"message", "type", "param", "code"}`, `{"detail"}` (FastAPI's too), `{"code", "message", "type"}`,
`{"errors": […]}`, any of them in a list of one, plain text and HTML. A code may be a number.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, cast

from ..core.errors import ProviderError
from ..core.jsontext import dumps, loads
from .error_texts import plain_text, short_text

__all__ = ["error_in", "error_in_band", "error_in_event", "error_of_status", "is_retryable"]

_MESSAGES = (
    "message",
    "error",
    "detail",
    "errors",
    "msg",
    "reason",
    "description",
    "title",
    "error_description",
    "error_msg",
    "status_msg",
    "Message",
    "text",
)
# TGI: error_type; Ollama's cloud: StatusCode.
_CODES = ("code", "status_code", "error_code", "type", "error_type", "status", "StatusCode")
# What a flat event says its reason under (FastChat: `text`, beside an error_code:
# lm-sys/FastChat fastchat/serve/openai_api_server.py), and codes that are no failure's.
_WORDS = ("message", "detail", "errors", "msg", "error_msg", "error_code")
_SUCCESS = frozenset({"0", "200", "ok", "success"})
# Codes, in lower case, of failures that pass: servers that are busy or broken.
_PASSING = frozenset(
    {
        *("api_connection_error", "api_error", "internal_error", "internal_server_error"),
        *("overloaded", "overloaded_error", "rate_limit_error", "rate_limit_exceeded"),
        *("rate_limited", "server_error", "service_unavailable", "timeout", "timeout_error"),
        *("too_many_requests", "engine_overloaded_error", "model_overloaded", "unavailable"),
        *("resource_exhausted", "deadline_exceeded", "internal", "server_overloaded"),
        *("service_tier_capacity_exceeded", "capacity_exceeded", "throttlingexception"),
        *("serviceunavailableexception", "modelnotreadyexception", "internalserverexception"),
        *("modelstreamerrorexception", "modeltimeoutexception", "throttling"),
        *("throttling.ratequota", "throttling.burstrate", "throttling.allocationquota"),
    }
)
# Codes of failures that waiting does not cure, though their status is 429: money is missing.
_LASTING = frozenset(
    {
        *("insufficient_quota", "billing_hard_limit_reached", "billing_not_active"),
        *("insufficient_balance", "insufficient_balance_error", "exceeded_current_quota_error"),
    }
)
_RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"
# Errors lie in envelopes, one in another: no known server needs more.
_DEEPEST_ENVELOPE = 6


def is_retryable(status: int) -> bool:
    """Whether the same request may succeed later, by the HTTP `status`."""
    return status in {408, 429} or (status >= 500 and status != 501)


def error_of_status(vessel: str, status: int, text: str) -> ProviderError:
    """The error of `vessel` for the HTTP `status` and the body's `text`."""
    try:
        value = loads(text)
    except ValueError:
        value = text
    message, code = _read(value)
    said = f": {message}" if message else ""
    return ProviderError(
        f"{vessel} answered {status}{said}",
        phase="response",
        status=status,
        code=code,
        retryable=is_retryable(status) and _codes(value).isdisjoint(_LASTING),
        retry_after=_retry_after(value),
        request_id=_request_id(value),
    )


def error_in_band(vessel: str, error: Any, event: Any = None) -> ProviderError:
    """The error that a provider sent within an answer that had begun as a success.

    Args:
        vessel: The vessel's name, for the message.
        error: The value of the event's `error`.
        event: The event that has the error; the request's id may be beside it.
    """
    message, code = _read(error)
    codes = _codes(error)
    passing = not codes.isdisjoint(_PASSING) or any(
        is_retryable(int(each)) for each in codes if each.isdecimal() and len(each) == 3
    )
    return ProviderError(
        f"{vessel} failed while answering: {message or 'no reason was given'}",
        phase="body",
        code=code,
        retryable=passing and codes.isdisjoint(_LASTING),
        retry_after=_retry_after(error),
        request_id=_request_id(error if event is None else event),
    )


def error_in(place: Mapping[str, Any]) -> Any:
    """What is under `error` in `place`; None if that says nothing.

    Gateways write an object in each event that says nothing as long as there is no error.
    """
    error: Any = place.get("error")
    if isinstance(error, dict) and not any(cast("dict[str, Any]", error).values()):
        return None
    return cast("Any", error) or None


def error_in_event(event: Mapping[str, Any], *, alone: bool = False) -> Any:
    """The error in `event`, of the OpenAI dialect; None if there is none.

    Args:
        alone: It is a whole body, in which a message without an answer is an error. Elsewhere such
            a message may report a queue: only a field makes it an error.
    """
    if (error := event.get("error")) and (error := error_in(event)):
        # A text alone; its code is beside it.
        return event if isinstance(error, str) else error
    groq = event.get("x_groq")
    if isinstance(groq, dict) and (error := error_in(cast("dict[str, Any]", groq))):
        return error
    if "base_resp" in event:  # MiniMax
        outcome: Any = event["base_resp"]
        if isinstance(outcome, dict) and cast("dict[str, Any]", outcome).get("status_code"):
            return cast("dict[str, Any]", outcome)
    if event.get("object") == "error":
        return event
    if event.get("choices") is None and any(event.get(key) for key in _WORDS):
        return event if alone or _is_error(event) else None
    return None


def _is_error(event: Mapping[str, Any]) -> bool:
    """Whether a field of a flat event says that it is an error; its words do not."""
    if event.get("detail") or event.get("errors") or event.get("success") is False:
        return True
    if "error" in str(event.get("type")).lower() or event.get("status") in {"error", "failed"}:
        return True
    codes = (event.get(name) for name in ("code", "status_code", "error_code"))
    return any(_is_code(code) and str(code).lower() not in _SUCCESS for code in codes)


def _envelopes(value: Any) -> Iterator[Mapping[str, Any]]:
    """An error's object and those in it, as far as errors are nested."""
    found: list[Any] = [value]
    for _ in range(_DEEPEST_ENVELOPE):
        inner: list[Any] = []
        for each in found:
            if isinstance(each, list):
                inner += cast("list[Any]", each)[:3]
            elif isinstance(each, Mapping):
                fields = cast("Mapping[str, Any]", each)
                yield fields
                inner += [fields.get(key) for key in (*_MESSAGES, "details", "metadata")]
        found = inner


def _codes(value: Any) -> set[str]:
    """All codes of an error, in lower case."""
    return {
        str(fields[key]).lower()
        for fields in _envelopes(value)
        for key in _CODES
        if _is_code(fields.get(key))
    }


def _retry_after(value: Any) -> float | None:
    """Seconds to wait that an error's body names: Google's RetryInfo, `"retryDelay": "34.07s"`.

    https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto
    """
    for fields in _envelopes(value):
        delay = fields.get("retryDelay")
        if fields.get("@type") == _RETRY_INFO and isinstance(delay, str):
            try:
                seconds = float(delay.removesuffix("s"))
            except ValueError:
                continue
            if math.isfinite(seconds):
                return max(0.0, seconds)
    return None


def _request_id(value: Any) -> str | None:
    """The server's id for the request, in an error's body: https://docs.claude.com/en/api/errors."""
    found = (fields.get("request_id") for fields in _envelopes(value))
    return next((each for each in found if isinstance(each, str) and each), None)


def _read(value: Any, levels: int = _DEEPEST_ENVELOPE) -> tuple[str, str | None]:
    """Message and code of an error value, with so many levels of errors in it."""
    if isinstance(value, str):
        return plain_text(value), None
    if not levels:
        return "", None
    if isinstance(value, list):
        read = [_read(item, levels - 1) for item in cast("list[Any]", value)[:3]]
        return short_text("; ".join(message for message, _ in read if message)), next(
            (code for _, code in read if code), None
        )
    if not isinstance(value, Mapping):
        return "", None
    fields = cast("Mapping[str, Any]", value)
    code = next((str(fields[key]) for key in _CODES if _is_code(fields.get(key))), None)
    inner = next((fields[key] for key in _MESSAGES if fields.get(key)), None)
    if isinstance(inner, str):
        message = inner
    elif inner is not None:
        message, inner_code = _read(inner, levels - 1)
        code = inner_code or code
    else:
        message = dumps(value).decode()
    return short_text(message + _upstream(fields)), code


def _is_code(value: Any) -> bool:
    return (
        isinstance(value, str | int)
        and not isinstance(value, bool)
        and value not in {"", 0, "error"}
    )


def _upstream(fields: Mapping[str, Any]) -> str:
    """The message of the provider behind a gateway (OpenRouter: `metadata.raw`)."""
    metadata = fields.get("metadata")
    raw = cast("Mapping[str, Any]", metadata).get("raw") if isinstance(metadata, Mapping) else None
    return f" ({raw})" if raw and isinstance(raw, str) else ""
