"""Writes answers in the OpenAI dialect: for the chat route, and for the legacy completions.

https://platform.openai.com/docs/api-reference/chat-streaming and …/completions/object. A stream
has one id and one model, its first chunk of each choice names the role, tool calls are numbered
from 0, and token counts come by themselves at the end, if they were asked for. Reasoning goes where
most servers put it: `reasoning_content`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from ..core.chunk import StreamChunk
from ..core.completion import Choice, Completion
from .answer_calls import AnswerCall, AnswerCalls
from .answer_encoder import AnswerEncoder, event
from .openai_shape import chunk_to_openai, completion_to_openai

__all__ = ["OpenAIEncoder"]


class _Choice:
    """What is known of a choice. finish: a reason that waits for calls without an id."""

    def __init__(self) -> None:
        self.calls = AnswerCalls()
        self.begun = 0
        self.finish: str | None = None
        self.finished = False


class OpenAIEncoder(AnswerEncoder):
    """model, identifier: where the provider gave none. created: seconds since 1970.

    usage: whether a stream ends with the token counts. prompt: the answer is one of the legacy
    completions.
    """

    heartbeat: ClassVar[bytes] = b": keep-alive\n\n"

    def __init__(
        self,
        *,
        model: str,
        created: int,
        identifier: str,
        usage: bool = False,
        prompt: bool = False,
    ) -> None:
        self._model = model
        self._created = created
        self._id = identifier
        self._usage = usage
        self._prompt = prompt
        self._choices: dict[int, _Choice] = {}

    def write(self, chunk: StreamChunk) -> bytes:
        """A `chat.completion.chunk` with the role, if it is the choice's first, and the content."""
        value = chunk_to_openai(chunk)
        if not self._choices:
            self._id, self._model = value["id"] or self._id, value["model"] or self._model
            self._created = value["created"] or self._created
        if not value["choices"]:
            return b""
        said = value["choices"][0]
        choice = self._choices.get(chunk.choice)
        delta: dict[str, Any] = said["delta"]
        delta.pop("role", None)
        if choice is None:
            choice = self._choices[chunk.choice] = _Choice()
            said["delta"] = delta = {"role": "assistant", "content": "", **delta}
        calls = [call for each in chunk.tool_calls for call in choice.calls.add(each)]
        if chunk.finish_reason is None:
            self._tell(delta, choice, calls)
        else:
            self._tell(delta, choice, choice.calls.named())
            choice.finished = True
            if any(call.number is None for call in choice.calls):
                choice.finish, said["finish_reason"] = said["finish_reason"], None
        if not (delta or said["finish_reason"] or said["logprobs"]):
            return b""
        return self._event([said], {key: value[key] for key in _KEPT if key in value})

    def end(self, completion: Completion) -> bytes:
        """What no chunk could say yet, the token counts and the terminator."""
        written = completion_to_openai(completion)
        events: list[bytes] = []
        for index, said in enumerate(written["choices"]):
            choice = self._choices.setdefault(said["index"], _Choice())
            delta: dict[str, Any] = {}
            choice.calls.close()
            self._tell(delta, choice, [call for call in choice.calls if call.number is None])
            finish = choice.finish if choice.finished else said["finish_reason"]
            if delta or finish:
                last = _delta(index, delta, finish)
                events.append(self._event([last]))
        if self._usage and "usage" in written:
            events.append(self._event([], {"usage": written["usage"]}))
        return b"".join(events) + b"data: [DONE]\n\n"

    def whole(self, completion: Completion) -> dict[str, Any]:
        """A `chat.completion`, or a `text_completion`."""
        answer = completion_to_openai(completion)
        answer["id"] = answer["id"] or self._id
        answer["model"] = answer["model"] or self._model
        answer["created"] = answer["created"] or self._created
        if self._prompt:
            texts = completion.choices or (completion,)
            answer["object"] = "text_completion"
            answer["choices"] = [
                _text_choice(said, text)
                for said, text in zip(answer["choices"], texts, strict=True)
            ]
        return answer

    @staticmethod
    def _tell(delta: dict[str, Any], choice: _Choice, calls: list[AnswerCall]) -> None:
        """Replace the calls of a delta by what is new of these."""
        delta.pop("tool_calls", None)
        told: list[dict[str, Any]] = []
        for call in calls:
            first = call.number is None
            if first:
                call.number = choice.begun
                choice.begun += 1
            text = call.take()
            if first or text:
                told.append(_call(call, text, first=first))
        if told:
            delta["tool_calls"] = told

    def _event(self, choices: list[dict[str, Any]], more: dict[str, Any] | None = None) -> bytes:
        kind = "chat.completion.chunk"
        if self._prompt:
            kind = "text_completion"
            choices = [_text_delta(said) for said in choices]
        return event(
            {
                "id": self._id,
                "object": kind,
                "created": self._created,
                "model": self._model,
                "choices": choices,
                **(more or {}),
            }
        )


_KEPT = ("service_tier", "system_fingerprint")


def _delta(index: int, delta: dict[str, Any], finish: str | None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}


def _call(call: AnswerCall, text: str, *, first: bool) -> dict[str, Any]:
    kind, key = ("custom", "input") if call.custom else ("function", "arguments")
    if not first:
        return {"index": call.number, kind: {key: text}}
    return {
        "index": call.number,
        "id": call.id,
        "type": kind,
        kind: {"name": call.name, key: text},
    }


def _text_delta(said: dict[str, Any]) -> dict[str, Any]:
    delta = said["delta"]
    return _text(said, delta.get("content") or "", delta.get("reasoning_content"))


def _text_choice(said: dict[str, Any], choice: Choice) -> dict[str, Any]:
    return _text(said, choice.text, choice.reasoning)


def _text(said: dict[str, Any], text: str, reasoning: str | None) -> dict[str, Any]:
    told = {"reasoning_content": reasoning} if reasoning else {}
    return {
        "index": said["index"],
        "text": text,
        **told,
        "logprobs": None,
        "finish_reason": said["finish_reason"],
    }
