"""Reads answers of OpenAI's Responses API: typed events, or one whole response.

https://developers.openai.com/api/docs/api-reference/responses-streaming. An answer is whole when
`response.completed` or `response.incomplete` came, or a whole response has such a status; a failed
or cancelled one is an error in band, after the chunks of what came of it. The whole response to a
request in the background, which is only queued, ends with the finish reason "other".

Texts are text, reasoning and its summaries are reasoning, calls of functions and of custom tools
are tool calls. `extra["annotations"]` has those of all texts, `extra["item_2"]` an item of any
other type (here the third), when it is done. `extra["audio"]` has lists of the pieces of a sound:
of its `data`, each piece base64 by itself, and of its `transcript`.

The message in the API's own form has all items, whole and in order. Of an answer that was cut,
reasoning and calls of the API's own tools are left out that did not come whole: the API would
refuse them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, cast

from ..core.chunk import ChunkFields, FinishReason
from ..core.frame import Frame
from ..core.native import NativeMessages
from ..core.vessel import Decoder, Progress
from .openai_usage import read_timings, read_usage
from .provider_errors import error_in_band
from .repeated_fields import RepeatFilter
from .responses_kinds import TEXT_KINDS, Fields
from .responses_output import ResponsesOutput
from .typed_events import events_in, object_of, text_under

__all__ = ["ResponsesDecoder"]

_DELTAS = {f"{name}.delta": kind for name, kind in TEXT_KINDS.items()}
_DONE = {f"{name}.done": kind for name, kind in TEXT_KINDS.items()}
_RESPONSE = "response"
_REASONS: dict[str, FinishReason] = {
    "max_output_tokens": "length",
    "content_filter": "content_filter",
}
# reasoning_part: vLLM (vllm/entrypoints/openai/responses).
_PARTS = {
    f"response.{part}.{event}"
    for part in ("content_part", "reasoning_summary_part", "reasoning_part")
    for event in ("added", "done")
}
_BEGINNINGS = {"response.created", "response.in_progress", "response.queued"}
_FAILED = ("failed", "cancelled")
_TERMINAL = ("completed", "incomplete", *_FAILED)
_ENDS = {f"response.{status}" for status in (*_TERMINAL, "done")}
_WAITING = ("queued", "in_progress")
_IN_RESPONSE = frozenset(
    {
        *("error", "id", "incomplete_details", "model", "object", "output", "output_text"),
        *("status", "type", "usage"),
        *("input", "instructions", "tools"),  # of the request, and as long as they are there
    }
)
_IN_TERMINAL = frozenset({"response", "sequence_number", "timings", "type"})
# How one of the API's own tools is getting on; the item has it all when it is done.
_NEWS = re.compile(
    r"response\.(\w+_call|mcp_list_tools|compaction|(?:shell|apply_patch)_call_\w+)\.\w+"
)
_LARGE_NEWS = "response.image_generation_call.partial_image"


class ResponsesDecoder(Decoder):
    """The decoder of one answer. vessel: its name, for errors."""

    def __init__(self, vessel: str) -> None:
        self._vessel = vessel
        self._repeats = RepeatFilter()
        self._output = ResponsesOutput()
        self._begun = False
        self._finish: FinishReason | None = None

    def decode(self, frame: Frame) -> Iterable[ChunkFields]:
        """The chunks of an event; of a whole response those of each item, and one for the rest."""
        # Nearly every event is a delta, for which this is all that has to be looked at.
        kind = _DELTAS.get(frame.event)
        is_open = self.progress is Progress.OPEN
        if kind is not None and is_open and frame.data is not None and not frame.ignored:
            try:
                value = frame.json()
            except ValueError:
                value = None
            if isinstance(value, dict):
                event = cast("Fields", value)
                if event.get("type") == frame.event and "error" not in event:
                    fields = self._output.delta(event, kind, frame)
                    return (fields,) if fields else ()
        return self._events(frame)

    def flush(self, frame: Frame) -> Iterator[ChunkFields]:
        """What is held back of the arguments of calls, where the answer was cut."""
        yield from self._output.calls.release(frame)

    def native(self) -> NativeMessages:
        """The output items."""
        cut = self.progress is Progress.OPEN or self._finish == "length"
        output = self._output.build(cut=cut)
        return {0: {"role": "assistant", "output": output}} if output else {}

    def _events(self, frame: Frame) -> Iterator[ChunkFields]:
        for event in events_in(frame, self._vessel, whole=_RESPONSE):
            yield from filter(None, self._read(event, frame))

    def _read(self, event: Fields, frame: Frame) -> Iterator[ChunkFields]:
        kind = str(event["type"])
        if self.progress is not Progress.OPEN and kind.startswith("response"):
            raise ValueError("a response goes on, or a second one begins, after its end")
        if (text := _DELTAS.get(kind)) is not None:
            yield self._output.delta(event, text, frame)
        elif (text := _DONE.get(kind)) is not None:
            yield from self._output.text_done(event, text, frame)
        elif kind in _PARTS:
            yield from self._output.part(event, frame)
        elif kind in _BEGINNINGS:
            yield self._head(object_of(event.get("response"), frame), frame)
        elif kind in _ENDS:
            yield from self._end(event, frame)
        else:
            yield from self._other(kind, event, frame)

    def _other(self, kind: str, event: Fields, frame: Frame) -> Iterator[ChunkFields]:
        match kind:
            case "response.output_item.added":
                yield from self._output.added(event, frame)
            case "response.output_item.done":
                yield from self._output.done(event, frame)
            case "response.output_text.annotation.added":
                yield self._output.annotation(event, frame)
            case "response.audio.delta":
                yield {"extra": {"audio": {"data": [event.get("delta")]}}}
            case "response.audio.transcript.delta":
                yield {"extra": {"audio": {"transcript": [event.get("delta")]}}}
            case "response.audio.done" | "response.audio.transcript.done":
                pass
            case "response":
                yield from self._whole(event, frame)
            case "ping" | "keepalive" | "response.keepalive":
                pass
            case _ if _NEWS.fullmatch(kind) and kind != _LARGE_NEWS:
                pass
            case _:
                if kind != _LARGE_NEWS:
                    frame.repair("unknown-event")
                if extra := self._repeats.unknown_fields({kind: event}):
                    yield {"extra": extra}

    def _head(self, response: Fields, frame: Frame) -> ChunkFields:
        """What a response says beside its output."""
        identifier = text_under(response, "id", frame)
        fields: ChunkFields = {}
        if not self._begun:
            self._begun = True
            fields["role"] = "assistant"
        if identifier and self._repeats.is_new("id", identifier):
            self._output.calls.seed = fields["response_id"] = identifier
        if (model := text_under(response, "model", frame)) and self._repeats.is_new("model", model):
            fields["model"] = model
        if extra := self._repeats.unknown_fields(response, _IN_RESPONSE):
            fields["extra"] = extra
        return fields

    def _end(self, event: Fields, frame: Frame) -> Iterator[ChunkFields]:
        response = object_of(event.get("response"), frame)
        if not response and not event.keys() <= _IN_TERMINAL:
            frame.repair("response-without-envelope")
            response, event = {**event, "type": None}, {"type": event["type"]}
        fields = self._head(response, frame)
        yield from self._whole_output(response, frame)
        status = text_under(response, "status", frame)
        told = str(event["type"]).removeprefix("response.")
        if status not in _TERMINAL:
            status = told if told in _TERMINAL else "completed"
        if status in _FAILED:
            fields = ChunkFields()  # it says nothing but that
        if extra := self._repeats.unknown_fields(event, _IN_TERMINAL):
            fields["extra"] = {**fields.get("extra", {}), **extra}
        if timings := read_timings(event, None):
            fields["timings"] = timings
        yield from self._finished(response, status, fields, frame)

    def _whole(self, response: Fields, frame: Frame) -> Iterator[ChunkFields]:
        fields = self._head(response, frame)
        yield from self._whole_output(response, frame)
        status = text_under(response, "status", frame)
        if not status:
            frame.repair("missing-finish-reason")
            status = "completed"
        if status in _WAITING and response.get("background") is not True:
            yield fields
            return
        if timings := read_timings(response, None):
            fields["timings"] = timings
        yield from self._finished(response, status, fields, frame)

    def _whole_output(self, response: Fields, frame: Frame) -> Iterator[ChunkFields]:
        """The chunks of what has not come before of a whole response."""
        output, text = response.get("output"), response.get("output_text")
        if isinstance(output, str):
            output, text = None, text or output
        yield from self._output.whole(output, frame)
        # By the API these are the texts of the items again.
        if text and isinstance(text, str) and not self._output.has_text:
            frame.repair("output-text-alone")
            yield from self._output.text_alone(text, frame)
        yield from self._output.calls.release(frame)

    def _finished(
        self, response: Fields, status: str, fields: ChunkFields, frame: Frame
    ) -> Iterator[ChunkFields]:
        """The last chunk, with these fields. Raises ProviderError for a response that failed."""
        details = object_of(response.get("incomplete_details"), frame)
        reason = text_under(details, "reason", frame) if status == "incomplete" else ""
        finish: FinishReason = "stop" if status == "completed" else _REASONS.get(reason, "other")
        failed = status in _FAILED
        if not failed:
            self._finish = fields["finish_reason"] = finish
            fields["raw_finish_reason"] = reason or status
        self._usage(response, fields, frame)
        yield fields
        if failed:
            error = response.get("error")
            told: Any = error or {"code": status, "message": f"the response is {status}"}
            raise error_in_band(self._vessel, told, response)
        self.progress = Progress.TERMINATED

    def _usage(self, response: Fields, fields: ChunkFields, frame: Frame) -> None:
        usage = object_of(response.get("usage"), frame)
        counts, rest = read_usage(usage, frame)
        if counts:
            fields["usage"] = counts
        if rest := self._repeats.unknown_fields(rest, frozenset(), "usage"):
            fields["extra"] = {**fields.get("extra", {}), "usage": rest}
