"""The finish reasons of the Gemini API.

https://ai.google.dev/api/generate-content#FinishReason. Some clients of the API, and gateways made
with them, send the number that a reason has in the protocol buffers definition
(google/ai/generativelanguage/v1beta/generative_service.proto).
"""

from __future__ import annotations

from typing import Any

from ..core.chunk import FinishReason
from .openai_finish import finish_reason

__all__ = ["finish_meaning", "finish_reason_name"]

_UNSPECIFIED = "FINISH_REASON_UNSPECIFIED"
_FINISH: dict[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "OTHER": "other",
    # What was made, or asked for, is not given out: nothing, or a part of it, came.
    **dict.fromkeys(
        (
            *("SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"),
            *("MODEL_ARMOR", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"),
            *("IMAGE_OTHER", "NO_IMAGE"),
        ),
        "content_filter",
    ),
    # The model failed; the same request may succeed.
    **dict.fromkeys(
        (
            *("MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL"),
            *("TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE"),
        ),
        "error",
    ),
}
_NUMBERED = (
    *(_UNSPECIFIED, "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "OTHER", "LANGUAGE", "BLOCKLIST"),
    *("PROHIBITED_CONTENT", "SPII", "MALFORMED_FUNCTION_CALL", "IMAGE_SAFETY"),
    *("UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "IMAGE_PROHIBITED_CONTENT", "IMAGE_OTHER"),
    *("NO_IMAGE", "IMAGE_RECITATION", "MISSING_THOUGHT_SIGNATURE", "MALFORMED_RESPONSE"),
)


def finish_meaning(name: str) -> FinishReason | None:
    """What a reason means; None if it is unknown. Gateways write names of other lists too."""
    return _FINISH.get(name) or _FINISH.get(name.rpartition(".")[2].upper()) or finish_reason(name)


def finish_reason_name(sent: Any) -> str:
    """The name of a finish reason that was sent as a name or a number; "" if none was."""
    if type(sent) is int:
        sent = _NUMBERED[sent] if 0 <= sent < len(_NUMBERED) else str(sent)
    return sent if isinstance(sent, str) and sent != _UNSPECIFIED else ""
