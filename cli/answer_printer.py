"""Prints one answer while it arrives: as text for people, or as JSON lines for programs.

Text: the answer goes to stdout token by token; the reasoning (dimmed) and a summary at the end go
to stderr. JSON: one line with `"type":"chunk"` for each chunk, then one with `"type":"completion"`,
which has the error if there was one. If there are several choices, the text of the first is printed
live and the others after the end.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from .output import DIM, print_json, print_line, print_note, write, write_to

if TYPE_CHECKING:
    from ..core.chunk import StreamChunk
    from ..core.completion import Choice, Completion, Metrics, ToolCall
    from ..core.errors import VesselogError

__all__ = [
    "AnswerPrinter",
    "JsonPrinter",
    "TextPrinter",
    "chunk_record",
    "completion_record",
    "summary",
]


class AnswerPrinter(Protocol):
    """Prints the chunks of an answer, then its completion. started: something was printed."""

    started: bool

    def chunk(self, chunk: StreamChunk) -> None:
        """Print a chunk."""
        ...

    def end(
        self,
        completion: Completion,
        error: VesselogError | None = None,
        *,
        outcome: str | None = None,
        path: Path | None = None,
    ) -> None:
        """Print how the answer ended.

        outcome: replaces that of the completion. path: the recording, if it is to be printed.
        """
        ...


class TextPrinter:
    """Prints an answer for people."""

    def __init__(self) -> None:
        self.started = False
        self._reasoning = False
        self._line_open = False
        self._line_end = ""

    def chunk(self, chunk: StreamChunk) -> None:
        """Write text to stdout and reasoning to stderr."""
        if chunk.choice != 0:
            return
        if chunk.reasoning:
            self.started = self._reasoning = True
            self._line_end = "" if chunk.reasoning.endswith("\n") else "\n"
            write_to(sys.stderr, chunk.reasoning, DIM)
        if text := chunk.text + chunk.refusal:
            if self._reasoning:
                self._end_reasoning()
            self.started = True
            self._line_open = not text.endswith("\n")
            write(text)

    def end(
        self,
        completion: Completion,
        error: VesselogError | None = None,  # noqa: ARG002 - the command prints it as its last line
        *,
        outcome: str | None = None,
        path: Path | None = None,
    ) -> None:
        """Write the tool calls and the other choices to stdout, then the summary to stderr."""
        self._end_reasoning()
        if self._line_open:
            write("\n")
        _print_tool_calls(completion)
        for choice in completion.choices:
            if choice.index == 0:
                continue
            print_note(f"choice {choice.index}", DIM)
            if text := choice.text + choice.refusal:
                write(text if text.endswith("\n") else text + "\n")
            _print_tool_calls(choice)
        print_note(summary(completion, outcome), DIM)
        if path is not None:
            print_note(str(path), DIM)

    def _end_reasoning(self) -> None:
        if self._reasoning:
            self._reasoning = False
            write_to(sys.stderr, self._line_end + "\n")


class JsonPrinter:
    """Prints an answer as JSON lines."""

    def __init__(self) -> None:
        self.started = False

    def chunk(self, chunk: StreamChunk) -> None:
        """Write a line for the chunk."""
        self.started = True
        print_json(chunk_record(chunk))

    def end(
        self,
        completion: Completion,
        error: VesselogError | None = None,
        *,
        outcome: str | None = None,
        path: Path | None = None,
    ) -> None:
        """Write a line for the completion."""
        record = completion_record(completion, error, outcome)
        if path is not None:
            record["path"] = str(path)
        print_json(record)


def chunk_record(chunk: StreamChunk) -> dict[str, Any]:
    """A chunk as JSON values: `call`, `seq`, `t`, and every other field that is not its default."""
    try:
        fields = chunk.model_dump(mode="json", exclude_defaults=True)
    except ValueError:
        fields = _deep(chunk)
    return {"type": "chunk", "call": chunk.call, "seq": chunk.seq, "t": chunk.t, **fields}


def completion_record(
    completion: Completion, error: VesselogError | None = None, outcome: str | None = None
) -> dict[str, Any]:
    """A completion as JSON values, with the error that ended the answer if there was one."""
    left_out = None if completion.metrics.chunks else {"metrics"}  # nothing was measured
    try:
        fields = completion.model_dump(mode="json", exclude=left_out)
    except ValueError:
        fields = _deep(completion)
    record = {"type": "completion", **fields}
    if outcome is not None:
        record["outcome"] = outcome
    if error is not None:
        record["error"] = error.to_record()
    return record


def _deep(value: Any) -> Any:
    """What pydantic does not write, since it is nested in more than 255 levels, as JSON values.

    Fields of the answer that are JSON values themselves, which alone are so deep, stay as they are.
    """
    if isinstance(value, tuple):
        return [_deep(each) for each in cast("tuple[Any, ...]", value)]
    if not hasattr(value, "model_fields_set"):
        return value
    return {name: _deep(each) for name, each in value if each is not None}


def summary(completion: Completion, outcome: str | None = None) -> str:
    """One line: the outcome, the finish reason, the time it took, the tokens."""
    ended = [outcome or completion.outcome or "not over", completion.finish_reason]
    parts = [", ".join(filter(None, ended))]
    metrics = completion.metrics
    if metrics.chunks:
        chunks = f"{metrics.chunks} chunk{'' if metrics.chunks == 1 else 's'}"
        first = metrics.time_to_first_chunk
        first_chunk = "" if first is None else f" (first {first:.2f} s)"
        parts.append(f"{chunks} in {metrics.duration:.2f} s{first_chunk}")
    if usage := completion.usage:
        counts = {"in": usage.input_tokens, "out": usage.output_tokens}
        known = [f"{count} {name}" for name, count in counts.items() if count is not None]
        parts.append(f"tokens {', '.join(known)}{_rate(metrics)}")
    return " · ".join(parts)


def _rate(metrics: Metrics) -> str:
    """Output tokens per second: the provider's own number, else the one we measured."""
    if metrics.output_tokens_per_second is not None:
        return f" ({metrics.output_tokens_per_second:.1f}/s)"
    if metrics.clock_output_tokens_per_second is not None:
        return f" ({metrics.clock_output_tokens_per_second:.1f}/s measured)"
    return ""


def _print_tool_calls(choice: Choice) -> None:
    for call in choice.tool_calls:
        print_line(_tool_call(call))


def _tool_call(call: ToolCall) -> str:
    return f"{call.name}({' '.join(call.arguments_text.split())})"
