"""Reads answers of the Gemini API: events, or one whole object.

https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse. Each event has the same
shape as a whole answer; there is no terminator. An answer is complete when each candidate (as many
as were asked for) has a finish reason, or when the prompt was blocked, which is a content filter's
finish without any candidate. A finish reason that means a failure (an invalid function call) is an
error in band. `STOP` stays `stop` where functions were called, as the provider sends it.

Usage is cumulative on each event. The API counts thoughts apart from `candidatesTokenCount`, and
what tools put in apart from `promptTokenCount`; here, as everywhere, output_tokens and input_tokens
are all of them. The API's own details are in `extra["usage"]`.

`extra["thought_signatures"]` has the signatures by the number of the tool call, or "text".
`extra["parts"]` has the small ones of the parts of other kinds (code that was run, images). Both
come once, when the candidate ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

from ..core.chunk import ChunkFields, FinishReason
from ..core.frame import Frame
from ..core.jsontext import dumps, loads_exact
from ..core.vessel import Decoder, Progress
from .gemini_logprobs import read_logprobs
from .provider_errors import error_in_band
from .repeated_fields import RepeatFilter
from .tool_calls import ToolCalls
from .wire_values import list_in, object_in, sum_of_counts, text_of

__all__ = ["GeminiDecoder"]

_FILTERS = (
    *("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR"),
    *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"),
)
_FAILURES = (
    *("MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL"),
    *("TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE"),
)
_FINISH: dict[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    **dict.fromkeys(_FILTERS, "content_filter"),
    **dict.fromkeys(_FAILURES, "error"),
}
_UNSPECIFIED = "FINISH_REASON_UNSPECIFIED"
_INPUT = ("promptTokenCount", "toolUsePromptTokenCount")
_OUTPUT = ("candidatesTokenCount", "thoughtsTokenCount")
_KNOWN = frozenset({"candidates", "modelVersion", "responseId", "usageMetadata"})
_KNOWN_IN_USAGE = frozenset(
    {"cachedContentTokenCount", "promptTokenCount", "totalTokenCount", *_OUTPUT}
)
_KNOWN_IN_CANDIDATE = frozenset({"content", "finishReason", "index", "logprobsResult"})
_TEXT = frozenset({"text", "thought", "thoughtSignature"})


class _Candidate:
    """The state of one candidate."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.calls = ToolCalls()
        self.signatures: dict[str, str] = {}
        self.parts: list[Any] = []
        self.given = 0
        self.finished = False

    def grown(self) -> dict[str, Any]:
        """For `extra`: the signatures and parts, if more have come since they were given."""
        size = len(self.signatures) + len(self.parts)
        if size == self.given:
            return {}
        self.given = size
        found = {"thought_signatures": dict(self.signatures), "parts": list(self.parts)}
        return {name: value for name, value in found.items() if value}


class GeminiDecoder(Decoder):
    """The decoder of one answer.

    vessel: its name, for errors. expected: how many candidates were asked for. whole: the answer
    is not streamed.
    """

    def __init__(self, vessel: str, expected: int = 1, *, whole: bool = False) -> None:
        self._vessel = vessel
        self._expected = expected
        self._whole = whole
        self._repeats = RepeatFilter()
        self._candidates: dict[int, _Candidate] = {}
        self._finished = 0

    def decode(self, frame: Frame) -> Iterable[ChunkFields]:
        """The chunks of an event: one for each candidate, the first with what is about them all."""
        data = frame.data
        if data is None:
            return ()
        # Arguments are values here, and a function may be called with an integer of any size.
        value = loads_exact(data) if '"functionCall"' in data else frame.json()
        # Without alt=sse a stream is one JSON list of the same objects.
        events = cast("list[Any]", value) if isinstance(value, list) else [value]
        return (fields for event in events for fields in self._event(event, frame))

    def _event(self, value: Any, frame: Frame) -> Iterator[ChunkFields]:
        if not isinstance(value, dict):
            raise ValueError(f"an event is {type(value).__name__}, not an object")  # noqa: TRY004
        event = cast("dict[str, Any]", value)
        if event.get("error"):
            raise error_in_band(self._vessel, event["error"])
        if event.keys().isdisjoint({*_KNOWN, "promptFeedback"}):
            raise ValueError("an object that is no answer")
        head: ChunkFields | None = self._head(event)
        failure: dict[str, Any] | None = None
        for position, candidate in enumerate(list_in(event, "candidates")):
            fields = self._candidate(candidate, position, frame)
            if fields.get("finish_reason") == "error":
                failure = candidate
            if head is not None:
                _join(fields, head)
                head = None
            if fields.keys() - {"choice"}:
                yield fields
        if head:
            yield head
        if failure is not None:
            code = failure["finishReason"]
            message = text_of(failure.get("finishMessage")) or f"finishReason {code}"
            raise error_in_band(self._vessel, {"message": message, "code": code})
        if self._finished == len(self._candidates) >= self._expected:
            self.progress = Progress.FINISHED

    def _head(self, event: dict[str, Any]) -> ChunkFields:
        """What is about the answer as a whole."""
        repeats = self._repeats
        fields: ChunkFields = {}
        identifier = text_of(event.get("responseId"))
        if identifier and repeats.is_new("id", identifier):
            fields["response_id"] = identifier
        model = text_of(event.get("modelVersion"))
        if model and repeats.is_new("model", model):
            fields["model"] = model
        extra = repeats.unknown_fields(event, _KNOWN)
        usage = object_in(event, "usageMetadata")
        counts = {
            "input_tokens": sum_of_counts(usage, *_INPUT),
            "output_tokens": sum_of_counts(usage, *_OUTPUT),
            "total_tokens": sum_of_counts(usage, "totalTokenCount"),
            "cached_input_tokens": sum_of_counts(usage, "cachedContentTokenCount"),
            "reasoning_tokens": sum_of_counts(usage, "thoughtsTokenCount"),
        }
        counts = {name: count for name, count in counts.items() if count is not None}
        if counts and repeats.is_new("counts", counts):
            fields["usage"] = cast("dict[str, int | None]", counts)
        own = {name: value for name, value in usage.items() if name not in _KNOWN_IN_USAGE}
        extra.update(repeats.unknown_fields({"usage": own}))
        if extra:
            fields["extra"] = extra
        feedback = object_in(event, "promptFeedback")
        reason = text_of(feedback.get("blockReason"))
        if reason or feedback.get("blockReasonMessage"):
            fields["finish_reason"] = "content_filter"
            fields["raw_finish_reason"] = reason or "promptFeedback"
            self.progress = Progress.FINISHED
        return fields

    def _candidate(self, candidate: dict[str, Any], position: int, frame: Frame) -> ChunkFields:
        index = candidate.get("index", position)
        if type(index) is not int:
            raise ValueError(f"a candidate's index is {type(index).__name__}")
        state = self._candidates.get(index)
        if state is None:
            state = self._candidates[index] = _Candidate(index)
        fields: ChunkFields = {"choice": index} if index else {}
        content = object_in(candidate, "content")
        # The API's name for the assistant.
        if content.get("role") == "model" and self._repeats.is_new((index, "role"), "model"):
            fields["role"] = "assistant"
        extra = self._repeats.unknown_fields(candidate, _KNOWN_IN_CANDIDATE, index)
        _read_parts(list_in(content, "parts"), state, fields, frame)
        if logprobs := read_logprobs(object_in(candidate, "logprobsResult")):
            fields["logprobs"] = {"content": logprobs}
        reason = text_of(candidate.get("finishReason"))
        finished = self._whole
        if reason and reason != _UNSPECIFIED:
            finished = True
            fields["finish_reason"] = _FINISH.get(reason, "other")
            fields["raw_finish_reason"] = reason
        elif self._whole:
            # A whole answer ends where it ends; the reason stays unknown.
            frame.repair("missing-finish-reason")
        if finished and not state.finished:
            state.finished = True
            self._finished += 1
            extra.update(state.grown())
        if extra:
            fields["extra"] = extra
        return fields

    def flush(self, frame: Frame) -> Iterator[ChunkFields]:  # noqa: ARG002
        """The signatures and parts that were not given yet."""
        for index, state in self._candidates.items():
            if state.finished and (extra := state.grown()):
                yield {"choice": index, "extra": extra} if index else {"extra": extra}


def _read_parts(parts: list[Any], state: _Candidate, fields: ChunkFields, frame: Frame) -> None:
    """Texts, thoughts and function calls go into the chunk, all else into the candidate."""
    texts: list[str] = []
    thoughts: list[str] = []
    for part in parts:
        place = "text"
        if text := text_of(part.get("text")):
            (thoughts if part.get("thought") else texts).append(text)
        if call := object_in(part, "functionCall"):
            piece = {"id": call.get("id"), "function": {**call, "arguments": call.get("args")}}
            delta = state.calls.add(piece, frame, whole=True)
            if delta is not None:
                fields.setdefault("tool_calls", []).append(delta)
                place = delta.get("slot", place)
        elif part.keys() - _TEXT:
            state.parts.append(part)
        if signature := text_of(part.get("thoughtSignature")):
            state.signatures[place] = signature
    if thoughts:
        fields["reasoning"] = "".join(thoughts)
    if texts:
        fields["text"] = "".join(texts)


def _join(fields: ChunkFields, head: ChunkFields) -> None:
    """Add what is about the whole answer to a candidate's chunk."""
    extra = {**head.get("extra", {}), **fields.get("extra", {})}
    fields.update(head)
    if extra:
        fields["extra"] = extra
