"""The universal stream chunk: one shape for what every provider sends.

A field that the provider did not send has its default: text is "", everything else is None or
empty, and a count is None, never 0. Names follow OpenTelemetry's `gen_ai.*` where it has one.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from pydantic import BaseModel, ConfigDict, Field

from .registry import dialect

__all__ = [
    "ChunkFields",
    "FinishReason",
    "StreamChunk",
    "Timings",
    "ToolCallDelta",
    "ToolCallDeltaFields",
    "Usage",
]

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "error", "other"]
"""Why a choice ended, in the same words for every provider.

- "stop": the model was done, or met a stop sequence.
- "length": a limit of tokens was reached.
- "tool_calls": the model calls tools.
- "content_filter": a filter of the provider stopped it.
- "error": the provider failed.
- "other": none of these; `raw_finish_reason` has the provider's word.
"""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class ToolCallDelta(_Value):
    """A piece of one tool call. Pieces with the same `slot` (and choice) belong together.

    Attributes:
        slot: The key by which pieces are joined; the decoder gives it.
        type: "function", or "custom" for a tool that takes free text.
        index: The provider's number of the call.
        id: The provider's id of the call.
        name: The tool's name, or a fragment of it, to be joined in order.
        arguments: JSON text (free text for a custom tool), or a fragment of it.
    """

    slot: str
    type: str | None = None
    index: int | None = None
    id: str | None = None
    name: str | None = None
    arguments: str | None = None


class Usage(_Value):
    """Token counts as the provider reports them; a count it does not report is None.

    Attributes:
        input_tokens: Tokens of the request, cached ones included.
        output_tokens: Tokens of the answer, reasoning included.
        total_tokens: The provider's own sum.
        cached_input_tokens: Those of the input that were read from the provider's cache.
        cache_write_tokens: Those of the input that were written to it.
        reasoning_tokens: Those of the output that are reasoning.
        details: The provider's further counts (audio, video, tools …) under its own names, nested
            as it sent them.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    details: dict[str, Any] | None = None


class Timings(_Value):
    """Durations measured by the provider, in seconds; one it does not report is None.

    Attributes:
        total: The whole request.
        load: Loading the model.
        prompt_eval: Reading the input.
        eval: Making the output.
    """

    total: float | None = None
    load: float | None = None
    prompt_eval: float | None = None
    eval: float | None = None


class StreamChunk(_Value):
    """The content of one frame of a provider's stream, or a part of it.

    `call`, `seq` and `t` are the same live, replayed and followed.

    Attributes:
        call: The number of the recorded call in its session, from 1: after a retry, that of the
            attempt that answered. 1 where nothing is recorded.
        seq: The number of the chunk in its call, from 0, without gaps.
        t: Seconds since the request was sent, in whole microseconds.
        choice: The number of the choice, from 0; above 0 only with `n`.
        role: The role, as the provider sent it.
        text: Text of the answer.
        reasoning: Text of the model's reasoning.
        refusal: Text of a refusal, where the provider keeps it apart.
        tool_calls: Pieces of tool calls.
        logprobs: Log probabilities, in the provider's form.
        finish_reason: Why the choice ended, in the words of `FinishReason`.
        raw_finish_reason: Why it ended, in the provider's word.
        usage: Token counts, mostly in one of the last chunks.
        timings: Durations measured by the provider.
        response_id: The provider's id of the answer.
        model: The model that the provider names.
        extra: Fields of the provider for which there is no field here.
        raw: The exact text of the frame that the chunk came from; not serialised.
    """

    call: int = 1
    seq: int = 0
    t: float = 0.0
    choice: int = 0
    role: str | None = None
    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    logprobs: Any = None
    finish_reason: FinishReason | None = None
    raw_finish_reason: str | None = None
    usage: Usage | None = None
    timings: Timings | None = None
    response_id: str | None = None
    model: str | None = None
    extra: dict[str, Any] = Field(default_factory=dict)
    raw: str = Field(default="", exclude=True, repr=False)

    def to_openai(self) -> dict[str, Any]:
        """This chunk as a `chat.completion.chunk` object of the OpenAI API."""
        return dialect("openai").chunk_object(self)


class ToolCallDeltaFields(TypedDict, total=False):
    """The fields of a `ToolCallDelta`, as a decoder gives them."""

    slot: str
    type: str | None
    index: int | None
    id: str | None
    name: str | None
    arguments: str | None


class ChunkFields(TypedDict, total=False):
    """A chunk as a decoder gives it; the exchange adds `call`, `seq`, `t` and `raw`.

    The fields of `StreamChunk` as plain JSON values; leave out those that have their default. They
    are stored in the recording unchanged, and validated when the chunk is made.
    """

    choice: int
    role: str
    text: str
    reasoning: str
    refusal: str
    tool_calls: list[ToolCallDeltaFields]
    logprobs: Any
    finish_reason: FinishReason
    raw_finish_reason: str
    usage: dict[str, Any]
    timings: dict[str, float | None]
    response_id: str
    model: str
    extra: dict[str, Any]
