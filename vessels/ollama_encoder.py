"""Writes answers in the dialect of Ollama's own API: for `/api/chat`, and for `/api/generate`.

https://github.com/ollama/ollama/blob/main/docs/api.md. Lines of JSON with the first choice; a tool
call comes whole, once it has ended. The last line has the counts and the durations, in nanoseconds:
the provider's, or else what the caller measured: the time to the first chunk as the prompt's, the
rest as the answer's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import takewhile
from typing import Any, ClassVar, cast

from ..core.assembler import merge
from ..core.chunk import FinishReason, StreamChunk, Timings, Usage
from ..core.completion import Completion, Metrics
from ..core.jsontext import dumps
from .answer_calls import AnswerCall, AnswerCalls
from .answer_encoder import AnswerEncoder
from .call_arguments import valid_object

__all__ = ["OllamaEncoder"]

_DURATIONS = {
    "total_duration": "total",
    "load_duration": "load",
    "prompt_eval_duration": "prompt_eval",
    "eval_duration": "eval",
}


class OllamaEncoder(AnswerEncoder):
    """model: where the provider gave none. now: gives the time, as ISO 8601.

    prompt: the answer is one of `/api/generate`.
    """

    content_type: ClassVar[str] = "application/x-ndjson"

    def __init__(self, *, model: str, now: Callable[[], str], prompt: bool = False) -> None:
        self._model = model
        self._named = False
        self._now = now
        self._prompt = prompt
        self._calls = AnswerCalls()
        self._timings: Timings | None = None

    def write(self, chunk: StreamChunk) -> bytes:
        """A line for what the chunk says, and one for the calls that end with it."""
        if chunk.model and not self._named:
            self._model, self._named = chunk.model, True
        if chunk.timings is not None:
            self._timings = merge(self._timings, chunk.timings)
        if chunk.choice:
            return b""
        line = b""
        text = chunk.text + chunk.refusal
        if text or chunk.reasoning or chunk.logprobs is not None:
            line = self._line(text, chunk.reasoning, **_logprobs(chunk.logprobs))
        for delta in chunk.tool_calls:
            self._calls.add(delta)
        if chunk.finish_reason is not None:
            # Some servers go on with arguments behind the finish.
            line += self._called(takewhile(lambda call: call.whole, self._calls.named()))
        return line

    def end(self, completion: Completion) -> bytes:
        """The calls that are left, and the last line."""
        self._calls.close()
        timings = self._timings or completion.timings
        done = _done(completion.finish_reason, completion.usage, timings, completion.metrics)
        return self._called(self._calls) + self._line("", "", **done)

    def whole(self, completion: Completion) -> dict[str, Any]:
        """The object that answers without a stream."""
        if completion.model:
            self._model = completion.model
        calls = [_call(call.id, call.name, call.arguments_text) for call in completion.tool_calls]
        return self._object(
            completion.text + completion.refusal,
            completion.reasoning,
            calls,
            **_logprobs(completion.logprobs),
            **_done(
                completion.finish_reason,
                completion.usage,
                completion.timings,
                completion.metrics,
            ),
        )

    def _called(self, calls: Iterable[AnswerCall]) -> bytes:
        lines: list[bytes] = []
        for call in calls:
            if not call.ended:
                call.ended = True
                lines.append(self._line("", "", [_call(call.id, call.name, call.text)]))
        return b"".join(lines)

    def _line(
        self, text: str, reasoning: str, calls: list[dict[str, Any]] | None = None, **more: Any
    ) -> bytes:
        return dumps(self._object(text, reasoning, calls, **more)) + b"\n"

    def _object(
        self, text: str, reasoning: str, calls: list[dict[str, Any]] | None, **more: Any
    ) -> dict[str, Any]:
        said: dict[str, Any] = {"response" if self._prompt else "content": text}
        if reasoning:
            said["thinking"] = reasoning
        if calls:
            said["tool_calls"] = calls
        if not self._prompt:
            said = {"message": {"role": "assistant", **said}}
        return {
            "model": self._model,
            "created_at": self._now(),
            **said,
            "done": False,
            **more,
        }


def _call(identifier: str | None, name: str, text: str) -> dict[str, Any]:
    """A call; its arguments are an object, as the dialect has them."""
    function = {"name": name, "arguments": valid_object(text)}
    return {"id": identifier, "function": function} if identifier else {"function": function}


def _logprobs(logprobs: Any) -> dict[str, Any]:
    """A list on this wire; the universal form is that of the OpenAI dialect."""
    if not isinstance(logprobs, dict):
        return {}
    listed = cast("Mapping[str, Any]", logprobs).get("content")
    return {"logprobs": listed} if isinstance(listed, list) else {}


def _done(
    reason: FinishReason | None,
    usage: Usage | None,
    timings: Timings | None,
    metrics: Metrics,
) -> dict[str, Any]:
    done: dict[str, Any] = {
        "done": True,
        "done_reason": "length" if reason == "length" else "stop",
    }
    if timings is None and metrics.duration:
        first = metrics.time_to_first_chunk
        told = {} if first is None else {"prompt_eval": first, "eval": metrics.duration - first}
        timings = Timings(total=metrics.duration, load=0.0, **told)
    for name, duration in _DURATIONS.items():
        if (seconds := getattr(timings, duration, None)) is not None:
            done[name] = round(seconds * 1e9)
    for name, count in ("prompt_eval_count", "input_tokens"), ("eval_count", "output_tokens"):
        if (tokens := getattr(usage, count, None)) is not None:
            done[name] = tokens
    return done
