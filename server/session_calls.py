"""The calls of a session as a page shows them: each question with its answer, as far as it came."""

from __future__ import annotations

from typing import Any

from ..core.errors import InvalidRequestError, UnknownVesselError
from ..core.request import Message
from ..core.truth.conversation import asked_in
from ..core.truth.recording import RecordedCall, Recording
from .protocols.problem import kind_of

__all__ = ["calls_in"]

_ANSWER = {"text", "reasoning", "refusal", "tool_calls", "finish_reason"}


def calls_in(recording: Recording) -> list[dict[str, Any]]:
    """The calls in the order of their requests, as JSON values.

    Of a call that was tried again, the last attempt. Raises RecordingError.
    """
    last: dict[int, RecordedCall] = {}
    for call in recording.calls():
        last[call.retry_of or call.number] = call
    return [_told(call) for call in last.values()]


def _told(call: RecordedCall) -> dict[str, Any]:
    completion = call.completion()
    told: dict[str, Any] = {
        "call": call.number,
        "model": f"{call.vessel}/{call.request.get('model')}",
        "question": _question(call),
        "answer": completion.choices[0].model_dump(
            mode="json", include=_ANSWER, exclude_defaults=True
        )
        if completion.choices
        else {},
        "outcome": call.outcome,
        "usage": completion.usage and completion.usage.model_dump(exclude_none=True),
        "duration": None if call.metrics is None else call.metrics.duration,
    }
    if call.end is not None and (error := call.error) is not None:
        problem = kind_of(error, call.outcome)
        told["error"] = {"code": problem.code, "message": problem.message}
    return told


def _question(call: RecordedCall) -> list[dict[str, Any]]:
    """What the request adds to the conversation: its messages after the last answer."""
    try:
        messages = asked_in(call)
    except (InvalidRequestError, UnknownVesselError):  # not a chat, or of an unknown dialect
        return []
    new: list[Message] = []
    for message in reversed(messages):
        if message.role == "assistant":
            break
        new.append(message)
    return [each.model_dump(mode="json", exclude_none=True) for each in reversed(new)]
