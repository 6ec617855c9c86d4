"""Finish reasons of the OpenAI dialect, those that servers add included, and what they mean.

Where they are listed: OpenAI, Azure and OpenRouter in their API references · vLLM `FinishReason`
(vllm/v1/engine/__init__.py) · SGLang `BaseFinishReason` (managers/schedule_batch.py) · TGI
`FinishReason` · https://docs.mistral.ai/api · https://api-docs.deepseek.com/api/create-chat-completion
· https://docs.z.ai/api-reference/llm/chat-completion · https://platform.minimax.io/docs
· watsonx.ai `stop_reason` · Cohere, Anthropic, Bedrock and Gemini, whose words gateways pass on.
· GigaChat: https://developers.sber.ru/docs/ru/gigachat/api/reference/rest/post-chat
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from ..core.chunk import FinishReason
from ..core.frame import Frame

__all__ = ["finish_reason", "read_finish"]

_REASONS: dict[FinishReason, tuple[str, ...]] = {
    "stop": (
        *("stop", "eos", "eos_token", "end_turn", "stop_sequence", "end_of_text", "complete"),
        *("normal", "word", "pause_turn"),
    ),
    "length": (
        *("length", "max_tokens", "model_length", "max_output", "max_output_tokens", "limit"),
        *("model_context_window_exceeded", "token_limit", "max_model_tokens", "error_limit"),
    ),
    "tool_calls": ("tool_calls", "tool_call", "tool_use", "function_call"),
    "content_filter": (
        *("content_filter", "content_filtered", "safety", "sensitive", "recitation", "blocklist"),
        *("prohibited_content", "spii", "image_safety", "guardrail_intervened", "error_toxic"),
        *("refusal", "language", "image_prohibited_content", "image_recitation", "blacklist"),
    ),
    # The server gave the answer up.
    "error": (
        *("error", "abort", "aborted", "cancelled", "canceled", "user_cancel", "timeout"),
        *("time_limit", "insufficient_system_resource", "network_error", "not_finished"),
        *("function_call_filter", "malformed_function_call", "unexpected_tool_call"),
        *("malformed_model_output", "malformed_tool_use", "no_image", "image_other"),
        *("too_many_tool_calls", "missing_thought_signature"),
    ),
    # Ollama loaded the model, or gave it up; vLLM stopped a model that repeated itself; Gemini.
    "other": ("load", "unload", "repetition", "other", "image_stop"),
}
_FINISH: dict[str, FinishReason] = {
    raw: reason for reason, names in _REASONS.items() for raw in names
}


def finish_reason(raw: str) -> FinishReason | None:
    """What `raw`, a finish reason as it was sent, means; None if it is unknown.

    Google's say more behind a colon. Gateways write the names of their own lists as well:
    `FinishReason.MAX_TOKENS`, `FINISH_REASON_STOP`, `tool-calls`.
    """
    if (known := _FINISH.get(raw)) is not None:
        return known
    name = raw.partition(":")[0].strip().rpartition(".")[2].lower().replace("-", "_")
    return _FINISH.get(name.removeprefix("finish_reason_"))


def read_finish(places: Sequence[dict[str, Any]], frame: Frame) -> str | None:
    """The finish reason of a choice as it was sent, None if there is none.

    places: the choice, and where else servers put it: the delta or message, and the event.
    """
    choice = places[0]
    raw = choice.get("finish_reason")
    if raw is None:
        for place in places[1:]:
            if place.get("finish_reason"):
                frame.repair("finish-reason-elsewhere")
                raw = place["finish_reason"]
                break
    if raw is None and choice.get("finishReason") is not None:
        frame.repair("finish-reason-renamed")
        raw = choice["finishReason"]
    if raw is None:
        return None
    if not isinstance(raw, str):
        frame.repair("unexpected-type")
        if isinstance(raw, dict):  # SGLang's own: {"type": "length", "length": 9}
            raw = cast("dict[str, Any]", raw).get("type")
            return raw if isinstance(raw, str) and raw else None
        return str(raw).lower() if raw else None
    if raw in {"", "null"}:
        frame.repair("empty-finish-reason")
        return None
    return raw
