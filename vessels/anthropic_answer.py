"""Reads answers of Anthropic's Messages API: typed events, or one whole message.

https://docs.claude.com/en/docs/build-with-claude/streaming. An answer is whole when a
`message_delta` gives its stop reason, as a `message_start` that has content may; `message_stop` is
the terminator. Content comes in blocks: text is text, thinking is reasoning, `tool_use` is a tool
call whose arguments come as pieces of JSON. `extra["citations"]` has those of all texts, and
`extra["block_3"]` a block of any other kind (here the fourth), when it ends.

The message in the API's own form has all blocks, whole and in order. Of an answer that was cut, or
that its length ended, thinking without a signature is left out of it, and so are parts of blocks
other than text and tool calls: the API would refuse them (anthropic_block.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

from ..core.chunk import ChunkFields, FinishReason
from ..core.frame import Frame
from ..core.native import NativeMessages
from ..core.vessel import Decoder, Progress
from .anthropic_content import AnthropicContent
from .anthropic_usage import AnthropicUsage
from .openai_finish import finish_reason
from .provider_errors import error_in_band
from .repeated_fields import RepeatFilter
from .typed_events import Event, events_in, object_of, text_under

__all__ = ["AnthropicDecoder"]

# https://docs.claude.com/en/api/handling-stop-reasons. Gateways pass on some of the OpenAI
# dialect's. `pause_turn` and `compaction`: the answer goes on when it is sent back.
_FINISH: dict[str, FinishReason] = {
    **dict.fromkeys(("end_turn", "stop_sequence", "stop"), "stop"),
    **dict.fromkeys(("max_tokens", "model_context_window_exceeded", "length"), "length"),
    **dict.fromkeys(("tool_use", "tool_calls"), "tool_calls"),
    **dict.fromkeys(("refusal", "content_filter"), "content_filter"),
    **dict.fromkeys(("pause_turn", "compaction"), "other"),
    **dict.fromkeys(("error", "abort"), "error"),
}
_IN_MESSAGE = frozenset({"content", "id", "model", "role", "stop_reason", "type", "usage"})
_IN_MESSAGE_DELTA = frozenset({"delta", "stop_reason", "stop_sequence", "type", "usage"})
_IN_MESSAGE_STOP = frozenset({"stop_reason", "stop_sequence", "type"})
_DELTA = "content_block_delta"


class AnthropicDecoder(Decoder):
    """The decoder of one answer. vessel: its name, for errors."""

    def __init__(self, vessel: str) -> None:
        self._vessel = vessel
        self._repeats = RepeatFilter()
        self._usage = AnthropicUsage(self._repeats)
        self._content = AnthropicContent()
        self._begun = self._over = self._counted = False
        self._role = "assistant"
        self._container: Any = None
        self._finish: FinishReason | None = None

    def decode(self, frame: Frame) -> Iterable[ChunkFields]:
        """The chunk of an event; of a whole message one for each block, and one for the rest."""
        data = frame.data
        if self._over and data is not None:
            raise ValueError("a second message began after the first")
        # Nearly every event is a delta, for which this is all that has to be looked at.
        if data is not None and _DELTA in data[:60] and not frame.ignored:
            try:
                value = frame.json()
            except ValueError:
                value = None
            if isinstance(value, dict):
                event = cast("Event", value)
                if event.get("type") == _DELTA and "error" not in event:
                    fields = self._content.delta(event, frame)
                    return (fields,) if fields else ()
        return self._events(frame)

    def _events(self, frame: Frame) -> Iterator[ChunkFields]:
        for event in events_in(frame, self._vessel):
            yield from filter(None, self._read(event, frame))

    def _read(self, event: Event, frame: Frame) -> Iterator[ChunkFields]:
        match kind := event["type"]:
            case "content_block_delta":
                yield self._content.delta(event, frame)
            case "content_block_start":
                yield from self._content.start(event, frame)
            case "content_block_stop":
                yield self._content.stop(event, frame)
            case "message_start":
                message = object_of(event.get("message"), frame)
                yield from self._message(message, frame)
                # A reason without any content is no end: the content follows.
                if self._content:
                    self._counted = bool(message.get("usage"))
                    yield from self._end(message, {}, frame)
            case "message_delta":
                fields = self._kept(event, _IN_MESSAGE_DELTA)
                usage = object_of(event.get("usage"), frame)
                self._counted = self._counted or bool(usage)
                self._usage.add(usage, fields)
                delta = object_of(event.get("delta"), frame)
                if event.get("stop_reason") and not delta.get("stop_reason"):
                    delta = {**delta, **self._outside(event, frame)}
                yield from self._end(delta, fields, frame)
            case "message_stop":
                if self.progress is Progress.OPEN and event.get("stop_reason"):
                    yield from self._end(self._outside(event, frame), {}, frame)
                self._terminate(frame)
                yield self._kept(event, _IN_MESSAGE_STOP)
            case "message":
                yield from self._message(event, frame)
                yield from self._end(event, {}, frame)
                self._terminate(frame)
            case "ping":
                pass
            case _:
                frame.repair("unknown-event")
                yield self._kept({kind: event})

    def _message(self, message: Event, frame: Frame) -> Iterator[ChunkFields]:
        if self._begun:
            self._over = True
            raise ValueError("a second message began inside the first")
        self._begun = True
        fields = self._kept(message, _IN_MESSAGE)
        if role := text_under(message, "role", frame):
            self._role = fields["role"] = role
        if identifier := text_under(message, "id", frame):
            self._content.seed = fields["response_id"] = identifier
        if model := text_under(message, "model", frame):
            fields["model"] = model
        self._usage.add(object_of(message.get("usage"), frame), fields)
        yield fields
        yield from self._content.whole(message.get("content"), frame)

    def _end(self, delta: Event, fields: ChunkFields, frame: Frame) -> Iterator[ChunkFields]:
        """The chunk of these fields with the stop reason, if one is given."""
        if kept := self._kept(delta, _IN_MESSAGE).get("extra"):
            fields["extra"] = {**fields.get("extra", {}), **kept}
        reason = text_under(delta, "stop_reason", frame)
        if reason:
            finish = _FINISH.get(reason) or finish_reason(reason)
            if finish is None and not self._content:
                frame.repair("unknown-finish-reason")
            if finish == "tool_calls" and not self._content.calls_tools:
                finish = "other"
            self._finish = fields["finish_reason"] = finish = finish or "other"
            fields["raw_finish_reason"] = reason
        yield fields
        if reason and self._finish == "error":
            raise error_in_band(self._vessel, f"the stop reason is {reason}")
        if reason and self.progress is Progress.OPEN:
            self.progress = Progress.FINISHED

    def _outside(self, event: Event, frame: Frame) -> Event:
        """What an event has beside its delta, where it belongs into it."""
        frame.repair("finish-reason-elsewhere")
        return {key: event[key] for key in ("stop_reason", "stop_sequence") if key in event}

    def _terminate(self, frame: Frame) -> None:
        if not (self._begun or self._content):
            return
        if self.progress is Progress.OPEN:
            frame.repair("missing-finish-reason")
        self.progress = Progress.TERMINATED

    def flush(self, frame: Frame) -> Iterable[ChunkFields]:
        """The blocks of a complete answer that were never ended."""
        complete = self.progress is not Progress.OPEN
        if self.progress is Progress.FINISHED and not self._counted:
            frame.repair("usage-missing")
        stopped = self._content.stop_all(frame, complete=complete)
        closed = [fields for fields in stopped if fields]
        if complete and self._finish is None and self._content.calls_tools:
            closed.append({"finish_reason": "tool_calls"})
        return closed

    def native(self) -> NativeMessages:
        """The message with its blocks; with `container`, if the API ran code in one."""
        if not (self._begun or self._content):
            return {}
        cut = self.progress is Progress.OPEN or self._finish == "length"
        message = {"role": self._role, "content": self._content.build(cut=cut)}
        return {0: {**message, "container": self._container} if self._container else message}

    def _kept(self, given: Event, known: frozenset[str] = frozenset()) -> ChunkFields:
        """A chunk of fields that the universal chunk does not have."""
        self._container = given.get("container") or self._container
        extra = self._repeats.unknown_fields(given, known)
        return {"extra": extra} if extra else {}
