"""Assembles a completion from chunks, in time and memory linear in the answer's length."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from contextlib import suppress
from io import StringIO
from typing import Any, TypeVar, cast

from .chunk import FinishReason, StreamChunk, Timings, ToolCallDelta, Usage
from .completion import Choice, Completion, Metrics, Outcome, ToolCall
from .jsontext import loads_bounded
from .make_chunk import REASONING_ALONE, TEXT_ALONE
from .mending import mend_value
from .native import NativeMessages

__all__ = ["Assembler", "merge"]

# After these a call whose arguments have not come may be a part of one.
_CUTTING = frozenset({"length", "content_filter", "error"})
Reported = TypeVar("Reported", Usage, Timings)


class _ToolCall:
    def __init__(self) -> None:
        self.id: str | None = None
        self.type = "function"
        self.name = StringIO()
        self.arguments = StringIO()

    def add(self, delta: ToolCallDelta) -> None:
        self.id = self.id or delta.id
        self.type = delta.type or self.type
        if delta.name:
            self.name.write(delta.name)
        if delta.arguments:
            self.arguments.write(delta.arguments)

    def build(self, *, cut: bool) -> ToolCall:
        """The call so far. cut: the answer did not go on behind it, nor end by itself."""
        text = self.arguments.getvalue()
        arguments: Any = None
        if self.type != "custom" and text.strip():
            with suppress(ValueError):
                # Exact, since a tool may be called with an integer of any size.
                arguments = mend_value(loads_bounded(text)[0])
        elif self.type != "custom" and not cut:
            arguments = {}
        name = self.name.getvalue()
        return ToolCall(
            id=self.id, type=self.type, name=name, arguments=arguments, arguments_text=text
        )


class _Choice:
    def __init__(self) -> None:
        self.texts = {name: StringIO() for name in ("text", "reasoning", "refusal")}
        self.tool_calls: dict[str, _ToolCall] = {}
        self.logprobs: Any = None
        self.finish_reason: FinishReason | None = None
        self.raw_finish_reason: str | None = None
        self.extra: dict[str, Any] = {}

    def add(self, chunk: StreamChunk) -> None:
        for name, text in self.texts.items():
            text.write(getattr(chunk, name))
        for delta in chunk.tool_calls:
            call = self.tool_calls.get(delta.slot)
            if call is None:
                call = self.tool_calls[delta.slot] = _ToolCall()
            call.add(delta)
        if chunk.logprobs is not None:
            self.logprobs = _joined(self.logprobs, chunk.logprobs)
        if chunk.finish_reason is not None:
            self.finish_reason = chunk.finish_reason
            self.raw_finish_reason = chunk.raw_finish_reason
        for key, value in chunk.extra.items():
            self.extra[key] = _joined(self.extra.get(key), value)

    def build(self, *, complete: bool) -> dict[str, Any]:
        cut = self.finish_reason in _CUTTING or (self.finish_reason is None and not complete)
        calls = list(self.tool_calls.values())
        return {
            **{name: text.getvalue() for name, text in self.texts.items()},
            "tool_calls": tuple(call.build(cut=cut and call is calls[-1]) for call in calls),
            "logprobs": self.logprobs,
            # Calls may come behind the finish reason.
            "finish_reason": "tool_calls"
            if self.tool_calls and self.finish_reason in {"stop", "other"}
            else self.finish_reason,
            "raw_finish_reason": self.raw_finish_reason,
            "extra": _copied(self.extra),
        }


class Assembler:
    """`add` chunks in order; `completion` gives the answer so far, at any time."""

    def __init__(self) -> None:
        first = _Choice()
        self._choices = {0: first}
        self._text, self._reasoning = first.texts["text"], first.texts["reasoning"]
        self._usage: Usage | None = None
        self._timings: Timings | None = None
        self._response_id: str | None = None
        self._model: str | None = None

    def add(self, chunk: StreamChunk) -> None:
        """Take the next chunk of the answer."""
        given = chunk.__pydantic_fields_set__  # `model_fields_set`, at half the cost
        if given is TEXT_ALONE:
            self._text.write(chunk.text)
        elif given is REASONING_ALONE:
            self._reasoning.write(chunk.reasoning)
        else:
            self._add(chunk)

    def completion(
        self,
        *,
        outcome: Outcome | None = None,
        metrics: Metrics | None = None,
        session: str | None = None,
        call: int | None = None,
        vessel: str | None = None,
        natives: NativeMessages | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Completion:
        """The answer so far. natives: the messages in the provider's form, made by `vessel`."""
        complete = outcome == "complete"
        choices = sorted(self._choices.items())
        built = {index: choice.build(complete=complete) for index, choice in choices}
        for index, made in built.items():
            made.update(native=(natives or {}).get(index), vessel=vessel)
        extra = ChainMap[str, Any](*(made["extra"] for made in built.values()))
        first: dict[str, Any] = {**built[0], "extra": dict(extra)}
        return Completion(
            **first,
            choices=tuple(Choice(index=index, **made) for index, made in built.items()),
            usage=self._usage,
            timings=self._timings,
            response_id=self._response_id,
            model=self._model,
            headers=dict(headers or {}),
            outcome=outcome,
            metrics=metrics or Metrics(),
            session=session,
            call=call,
        )

    def _add(self, chunk: StreamChunk) -> None:
        choice = self._choices.get(chunk.choice)
        if choice is None:
            choice = self._choices[chunk.choice] = _Choice()
        choice.add(chunk)
        if chunk.usage is not None:
            self._usage = merge(self._usage, chunk.usage)
        if chunk.timings is not None:
            self._timings = merge(self._timings, chunk.timings)
        # Servers send empty ones too.
        self._response_id = self._response_id or chunk.response_id or None
        self._model = self._model or chunk.model or None


def _copied(value: Any) -> Any:
    """A copy of what `_joined` may still change: lists, and objects that are in no list."""
    if isinstance(value, dict):
        return {key: _copied(each) for key, each in cast("dict[str, Any]", value).items()}
    return list(cast("list[Any]", value)) if isinstance(value, list) else value


def merge(old: Reported | None, new: Reported) -> Reported:
    """Both reports in one: the later one wins, but keeps what only the earlier one has."""
    if old is None:
        return new
    return old.model_copy(update=new.model_dump(exclude_none=True))


def _joined(old: Any, new: Any) -> Any:
    """Two chunks' values of a field as one: lists are joined, keys are kept, else the later wins.

    The first list or object is copied, so that the chunk's own stays unchanged.
    """
    if isinstance(new, dict):
        joined = cast("dict[str, Any]", old) if isinstance(old, dict) else {}
        for key, value in cast("dict[str, Any]", new).items():
            joined[key] = _joined(joined.get(key), value)
        return joined
    if isinstance(new, list):
        if not isinstance(old, list):
            return list(cast("list[Any]", new))
        cast("list[Any]", old).extend(cast("list[Any]", new))
        return cast("list[Any]", old)
    return old if new is None else new
