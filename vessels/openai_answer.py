"""Reads answers in the OpenAI dialect: events of chunks, whole and legacy completions.

Facts: https://platform.openai.com/docs/api-reference/chat-streaming, and what compatible servers
do.

An answer is whole when each choice (as many as were asked for, and each that began) has a finish
reason, or when `[DONE]` came after some content. repeated_fields.py says which fields are
left out where they repeat, and which go to `extra`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

from ..core.chunk import ChunkFields
from ..core.errors import ProviderError
from ..core.frame import Frame
from ..core.vessel import Decoder, Progress
from .concatenated_json import DONE, json_values
from .fast_path import FastPath
from .openai_choice import OpenAIChoice
from .openai_usage import find_usage, read_timings, read_usage
from .provider_errors import error_in_band, error_in_event
from .repeated_fields import RepeatFilter

__all__ = ["OpenAIDecoder"]

# Fields of random length, which hide the length of a token from observers of the network.
_PADDING = ("obfuscation", "p")
_KNOWN = frozenset(
    {
        *("choices", "created", "error", "id", "model", "object", "time_info", "timings", "usage"),
        *("x_groq", *_PADDING),
    }
)


class OpenAIDecoder(Decoder):
    """The decoder of one answer.

    vessel: its name, for errors. expected: how many choices were asked for.
    """

    def __init__(self, vessel: str, expected: int = 1) -> None:
        self._vessel = vessel
        self._expected = expected
        self._choices: dict[int, OpenAIChoice] = {}
        self._open = 0  # choices without a finish reason
        self._repeats = RepeatFilter()
        self._fast_path = FastPath(*_PADDING)

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
            self._fast_path.learn(value, _only_place(value), chunks, frame)
        return chunks

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
            frame.count(len(cast("list[Any]", value)))
            return [
                chunk for item in cast("list[Any]", value) for chunk in self._value(item, frame)
            ]
        if not isinstance(value, dict):
            raise ValueError(f"an event is {type(value).__name__}, not an object")  # noqa: TRY004
        event = cast("dict[str, Any]", value)
        choices = event.get("choices")
        if choices is None:
            event, choices = self._without_choices(event, frame)
        if not isinstance(choices, list):
            raise ValueError(f"choices is {type(choices).__name__}")  # noqa: TRY004 - it is the wire's
        if len(cast("list[Any]", choices)) > 1:
            frame.count(len(cast("list[Any]", choices)))
        chunks: list[ChunkFields] = []
        error = error_in_event(event)
        for position, choice in enumerate(cast("list[Any]", choices)):
            if choice is None:
                frame.repair("null-choice")
                continue
            fields, failed = self._choice(choice, position, event, frame)
            error = error or failed
            if fields.keys() - {"choice"}:
                chunks.append(fields)
        self._whole_event(event, chunks, frame)
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
        elif isinstance(inner := event.get("data"), dict):
            envelope = cast("dict[str, Any]", inner)
            if isinstance(envelope.get("choices"), list):
                frame.repair("answer-in-envelope")
                return envelope, envelope["choices"]
            return self._without_choices(envelope, frame)
        elif not error_in_event(event):
            kind = event.get("object")
            if kind and not str(kind).startswith(("chat.completion", "text_completion")):
                raise ValueError(f"an object of the kind {kind!r} is no answer")
        return event, []

    def _choice(
        self, choice: Any, position: int, event: dict[str, Any], frame: Frame
    ) -> tuple[ChunkFields, Any]:
        if not isinstance(choice, dict):
            raise ValueError(f"a choice is {type(choice).__name__}")  # noqa: TRY004 - it is the wire's
        sent = cast("dict[str, Any]", choice)
        index = sent.get("index")
        if type(index) is not int or not 0 <= index < 1 << 32:
            frame.repair("missing-choice-index")
            index = position
        state = self._choices.get(index)
        if state is None:
            state = self._choices[index] = OpenAIChoice(index, self._repeats)
            self._open += 1
        streamed = event.get("object") == "chat.completion.chunk"
        was_open = state.finish is None
        read = state.read(sent, frame, streamed=streamed)
        self._open -= was_open and state.finish is not None
        return read

    def _whole_event(self, event: dict[str, Any], chunks: list[ChunkFields], frame: Frame) -> None:
        """Add what is not about one choice: to the first chunk, or as a chunk of its own."""
        fields: ChunkFields = {}
        repeats = self._repeats
        identifier = event.get("id")
        if identifier and isinstance(identifier, str) and repeats.is_new("id", identifier):
            fields["response_id"] = identifier
        model = event.get("model")
        if model and isinstance(model, str) and repeats.is_new("model", model):
            fields["model"] = model
        extra = repeats.unknown_fields(event, _KNOWN)
        created = event.get("created")
        if created and repeats.last("created") is None and repeats.is_new("created", created):
            extra["created"] = created
        self._measures(event, fields, extra, frame)
        if chunks:
            extra.update(chunks[0].get("extra", {}))
        if extra:
            fields["extra"] = extra
        if chunks:
            chunks[0].update(fields)
        elif fields:
            chunks.append(fields)

    def _measures(
        self, event: dict[str, Any], fields: ChunkFields, extra: dict[str, Any], frame: Frame
    ) -> None:
        """Add token counts, costs and durations that are new."""
        repeats = self._repeats
        usage, misplaced = find_usage(event)
        if misplaced:
            frame.repair("usage-elsewhere")
        if usage:
            if repeats.last("usage") is not None:
                frame.repair("usage-cumulative")
            counts, rest = read_usage(usage)
            if counts and repeats.is_new("usage", counts):
                fields["usage"] = counts
            if rest := repeats.unknown_fields(rest, frozenset(), "usage"):
                extra["usage"] = rest
        timings = read_timings(event, usage)
        if timings and repeats.is_new("timings", timings):
            fields["timings"] = timings


def _only_place(value: Any) -> Any:
    """Where the text is in an event that has one choice; None in any other."""
    try:
        (choice,) = value["choices"]
        return choice.get("delta", choice)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _chunks_then(chunks: list[ChunkFields], error: ProviderError) -> Iterator[ChunkFields]:
    yield from chunks
    raise error
