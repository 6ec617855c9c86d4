"""Reads answers in the OpenAI dialect: events of chunks, whole and legacy completions.

Facts: https://platform.openai.com/docs/api-reference/chat-streaming, and what compatible servers
do.

An answer is whole when each choice (as many as were asked for, and each that began) has a finish
reason, or when `[DONE]` came after some content. A value of another type than the dialect's never
ends an answer that is good otherwise: it is mended or left out, and named. An event that says
nothing the dialect knows (a ping, a place in a queue) is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

from ..core.chunk import ChunkFields
from ..core.errors import ProviderError
from ..core.frame import Frame
from ..core.native import NativeMessages
from ..core.vessel import Decoder, Progress
from .concatenated_json import DONE, json_values
from .fast_path import FastPath
from .mended_values import is_word, mended_index
from .openai_choice import OpenAIChoice
from .openai_choices import answer_in_envelope, join_split_choices, only_place
from .openai_event import KNOWN_IN_EVENT, PADDING, OpenAIEvent, choices_in
from .provider_errors import error_in_band, error_in_event
from .repeated_fields import RepeatFilter

__all__ = ["OpenAIDecoder"]


class OpenAIDecoder(Decoder):
    """The decoder of one answer.

    vessel: its name, for errors. expected: how many choices were asked for. asked_usage: whether
    token counts were asked for, which come behind the finish reason.
    """

    def __init__(self, vessel: str, expected: int = 1, *, asked_usage: bool = False) -> None:
        self._vessel = vessel
        self._expected = expected
        self._asked_usage = asked_usage
        self._choices: dict[int, OpenAIChoice] = {}
        self._open = 0  # choices without a finish reason
        self._repeats = RepeatFilter()
        self._about_all = OpenAIEvent(self._repeats)
        self._fast_path = FastPath(*PADDING)

    def decode(self, frame: Frame) -> Iterable[ChunkFields]:
        """The chunks of an event, or of a whole answer."""
        data = frame.data
        if data is None:
            return self._without_data(frame)
        if data == DONE or frame.event == "error":
            return self._not_json(data, frame)
        fields = self._fast_path.read(data)
        if fields is not None:
            return (fields,)
        try:
            value = frame.json()
        except ValueError:
            return self._not_json(data, frame)
        chunks = self._value(value, frame)
        if isinstance(chunks, list):
            self._fast_path.learn(value, only_place(value), chunks, frame, self._writer)
        return chunks

    def flush(self, frame: Frame) -> Iterable[ChunkFields]:
        """The ids of tool calls without one, and what was asked for and did not come."""
        finished = self.progress is Progress.FINISHED
        if finished and self._asked_usage and not self._about_all.has_usage:
            whole = any(state.whole for state in self._choices.values())
            if not whole:
                frame.repair("usage-missing")
        complete = self.progress is not Progress.OPEN
        closed = [state.close(frame, complete=complete) for state in self._choices.values()]
        return [fields for fields in closed if fields is not None]

    def native(self) -> NativeMessages:
        """The assistant's message of each choice, as the provider has it."""
        built = {index: state.message.build() for index, state in self._choices.items()}
        return {index: message for index, message in built.items() if message is not None}

    def _writer(self, key: str) -> Callable[[str], object] | None:
        """Where texts under `key` go that the fast path reads; None if there is more to keep."""
        message = self._choices[0].message
        return message.writer("content" if key == "text" else key) if message.is_steady else None

    def _without_data(self, frame: Frame) -> Iterable[ChunkFields]:
        """A comment, or what a strict parser drops: an `error:` field, or JSON without `data:`."""
        text = frame.text.strip("\ufeff \t\r\n")
        if frame.event == "error":
            raise error_in_band(self._vessel, None)
        if text[:1] in {"{", "["}:
            frame.repair("data-without-field-name")
            return self._values(text, frame)
        for line in text.replace("\r", "\n").split("\n"):
            if line.startswith("error:"):
                frame.repair("error-as-field")
                return self._error_text(line[6:].strip())
        return ()

    def _not_json(self, data: str, frame: Frame) -> Iterable[ChunkFields]:
        if data.strip() == DONE:
            self._terminate(frame)
            return ()
        if data.startswith(":"):
            frame.repair("comment-as-data")
            return ()
        if frame.event == "error":
            return self._error_text(data)
        if not _is_bare(frame) and is_word(data):
            frame.repair("unknown-event")
            return ()
        return self._values(data, frame)

    def _error_text(self, text: str) -> Iterable[ChunkFields]:
        try:
            (value,) = json_values(text)
        except ValueError:
            value = text
        raise error_in_band(self._vessel, value)

    def _values(self, text: str, frame: Frame) -> Iterator[ChunkFields]:
        values = json_values(text, frame)
        if len(values) > 1:
            frame.repair("glued-events")
        for value in values:
            if value == DONE:
                self._terminate(frame)
            else:
                yield from self._value(value, frame)

    def _terminate(self, frame: Frame) -> None:
        if any(choice.said or choice.finish is not None for choice in self._choices.values()):
            if len(self._choices) < self._expected:
                frame.repair("fewer-choices")
            self.progress = Progress.TERMINATED

    def _value(self, value: Any, frame: Frame) -> Iterable[ChunkFields]:
        if isinstance(value, list):
            items = _counted(cast("list[Any]", value), frame)
            return [chunk for item in items for chunk in self._value(item, frame)]
        if not isinstance(value, dict):
            _leave_out(frame, f"an event is {type(value).__name__}, not an object")
            return ()
        event = cast("dict[str, Any]", value)
        choices = event.get("choices")
        if choices is None:
            event, choices = self._without_choices(event, frame)
        if self._expected == 1 and not self._choices:
            choices = join_split_choices(choices, frame)
        chunks: list[ChunkFields] = []
        error = error_in_event(event, alone="choices" not in event and _is_bare(frame))
        for position, choice in choices_in(choices, frame):
            fields, failed = self._choice(choice, position, event, frame)
            error = error or failed
            if fields.keys() - {"choice"}:
                chunks.append(fields)
        self._about_all.read(event, chunks, frame)
        if error is not None:
            return _chunks_then(chunks, error_in_band(self._vessel, error))
        states = self._choices.values()
        if len(states) < self._expected and any(state.whole for state in states):
            frame.repair("fewer-choices")
            self._expected = len(states)
        if not self._open and len(states) >= self._expected and self.progress is Progress.OPEN:
            self.progress = Progress.FINISHED
        return chunks

    def _without_choices(
        self, event: dict[str, Any], frame: Frame
    ) -> tuple[dict[str, Any], list[Any]]:
        """An event about the answer as a whole, an error, or an answer in an envelope."""
        if "choices" in event:
            frame.repair("null-choices")
        elif (envelope := answer_in_envelope(event)) is not None:
            frame.repair("answer-in-envelope")
            return envelope, envelope["choices"]
        elif isinstance(inner := event.get("data"), dict):
            return self._without_choices(cast("dict[str, Any]", inner), frame)
        elif not error_in_event(event, alone=_is_bare(frame)):
            kind = event.get("object")
            if kind and not str(kind).startswith(("chat.completion", "text_completion")):
                _leave_out(frame, f"an object of the kind {kind!r} is no answer")
                return {}, []
            if event.keys().isdisjoint(KNOWN_IN_EVENT):
                # Lists and objects may be pieces of the answer that came alone.
                frame.repair("unknown-event")
                event = {key: each for key, each in event.items() if isinstance(each, list | dict)}
        return event, []

    def _choice(
        self, sent: dict[str, Any], position: int, event: dict[str, Any], frame: Frame
    ) -> tuple[ChunkFields, Any]:
        index = sent.get("index")
        if type(index) is not int:
            index = mended_index(index, frame)
        if index is None or not 0 <= index < 1 << 32:
            frame.repair("missing-choice-index")
            index = position
        state = self._choices.get(index)
        if state is None:
            state = self._choices[index] = OpenAIChoice(index, self._repeats)
            self._open += 1
        was_open = state.finish is None
        read = state.read(sent, event, frame)
        self._open -= was_open and state.finish is not None
        return read


def _counted(values: list[Any], frame: Frame) -> list[Any]:
    if len(values) > 1:
        frame.count(len(values))
    return values


def _is_bare(frame: Frame) -> bool:
    """Whether the frame is a JSON value by itself: a whole body, or a line without `data:`."""
    return frame.data is None or frame.text.lstrip("\ufeff \t\r\n").startswith(frame.data[:16])


def _leave_out(frame: Frame, reason: str) -> None:
    """Leave out an event that is no piece of an answer. A body that is none cannot be read."""
    if _is_bare(frame):
        raise ValueError(reason)
    frame.repair("unknown-event")


def _chunks_then(chunks: list[ChunkFields], error: ProviderError) -> Iterator[ChunkFields]:
    yield from chunks
    raise error
