"""The assembled answer: what `complete` returns, and what a stream's chunks make together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from .chunk import FinishReason, Timings, Usage
from .native import NativeMessages
from .registry import dialect
from .response_headers import request_id_of

__all__ = ["AnswerFacts", "Choice", "Completion", "Metrics", "Outcome", "ToolCall"]

Outcome = Literal[
    "complete", "truncated", "error", "cancelled", "abandoned", "crashed", "interrupted"
]
"""How a call ended.

- "complete": the answer is whole.
- "truncated": the body ended before the answer did.
- "error": the connection, the provider or the recording failed.
- "cancelled": the caller left, or stopped the stream.
- "abandoned": the stream was garbage-collected before its end.
- "crashed": the process that wrote the call died; a later one recorded the end.
- "interrupted": the recording has no end of the call. It is being written, or its process died.
"""

ParsedModel = TypeVar("ParsedModel", bound=BaseModel)


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, defer_build=True)  # built when first needed


class ToolCall(_Value):
    """One tool call, assembled.

    Attributes:
        id: The call's id, which the result names. None only while the answer is streamed: a call
            without one gets one at its end.
        type: "function", or "custom" for a tool that takes free text.
        name: The tool's name.
        arguments: A function's arguments as a parsed JSON value, nearly always a dict. None where
            `arguments_text` is not JSON; {} where it is empty, but None for the last call of an
            answer that was cut or reached its limit. Half a surrogate pair in them is U+FFFD, and
            a number that is not finite is None.
        arguments_text: The arguments as they came; decoded once if they were JSON in JSON.
    """

    id: str | None = None
    type: str = "function"
    name: str = ""
    arguments: Any = None
    arguments_text: str = ""

    @property
    def input(self) -> str | None:
        """The text for a custom tool; None for a function."""
        return self.arguments_text if self.type == "custom" else None


class Metrics(_Value):
    """When the answer arrived: seconds since the request was sent, on this machine's clock.

    Attributes:
        time_to_first_chunk: Seconds to the first chunk; None if none came.
        duration: Seconds to the end.
        chunks: How many chunks came.
        inter_chunk_p50: Seconds between two chunks, the median. The percentiles come from a
            histogram of fixed size and are right to about 3 %.
        inter_chunk_p95: The 95th percentile of these seconds.
        inter_chunk_max: The longest of these seconds.
        output_tokens_per_second: By the provider: output tokens divided by its evaluation time.
            None where one of the two is missing.
        clock_output_tokens_per_second: Output tokens divided by the time from first to last chunk.
    """

    time_to_first_chunk: float | None = None
    duration: float = 0.0
    chunks: int = 0
    inter_chunk_p50: float | None = None
    inter_chunk_p95: float | None = None
    inter_chunk_max: float | None = None
    output_tokens_per_second: float | None = None
    clock_output_tokens_per_second: float | None = None


class Choice(_Value):
    """One of the answers to a request.

    Attributes:
        index: The choice's number, from 0.
        text: The text.
        reasoning: The model's reasoning, where the provider sends it.
        refusal: The refusal, where the provider keeps it apart from the text.
        tool_calls: The tool calls.
        finish_reason: Why it ended, in the words of `FinishReason`; None if it was cut.
        raw_finish_reason: Why it ended, in the provider's word.
        logprobs: Log probabilities in the provider's form, joined.
        native: The assistant's message in the provider's own form, whole and in order, once the
            answer has ended.
        vessel: The name of the vessel that decoded it.
        extra: What else the provider sent, and for which there is no field here.
    """

    index: int = 0
    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: FinishReason | None = None
    raw_finish_reason: str | None = None
    logprobs: Any = None
    extra: dict[str, Any] = Field(default_factory=dict)
    native: dict[str, Any] | None = None
    vessel: str | None = None

    def to_message(self) -> dict[str, Any]:
        """The answer as an assistant message, for the messages of the next request.

        `native`, under the vessel's name, is the provider's own form: the same vessel sends it
        back as it came, reasoning included. Every other vessel sends the other fields, which have
        no reasoning.
        """
        message: dict[str, Any] = {"role": "assistant", "content": self.text}
        if self.refusal:
            message["refusal"] = self.refusal
        if self.tool_calls:
            message["tool_calls"] = [_call_in_message(call) for call in self.tool_calls]
        if self.native is not None and self.vessel is not None:
            message["native"] = {self.vessel: self.native}
        return message


class Completion(Choice):
    """An answer, whole or as far as it arrived.

    It has the attributes of its first choice (see Choice), and those of the whole:

    Attributes:
        choices: Every choice, the first included.
        usage: Token counts; None if the provider sent none.
        timings: Durations measured by the provider, in seconds.
        metrics: How the answer arrived, on the caller's clock.
        outcome: How the call ended; None while it runs.
        response_id: The provider's id of the answer.
        model: The model that the provider names.
        extra: That of the first choice, and the keys that only other choices have.
        headers: The response headers that are recorded (rate limits, ids, retry advice), with
            names in lower case.
        session: The name of the recording; None where nothing is recorded.
        call: The call's number in it.
    """

    choices: tuple[Choice, ...] = ()
    usage: Usage | None = None
    timings: Timings | None = None
    metrics: Metrics = Metrics()
    outcome: Outcome | None = None
    response_id: str | None = None
    model: str | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    session: str | None = None
    call: int | None = None

    @property
    def request_id(self) -> str | None:
        """The server's id for the request, to quote to its support; None if it sent none."""
        return request_id_of(self.headers)

    def parse(self, model: type[ParsedModel]) -> ParsedModel:
        """The answer's text as an instance of `model`, as asked for by `response_format=model`.

        Args:
            model: A pydantic model class.

        Raises:
            pydantic.ValidationError: The text is not such JSON.
        """
        return model.model_validate_json(self.text)

    def to_openai(self) -> dict[str, Any]:
        """This answer as a `chat.completion` object of the OpenAI API."""
        return dialect("openai").completion_object(self)


def _call_in_message(call: ToolCall) -> dict[str, Any]:
    if call.type == "custom":
        kind, called = "custom", {"name": call.name, "input": call.arguments_text}
    else:
        kind, called = "function", {"name": call.name, "arguments": call.arguments_text or "{}"}
    written = {"type": kind, kind: called}
    return {"id": call.id, **written} if call.id else written


@dataclass(slots=True)
class AnswerFacts:
    """What is known of an answer besides its chunks: nothing before it comes.

    headers: those that are kept. all_headers, status: of a live answer alone. natives: once it has
    ended, the messages in the provider's own form.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    all_headers: Mapping[str, str] = field(default_factory=dict[str, str])
    metrics: Metrics | None = None
    natives: NativeMessages = field(default_factory=dict[int, dict[str, Any]])
