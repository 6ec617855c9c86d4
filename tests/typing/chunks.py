"""What a type checker knows of chunks and completions. Checked, never run."""

from typing import Any, assert_type

from pydantic import BaseModel

from vesselog import (
    Choice,
    Completion,
    FinishReason,
    Frame,
    Metrics,
    Outcome,
    Step,
    StreamChunk,
    Timings,
    ToolCall,
    ToolCallDelta,
    Usage,
    VesselogError,
)


class Weather(BaseModel):
    """What an answer is parsed into."""

    city: str


def of_a_chunk(chunk: StreamChunk) -> str:
    """Text is always a string, what a provider may leave out may be None."""
    assert_type(chunk.seq, int)
    assert_type(chunk.t, float)
    assert_type(chunk.tool_calls, tuple[ToolCallDelta, ...])
    assert_type(chunk.finish_reason, FinishReason | None)
    assert_type(chunk.usage, Usage | None)
    assert_type(chunk.timings, Timings | None)
    assert_type(chunk.raw, str)
    assert_type(chunk.to_openai(), dict[str, Any])
    if chunk.usage is not None:
        assert_type(chunk.usage.output_tokens, int | None)
    return chunk.text + chunk.reasoning


def of_a_completion(completion: Completion) -> Weather:
    """A completion is parsed into the model that was asked for."""
    assert_type(completion.text, str)
    assert_type(completion.metrics, Metrics)
    assert_type(completion.metrics.output_tokens_per_second, float | None)
    assert_type(completion.choices, tuple[Choice, ...])
    assert_type(completion.outcome, Outcome | None)
    assert_type([call.name for call in completion.tool_calls], list[str])
    assert_type(completion.tool_calls, tuple[ToolCall, ...])
    return completion.parse(Weather)


def of_a_step(step: Step) -> bytes:
    """A step of `stream.frames()` has the exact bytes, and cannot be changed."""
    assert_type(step.frame, Frame)
    assert_type(step.chunks, tuple[StreamChunk, ...])
    assert_type(step.error, VesselogError | None)
    return step.frame.raw


def of_an_outcome(outcome: Outcome) -> bool:
    """The outcome of a recorded call may be that it has no end."""
    return outcome == "interrupted"
