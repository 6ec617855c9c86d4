"""Reads one choice in the events of the OpenAI dialect."""

from __future__ import annotations

from typing import Any, cast

from ..core.chunk import ChunkFields, FinishReason, ToolCallDeltaFields
from ..core.frame import Frame
from .repeated_fields import RepeatFilter
from .tool_calls import ToolCalls
from .wire_values import text_of

__all__ = ["OpenAIChoice"]

# Reasoning: DeepSeek, Z.AI, xAI, llama.cpp, vLLM · OpenRouter, Groq, Cerebras, Ollama · GitHub ·
# others.
_REASONING = ("reasoning_content", "reasoning", "reasoning_text", "thinking")
_SPEECH = (
    "content",
    *_REASONING,
    "reasoning_details",
    "refusal",
    "tool_calls",
    "function_call",
    "audio",
)
_KNOWN_IN_CHOICE = frozenset(
    {
        *(
            "delta",
            "error",
            "finishReason",
            "finish_reason",
            "index",
            "logprobs",
            "message",
            "text",
        ),
        "usage",
    }
)
_KNOWN_IN_DELTA = frozenset({*_SPEECH, "role", "padding"} - {"audio"})

_FINISH: dict[str, FinishReason] = {
    **dict.fromkeys(("stop", "eos", "eos_token", "end_turn", "stop_sequence", "STOP"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "model_length", "MAX_TOKENS"), "length"),
    **dict.fromkeys(("tool_calls", "tool_call", "tool_use", "function_call"), "tool_calls"),
    **dict.fromkeys(("content_filter", "safety", "sensitive", "SAFETY"), "content_filter"),
    # DeepSeek and Z.AI name these failures of their own.
    **dict.fromkeys(("error", "insufficient_system_resource", "network_error"), "error"),
}


class OpenAIChoice:
    """The state of one choice.

    said: whether anything of the answer came. whole: whether it came in one piece. finish: its
    finish reason as sent, "" where a whole answer has none.
    """

    def __init__(self, index: int, repeats: RepeatFilter) -> None:
        self._index = index
        self._repeats = repeats
        self._tool_calls = ToolCalls()
        self._called = False
        self.said = False
        self.whole = False
        self.finish: str | None = None

    def read(
        self, choice: dict[str, Any], frame: Frame, *, streamed: bool
    ) -> tuple[ChunkFields, Any]:
        """The fields of a chunk, and the error in the choice, if any.

        streamed: the event calls itself a piece of a stream, so a `message` in it is a piece too.
        """
        fields: ChunkFields = {"choice": self._index} if self._index else {}
        source, whole = self._source(choice, frame, streamed=streamed)
        self.whole = self.whole or whole
        repeats = self._repeats
        role = source.get("role")
        if role and isinstance(role, str) and repeats.is_new((self._index, "role"), role):
            fields["role"] = role
        content = source.get("content")
        text, reasoning = (content, "") if type(content) is str else _texts(content, frame)
        if choice.get("text"):
            text += text_of(choice["text"])
        if text:
            fields["text"] = text
        if reasoning := reasoning + self._reasoning(source, frame):
            fields["reasoning"] = reasoning
        if refusal := text_of(source.get("refusal")):
            fields["refusal"] = refusal
        if calls := self._calls(source, frame, whole=whole):
            fields["tool_calls"] = calls
        if choice.get("logprobs") is not None:
            fields["logprobs"] = choice["logprobs"]
        self.said = self.said or bool(text) or any(source.get(key) for key in _SPEECH)
        self._finish(choice, fields, frame, whole=whole)
        extra = repeats.unknown_fields(source, _KNOWN_IN_DELTA, (self._index, "delta"))
        extra.update(repeats.unknown_fields(choice, _KNOWN_IN_CHOICE, self._index))
        if extra:
            fields["extra"] = extra
        error = choice.get("error")
        if not error and fields.get("finish_reason") == "error":
            error = {"message": f"finish_reason {self.finish!r}", "code": self.finish}
        return fields, error

    def _source(
        self, choice: dict[str, Any], frame: Frame, *, streamed: bool
    ) -> tuple[dict[str, Any], bool]:
        """The delta or message of the choice, and whether it is the whole answer.

        Perplexity sends a `message` with all that came so far beside each `delta`, and in a whole
        answer an empty `delta` beside the `message`.
        """
        delta, message = _object(choice, "delta"), _object(choice, "message")
        if delta is None and message is None:
            if "text" not in choice:
                frame.repair("missing-delta")
            return {}, False
        if delta is not None and (message is None or any(delta.get(key) for key in _SPEECH)):
            if message is not None:
                frame.repair("message-beside-delta")
            return delta, False
        if streamed and delta is None:
            frame.repair("message-as-delta")
            return message or {}, False
        if self.said:
            frame.repair("message-beside-delta")
            return delta or {}, False
        return message or {}, not streamed

    def _reasoning(self, source: dict[str, Any], frame: Frame) -> str:
        """Reasoning under its several names; under two of them it is mostly the same text."""
        found: list[str] = []
        for name in _REASONING:
            value = source.get(name)
            if value and (text := text_of(value)) not in found:
                found.append(text)
        details = source.get("reasoning_details")
        if isinstance(details, list):
            parts = cast("list[Any]", details)
            frame.count_parts(len(parts))
            detailed = "".join(map(_detail, parts))
            if not found:
                return detailed
            if detailed and detailed != found[0]:
                frame.repair("reasoning-details-left-out")
        if len(found) > 1:
            frame.repair("reasoning-in-several-fields")
        return "".join(found)

    def _calls(
        self, source: dict[str, Any], frame: Frame, *, whole: bool
    ) -> list[ToolCallDeltaFields]:
        sent: Any = source.get("tool_calls")
        if isinstance(sent, dict):
            frame.repair("tool-calls-not-a-list")
            sent = [sent]
        legacy = source.get("function_call")
        if sent:
            if not isinstance(sent, list):
                raise ValueError(f"tool_calls is {type(sent).__name__}")
            self._called = True
            if legacy:
                frame.repair("function-call-mirrored")
            pieces = cast("list[Any]", sent)
            frame.count(len(pieces))
        elif legacy and not self._called:
            pieces = [{"index": 0, "function": legacy}]
        else:
            return []
        made = [self._tool_calls.add(piece, frame, whole=whole) for piece in pieces if piece]
        return [delta for delta in made if delta is not None]

    def _finish(
        self, choice: dict[str, Any], fields: ChunkFields, frame: Frame, *, whole: bool
    ) -> None:
        raw = choice.get("finish_reason")
        if raw is None and choice.get("finishReason") is not None:
            frame.repair("finish-reason-renamed")
            raw = choice["finishReason"]
        if raw in ("", "null"):
            frame.repair("empty-finish-reason")
            raw = None
        if raw is None:
            if whole and self.finish is None and not choice.get("error"):
                # A whole answer ends where it ends; the reason stays unknown.
                frame.repair("missing-finish-reason")
                self.finish = ""
            return
        if not isinstance(raw, str):
            raise ValueError(f"finish_reason is {type(raw).__name__}")  # noqa: TRY004 - the wire's
        if self.finish:
            frame.repair("repeated-finish-reason")
        if raw != self.finish:
            self.finish = raw
            fields["finish_reason"] = _FINISH.get(raw, "other")
            fields["raw_finish_reason"] = raw


def _object(choice: dict[str, Any], name: str) -> dict[str, Any] | None:
    value = choice.get(name)
    if value is not None and not isinstance(value, dict):
        raise ValueError(f"{name} is {type(value).__name__}")
    return cast("dict[str, Any] | None", value)


def _detail(part: Any) -> str:
    """The text of an entry of OpenRouter's `reasoning_details`; an encrypted one has none."""
    if not isinstance(part, dict):
        return ""
    fields = cast("dict[str, Any]", part)
    return text_of(fields.get("text") or fields.get("summary"))


def _texts(content: Any, frame: Frame) -> tuple[str, str]:
    """Text and reasoning of a content: a text, or parts (Mistral: of type text and thinking)."""
    if not isinstance(content, list):
        return text_of(content), ""
    frame.repair("content-in-parts")
    parts = cast("list[Any]", content)
    frame.count_parts(len(parts))
    texts: list[str] = []
    thoughts: list[str] = []
    for part in parts:
        if not isinstance(part, dict):
            texts.append(text_of(part))
            continue
        fields = cast("dict[str, Any]", part)
        thinking = fields.get("thinking")
        if isinstance(thinking, list):
            thoughts += _texts(thinking, frame)
        elif thinking is not None:
            thoughts.append(text_of(thinking))
        texts.append(text_of(fields.get("text")))
    return "".join(texts), "".join(thoughts)
