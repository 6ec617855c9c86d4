"""Reads answers of the Gemini API: events, or one whole object.

https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse. Each event has the same
shape as a whole answer; there is no terminator. An answer is complete when each candidate (as many
as were asked for) has a finish reason, or when the prompt was blocked, which is a content filter's
finish without any candidate. A finish reason that means a failure is an error in band.

Fields that only the API knows, such as ratings, are in `extra`; those of a candidate's content are
in its native form (gemini_parts.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, cast

from ..core.chunk import ChunkFields
from ..core.frame import Frame
from ..core.native import NativeMessages
from ..core.vessel import Decoder, Progress
from .concatenated_json import DONE, json_values
from .gemini_finish import finish_meaning, finish_reason_name
from .gemini_logprobs import read_logprobs
from .gemini_names import in_camel_case, may_be_in_snake_case
from .gemini_parts import GeminiParts
from .gemini_usage import usage_fields
from .mended_values import is_word, mended_index, mended_object, mended_objects, mended_text
from .provider_errors import error_in, error_in_band
from .repeated_fields import RepeatFilter
from .wire_values import keep_counts

__all__ = ["GeminiDecoder"]

_KNOWN = frozenset({"candidates", "modelVersion", "responseId", "usageMetadata"})
_KNOWN_IN_CANDIDATE = frozenset({"content", "finishReason", "index", "logprobsResult"})


class _Candidate(GeminiParts):
    """The state of one candidate."""

    finished = False


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
        self._counts: dict[str, Any] = {}
        self._finished, self._snake_case = 0, False

    def decode(self, frame: Frame) -> Iterable[ChunkFields]:
        """The chunks of an event: one for each candidate, the first with what is about them all."""
        data = frame.data
        self._snake_case = may_be_in_snake_case(data or frame.text)
        if data is None:
            return self._without_data(frame)
        if frame.event == "error":
            return self._failed(data)
        try:
            value = frame.json()
        except ValueError:
            return self._not_json(data, frame)
        return self._values(value, frame)

    def native(self) -> NativeMessages:
        """The content of each candidate, with role and parts."""
        found = {index: state.native() for index, state in self._candidates.items()}
        return {index: content for index, content in found.items() if content is not None}

    def flush(self, frame: Frame) -> Iterator[ChunkFields]:  # noqa: ARG002 - nothing is mended
        """What came of the arguments of a call whose end never came."""
        for index, state in self._candidates.items():
            if calls := state.close():
                yield _of_choice(index, {"tool_calls": calls})

    def _without_data(self, frame: Frame) -> Iterable[ChunkFields]:
        """A comment, or JSON or an error without the name of its field."""
        text = frame.text.strip("\ufeff \t\r\n")
        if text[:1] in {"{", "["}:
            frame.repair("data-without-field-name")
            return self._not_json(text, frame)
        for line in text.replace("\r", "\n").split("\n"):
            if line.startswith("error:"):
                frame.repair("error-as-field")
                return self._failed(line[6:].strip())
        return ()

    def _not_json(self, data: str, frame: Frame) -> Iterable[ChunkFields]:
        if data.strip() == DONE:
            frame.repair("done-marker")
            return ()
        if data.startswith(":"):
            frame.repair("comment-as-data")
            return ()
        if is_word(data):
            frame.repair("unknown-event")
            return ()
        values = json_values(data, frame)
        if len(values) > 1:
            frame.repair("glued-events")
        return chain.from_iterable(self._values(each, frame) for each in values if each != DONE)

    def _failed(self, text: str) -> Iterable[ChunkFields]:
        try:
            (value,) = json_values(text)
        except ValueError:
            value = text
        raise error_in_band(self._vessel, value)

    def _values(self, value: Any, frame: Frame) -> Iterator[ChunkFields]:
        # Without alt=sse a stream is one JSON list of the same objects.
        events = cast("list[Any]", value) if isinstance(value, list) else [value]
        frame.count(len(events) if len(events) > 1 else 0)
        for event in events:
            yield from self._event(event, frame)

    def _event(self, value: Any, frame: Frame) -> Iterator[ChunkFields]:
        event = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        if (error := error_in(event)) is not None:
            raise error_in_band(self._vessel, error)
        if isinstance(inside := event.get("response"), dict) and "candidates" not in event:
            frame.repair("answer-in-envelope")  # https://github.com/google-gemini/gemini-cli
            event = cast("dict[str, Any]", inside)
        if self._snake_case:
            event = in_camel_case(event, frame)
        if "choices" in event:
            raise ValueError("this is the OpenAI dialect, not Gemini's own")
        if event.keys().isdisjoint({*_KNOWN, "promptFeedback"}):
            frame.repair("unknown-event")
            return
        head: ChunkFields | None = self._head(event, frame)
        failure: dict[str, Any] | None = None
        candidates = mended_objects(event.get("candidates"), frame)
        frame.count(len(candidates) if len(candidates) > 1 else 0)
        for position, candidate in enumerate(candidates):
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
            code = finish_reason_name(failure["finishReason"])
            message = mended_text(failure.get("finishMessage"), frame) or f"finishReason {code}"
            raise error_in_band(self._vessel, {"message": message, "code": code})
        self._judge(frame)

    def _judge(self, frame: Frame) -> None:
        """Whether each candidate has ended. A whole answer has no more than it has."""
        if not self._finished == len(self._candidates) > 0:
            return
        if self._whole and self._finished < self._expected:
            frame.repair("fewer-choices")
            self._expected = self._finished
        if self._finished >= self._expected:
            self.progress = Progress.FINISHED

    def _head(self, event: dict[str, Any], frame: Frame) -> ChunkFields:
        """What is about the answer as a whole."""
        repeats = self._repeats
        fields: ChunkFields = {}
        identifier = mended_text(event.get("responseId"), frame)
        if identifier and repeats.is_new("id", identifier):
            fields["response_id"] = identifier
        model = mended_text(event.get("modelVersion"), frame)
        if model and repeats.is_new("model", model):
            fields["model"] = model
        usage = usage_fields(mended_object(event.get("usageMetadata"), frame))
        keep_counts(usage, self._counts)
        if usage and repeats.is_new("usage", usage):
            fields["usage"] = usage
        if extra := repeats.unknown_fields(event, _KNOWN):
            fields["extra"] = extra
        if "promptFeedback" in event:
            feedback = mended_object(event["promptFeedback"], frame)
            reason = mended_text(feedback.get("blockReason"), frame)
            if reason or feedback.get("blockReasonMessage"):
                fields["finish_reason"] = "content_filter"
                fields["raw_finish_reason"] = reason or "promptFeedback"
                self.progress = Progress.FINISHED
        return fields

    def _candidate(self, candidate: dict[str, Any], position: int, frame: Frame) -> ChunkFields:
        index = mended_index(candidate.get("index", position), frame)
        if index is None or not 0 <= index < 1 << 32:
            frame.repair("missing-choice-index")
            index = position
        state = self._candidates.get(index)
        if state is None:
            state = self._candidates[index] = _Candidate()
        fields = _of_choice(index, {})
        sent = candidate.get("content")
        content = {"parts": sent} if isinstance(sent, str) else mended_object(sent, frame)
        # The API's name for the assistant.
        if content.get("role") == "model" and self._repeats.is_new((index, "role"), "model"):
            fields["role"] = "assistant"
        state.read(content, fields, frame)
        if extra := self._repeats.unknown_fields(candidate, _KNOWN_IN_CANDIDATE, index):
            fields["extra"] = extra
        if "logprobsResult" in candidate:
            logprobs = read_logprobs(mended_object(candidate["logprobsResult"], frame))
            if logprobs:
                fields["logprobs"] = {"content": logprobs}
        reason = finish_reason_name(candidate.get("finishReason"))
        if reason or self._whole:
            self._finish(reason, state, fields, frame)
        return fields

    def _finish(self, reason: str, state: _Candidate, fields: ChunkFields, frame: Frame) -> None:
        if reason:
            meaning = finish_meaning(reason)
            if meaning is None and not state.said:
                frame.repair("unknown-finish-reason")
            fields["finish_reason"] = meaning or "other"
            fields["raw_finish_reason"] = reason
        else:
            # A whole answer ends where it ends; the reason stays unknown.
            frame.repair("missing-finish-reason")
            if state.calls_tools:
                fields["finish_reason"] = "tool_calls"
        if fields.get("finish_reason") == "stop" and (calls := state.finish(frame)):
            fields["tool_calls"] = [*fields.get("tool_calls", ()), *calls]
        if not state.finished:
            state.finished = True
            self._finished += 1


def _of_choice(index: int, fields: ChunkFields) -> ChunkFields:
    return {"choice": index, **fields} if index else fields


def _join(fields: ChunkFields, head: ChunkFields) -> None:
    """Add what is about the whole answer to a candidate's chunk."""
    extra = {**head.get("extra", {}), **fields.get("extra", {})}
    fields.update({**head, "extra": extra} if extra else head)
