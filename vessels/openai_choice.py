"""Reads one choice in the events of the OpenAI dialect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from ..core.chunk import ChunkFields, FinishReason, ToolCallDeltaFields
from ..core.frame import Frame
from .openai_finish import finish_reason, read_finish
from .openai_message import OpenAIMessage
from .openai_pieces import audio_in_pieces, citations_in_list, logprobs_in_tokens
from .openai_texts import REASONING, content_of, count_inside, reasoning_of, text_in
from .provider_errors import error_in
from .repeated_fields import RepeatFilter
from .tool_calls import ToolCalls

__all__ = ["OpenAIChoice"]

_SAID = ("content", *REASONING, "reasoning_details", "refusal", "audio")
_SAID_IN_CHUNK = frozenset({"text", "tool_calls"})
_SPEECH = (*_SAID, "tool_calls")
_REASONING = frozenset({*REASONING, "reasoning_details"})
# Perplexity's steps before the answer, which is not in their `message`:
# https://docs.perplexity.ai/docs/sonar/pro-search/stream-mode
_PIECES = frozenset({"chat.completion.chunk", "chat.reasoning", "chat.reasoning.done"})
_KNOWN_IN_CHOICE = frozenset(
    {
        *("delta", "error", "finishReason", "finish_reason", "index", "logprobs", "message"),
        *("text", "tool_calls", "usage"),
    }
)
_KNOWN_IN_DELTA = frozenset({*_SPEECH, "finish_reason", "function_call", "padding", "role"})


class OpenAIChoice:
    """The state of one choice.

    message: the assistant's message so far. said: whether anything of the answer came. whole:
    whether it came in one piece. finish: its finish reason as sent, "" where a whole answer has
    none.
    """

    def __init__(self, index: int, repeats: RepeatFilter) -> None:
        self._index = index
        self._repeats = repeats
        self._tool_calls = ToolCalls()
        self._called = False
        self.message = OpenAIMessage(self._tool_calls)
        self.said = False
        self.whole = False
        self.finish: str | None = None
        self._reason: FinishReason | None = None

    def read(
        self, choice: dict[str, Any], event: dict[str, Any], frame: Frame
    ) -> tuple[ChunkFields, Any]:
        """The fields of a chunk, and the error in the choice, if any. event: what has the choice.

        If it calls itself a piece of a stream, a `message` in it is a piece too.
        """
        streamed = str(event.get("object")) in _PIECES
        fields: ChunkFields = {"choice": self._index} if self._index else {}
        source, whole = self._source(choice, frame, streamed=streamed)
        if choice.get("tool_calls") and not source.get("tool_calls"):
            frame.repair("tool-calls-beside-message")
            source = {**source, "tool_calls": choice["tool_calls"]}
        if "provider_specific_fields" in source:
            source = citations_in_list(source)
        extra = self._repeats.unknown_fields(source, _KNOWN_IN_DELTA, (self._index, "delta"))
        if isinstance(parts := source.get("content"), list):
            frame.count(len(cast("list[Any]", parts)) // 4)  # which `message` keeps in order
            frame.count(count_inside(cast("list[Any]", parts)) // 4)
        self.whole = self.whole or whole
        if whole:
            self.message.take_whole(source)
        else:
            self.message.add(source)
        repeats = self._repeats
        role = source.get("role")
        if role and isinstance(role, str) and repeats.is_new((self._index, "role"), role):
            fields["role"] = role
        self._texts(choice, source, fields, frame)
        if calls := self._calls(source, frame, whole=whole):
            fields["tool_calls"] = calls
        if (logprobs := choice.get("logprobs")) is not None:
            fields["logprobs"] = logprobs_in_tokens(logprobs, fields)
        if not self.said:
            self.said = not _SAID_IN_CHUNK.isdisjoint(fields) or any(map(source.get, _SAID))
        self._finish((choice, source, event), fields, frame, whole=whole)
        if source.get("audio"):
            extra["audio"] = source["audio"] if whole else audio_in_pieces(source["audio"])
        extra.update(repeats.unknown_fields(choice, _KNOWN_IN_CHOICE, self._index))
        if extra:
            fields["extra"] = extra
        error = error_in(choice) if choice.get("error") else None
        if not error and fields.get("finish_reason") == "error":
            error = {"message": f"finish_reason {self.finish!r}", "code": self.finish}
        return fields, error

    def _texts(
        self, choice: dict[str, Any], source: dict[str, Any], fields: ChunkFields, frame: Frame
    ) -> None:
        """Add text, reasoning and refusal."""
        content = source.get("content")
        text, reasoning = (content, "") if type(content) is str else content_of(content, frame)
        if not _REASONING.isdisjoint(source):
            reasoning += reasoning_of(source, frame)
        if reasoning:
            fields["reasoning"] = reasoning
        if "text" in choice:
            text += self._legacy_text(choice, text, reasoning, frame)
        if text:
            fields["text"] = text
        if "refusal" in source and (refusal := text_in(source, "refusal", frame)):
            fields["refusal"] = refusal

    def close(self, frame: Frame, *, complete: bool) -> ChunkFields | None:
        """What tool calls still lack, now that the answer has ended, and its finish reason.

        complete: the answer is whole; if it calls tools, it ended to do so, said or not.
        """
        fields: ChunkFields = {"choice": self._index} if self._index else {}
        if calls := self._tool_calls.close(frame, complete=complete):
            fields["tool_calls"] = calls
        if complete and not self.finish and self._tool_calls:
            fields["finish_reason"] = "tool_calls"
        return fields if fields.keys() - {"choice"} else None

    def _source(
        self, choice: dict[str, Any], frame: Frame, *, streamed: bool
    ) -> tuple[dict[str, Any], bool]:
        """The delta or message of the choice, and whether it is the whole answer.

        Perplexity sends a `message` with all that came so far beside each `delta`, and in a whole
        answer an empty `delta` beside the `message`.
        """
        delta, message = _object(choice, "delta", frame), _object(choice, "message", frame)
        if delta is None and message is None:
            if "text" not in choice:
                frame.repair("missing-delta")
            return {}, False
        if delta is not None and (message is None or any(delta.get(key) for key in _SPEECH)):
            if message is not None:
                frame.repair("message-beside-delta")
                delta = self._with_calls(delta, message)
            return delta, False
        if streamed and delta is None:
            frame.repair("message-as-delta")
            return message or {}, False
        if self.said:
            frame.repair("message-beside-delta")
            return self._with_calls(delta or {}, message or {}), False
        return message or {}, not streamed

    def _with_calls(self, delta: dict[str, Any], message: dict[str, Any]) -> dict[str, Any]:
        """The delta, with the calls of a message beside it where none came in deltas."""
        calls = message.get("tool_calls")
        if not calls or self._tool_calls or delta.get("tool_calls"):
            return delta
        return {**delta, "tool_calls": calls}

    def _legacy_text(self, choice: dict[str, Any], text: str, reasoning: str, frame: Frame) -> str:
        """The text of the choice itself, unless the delta beside it has that too (Together)."""
        legacy = text_in(choice, "text", frame)
        if legacy and (text or legacy == reasoning):
            frame.repair("text-beside-delta")
            return ""
        if legacy:
            self.message.writer("content")(legacy)
        return legacy

    def _calls(
        self, source: dict[str, Any], frame: Frame, *, whole: bool
    ) -> list[ToolCallDeltaFields]:
        sent: Any = source.get("tool_calls")
        legacy = source.get("function_call")
        if not sent and not legacy:
            return []
        if sent := ToolCalls.pieces(sent, frame):
            self._called = True
            if legacy:
                frame.repair("function-call-mirrored")
            pieces = [piece for piece in sent if piece]
            frame.count(len(pieces))
        elif legacy and not self._called:
            pieces = [{"index": 0, "function": legacy}]
        else:
            return []
        made = [self._tool_calls.add(piece, frame, whole=whole) for piece in pieces]
        calls = [delta for delta in made if delta is not None]
        self.message.has_function_call = not self._called
        return calls

    def _finish(
        self, places: Sequence[dict[str, Any]], fields: ChunkFields, frame: Frame, *, whole: bool
    ) -> None:
        raw = read_finish(places, frame)
        if raw is None:
            if whole and self.finish is None and not error_in(places[0]):
                # A whole answer ends where it ends; the reason stays unknown.
                frame.repair("missing-finish-reason")
                self.finish = ""
            return
        if self.finish:
            frame.repair("repeated-finish-reason")
        if raw == self.finish:
            return
        self.finish = raw
        reason = finish_reason(raw)
        if reason is None and not self.said:
            frame.repair("unknown-finish-reason")
        if reason == "tool_calls" and not self._tool_calls:
            frame.repair("tool-calls-missing")
        # A stop that a gateway adds does not undo a limit or a filter.
        if reason == "stop" and self._reason in {"length", "content_filter"}:
            reason = self._reason
        fields["finish_reason"] = self._reason = reason or "other"
        fields["raw_finish_reason"] = raw
        if ids := self._tool_calls.close(frame):
            fields["tool_calls"] = [*fields.get("tool_calls", ()), *ids]


def _object(choice: dict[str, Any], name: str, frame: Frame) -> dict[str, Any] | None:
    value = choice.get(name)
    if value is None or isinstance(value, dict):
        return cast("dict[str, Any] | None", value)
    frame.repair("unexpected-type")
    return {"content": value} if isinstance(value, str) else {}
