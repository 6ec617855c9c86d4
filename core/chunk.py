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


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class ToolCallDelta(_Value):
    """A piece of one tool call. Pieces with the same `slot` (and choice) belong together.

    `slot` is given by the decoder; `index` and `id` are what the provider sent. `name` and
    `arguments` (JSON text) may be fragments, which are joined in order; the decoder leaves out what
    a provider repeats. `type` is "custom" for a tool that takes free text, which is then in
    `arguments`.
    """

    slot: str
    type: str | None = None
    index: int | None = None
    id: str | None = None
    name: str | None = None
    arguments: str | None = None


class Usage(_Value):
    """Token counts as the provider reports them; a count it does not report is None.

    details: the provider's further counts (audio, video, tools …) under its own names, nested as
    it sent them.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    details: dict[str, Any] | None = None


class Timings(_Value):
    """Durations measured by the provider, in seconds; one it does not report is None."""

    total: float | None = None
    load: float | None = None
    prompt_eval: float | None = None
    eval: float | None = None


class StreamChunk(_Value):
    """The content of one frame of a provider's stream, or a part of it.

    `call` is the number of the recorded call in its session: after a retry that of the attempt that
    answered, and 1 where nothing is recorded. `seq` counts a call's chunks from 0 without gaps. `t`
    is in seconds since the request left, in whole microseconds. All are the same live, replayed and
    followed. `raw` is the exact text of the frame that the chunk came from; it is not part of the
    serialised chunk.
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
