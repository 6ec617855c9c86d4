"""Shows one answer while it comes: as text for people, or as JSON lines for programs.

Text: the answer on stdout, token by token; reasoning, dimmed, on stderr; then how it went. JSON: a
line of `"type":"chunk"` for each chunk, then one of `"type":"completion"` with the error if there
is one. Of several choices the first is shown live, the others afterwards.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from .output import DIM, json_line, note, put, write

if TYPE_CHECKING:
    from ..core.chunk import StreamChunk
    from ..core.completion import Choice, Completion, Metrics, ToolCall
    from ..core.errors import VesselogError

__all__ = ["Answer", "JsonAnswer", "TextAnswer", "chunk_record", "completion_record", "summary"]


class Answer(Protocol):
    """Takes the chunks of an answer, then its sum."""

    begun: bool

    def chunk(self, chunk: StreamChunk) -> None:
        """Show a chunk."""
        ...

    def end(
        self,
        completion: Completion,
        error: VesselogError | None = None,
        *,
        outcome: str | None = None,
        path: Path | None = None,
    ) -> None:
        """Show how it ended. outcome: where it is not the completion's own. path: of the file."""
        ...


class TextAnswer:
    """For people. begun: something was shown."""

    def __init__(self) -> None:
        self.begun = False
        self._thinking = False
        self._open = False
        self._gap = ""

    def chunk(self, chunk: StreamChunk) -> None:
        """Text to stdout, reasoning to stderr."""
        if chunk.choice != 0:
            return
        if chunk.reasoning:
            self.begun = self._thinking = True
            self._gap = "" if chunk.reasoning.endswith("\n") else "\n"
            put(sys.stderr, chunk.reasoning, DIM)
        if text := chunk.text + chunk.refusal:
            if self._thinking:
                self._end_thinking()
            self.begun = True
            self._open = not text.endswith("\n")
            write(text)

    def end(
        self,
        completion: Completion,
        error: VesselogError | None = None,  # noqa: ARG002 - told by who ends the command
        *,
        outcome: str | None = None,
        path: Path | None = None,
    ) -> None:
        """The tool calls and the other choices to stdout, then the summary to stderr."""
        self._end_thinking()
        if self._open:
            write("\n")
        _tool_calls(completion)
        for choice in completion.choices[1:]:
            note(f"choice {choice.index}", DIM)
            if text := choice.text + choice.refusal:
                write(text if text.endswith("\n") else text + "\n")
            _tool_calls(choice)
        note(summary(completion, outcome), DIM)
        if path is not None:
            note(str(path), DIM)

    def _end_thinking(self) -> None:
        if self._thinking:
            self._thinking = False
            note(self._gap)


class JsonAnswer:
    """For programs."""

    def __init__(self) -> None:
        self.begun = False

    def chunk(self, chunk: StreamChunk) -> None:
        """A line for the chunk."""
        self.begun = True
        json_line(chunk_record(chunk))

    def end(
        self,
        completion: Completion,
        error: VesselogError | None = None,
        *,
        outcome: str | None = None,
        path: Path | None = None,
    ) -> None:
        """A line for the completion."""
        record = completion_record(completion, error, outcome)
        if path is not None:
            record["path"] = str(path)
        json_line(record)


def chunk_record(chunk: StreamChunk) -> dict[str, Any]:
    """A chunk as JSON values: what it says, always with its number and time."""
    said = chunk.model_dump(mode="json", exclude_defaults=True)
    return {"type": "chunk", "seq": chunk.seq, "t": chunk.t, **said}


def completion_record(
    completion: Completion, error: VesselogError | None = None, outcome: str | None = None
) -> dict[str, Any]:
    """A completion as JSON values, with the error with which it ended."""
    left_out = None if completion.metrics.chunks else {"metrics"}  # nothing was measured
    record = {"type": "completion", **completion.model_dump(mode="json", exclude=left_out)}
    if outcome is not None:
        record["outcome"] = outcome
    if error is not None:
        record["error"] = error.to_record()
    return record


def summary(completion: Completion, outcome: str | None = None) -> str:
    """How it ended and how it arrived, in a line."""
    ended = [outcome or completion.outcome or "not over", completion.finish_reason]
    parts = [", ".join(filter(None, ended))]
    metrics = completion.metrics
    if metrics.chunks:
        arrived = f"{metrics.chunks} chunk{'' if metrics.chunks == 1 else 's'}"
        first = metrics.time_to_first_chunk
        begun = "" if first is None else f" (first {first:.2f} s)"
        parts.append(f"{arrived} in {metrics.duration:.2f} s{begun}")
    if usage := completion.usage:
        counts = {"in": usage.input_tokens, "out": usage.output_tokens}
        known = [f"{count} {name}" for name, count in counts.items() if count is not None]
        parts.append(f"tokens {', '.join(known)}{_rate(metrics)}")
    return " · ".join(parts)


def _rate(metrics: Metrics) -> str:
    """Output tokens per second: the provider's own figure, or else that of the clock."""
    if metrics.output_tokens_per_second is not None:
        return f" ({metrics.output_tokens_per_second:.1f}/s)"
    if metrics.clock_output_tokens_per_second is not None:
        return f" ({metrics.clock_output_tokens_per_second:.1f}/s by the clock)"
    return ""


def _tool_calls(choice: Choice) -> None:
    for call in choice.tool_calls:
        write(_tool_call(call) + "\n")


def _tool_call(call: ToolCall) -> str:
    return f"{call.name}({' '.join(call.arguments_text.split())})"
