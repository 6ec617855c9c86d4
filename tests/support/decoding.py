"""Runs a body through the exchange, as the clients do, and shows what became of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from vesselog.core.assembler import Assembler
from vesselog.core.chunk import StreamChunk
from vesselog.core.completion import Completion
from vesselog.core.errors import VesselogError
from vesselog.core.exchange import Exchange, Step
from vesselog.core.jsontext import dumps
from vesselog.core.masking import Masker
from vesselog.core.native import NativeMessages
from vesselog.core.vessel import Progress, Vessel, WireRequest
from vesselog.vessels import Ollama, OpenAI

SSE = "text/event-stream"
NDJSON = "application/x-ndjson"
JSON = "application/json"


@dataclass
class Decoded:
    """What the exchange made of a body."""

    steps: list[Step]
    error: VesselogError | None
    progress: Progress
    natives: NativeMessages
    chunks: list[StreamChunk] = field(init=False)

    def __post_init__(self) -> None:
        self.chunks = [chunk for step in self.steps for chunk in step.chunks]

    @property
    def outcome(self) -> str:
        return "complete" if self.error is None else type(self.error).__name__

    @property
    def repairs(self) -> list[str]:
        return [name for step in self.steps for name in step.frame.repairs]

    @property
    def raw(self) -> bytes:
        return b"".join(step.frame.raw for step in self.steps)

    @property
    def completion(self) -> Completion:
        assembler = Assembler()
        for chunk in self.chunks:
            assembler.add(chunk)
        return assembler.completion(natives=self.natives)

    @property
    def said(self) -> list[dict[str, Any]]:
        """The chunks but for their raw text."""
        return [chunk.model_dump() for chunk in self.chunks]


def decode(
    vessel: Vessel,
    body: bytes | Iterable[bytes],
    content_type: str = "",
    *,
    status: int = 200,
    n: int | None = None,
    usage: bool = False,
    stream: bool = True,
    split_think: bool = False,
    masker: Masker | None = None,
    max_frame_bytes: int = 1 << 23,
) -> Decoded:
    """The answer `body`, fed in the pieces given, as decoded by the vessel.

    usage: token counts are asked for.
    """
    asked: dict[str, Any] = {"model": "m", "stream": stream}
    if n is not None:
        asked["n"] = n
    if usage:
        asked["stream_options"] = {"include_usage": True}
    request = WireRequest(url="http://x", body=asked, stream=stream, split_think=split_think)
    exchange = Exchange(vessel, request, masker=masker, max_frame_bytes=max_frame_bytes)
    exchange.respond(status, content_type)
    steps: list[Step] = []
    for piece in [body] if isinstance(body, bytes) else body:
        steps += exchange.take(piece, 0.5)
    steps.extend(exchange.finish(1.0))
    return Decoded(steps, exchange.error, exchange.progress, exchange.native())


def openai(*events: Any, **settings: Any) -> Decoded:
    """Events of the OpenAI dialect: JSON values, or the exact bytes of frames."""
    return decode(OpenAI(), sse(*events), SSE, **settings)


def ollama(*lines: Any, **settings: Any) -> Decoded:
    """Lines of Ollama's dialect: JSON values, or exact bytes."""
    body = b"".join(line if isinstance(line, bytes) else dumps(line) + b"\n" for line in lines)
    return decode(Ollama(), body, NDJSON, **settings)


def sse(*events: Any) -> bytes:
    return b"".join(
        event if isinstance(event, bytes) else b"data: " + dumps(event) + b"\n\n"
        for event in events
    )


def delta(finish: Any = None, index: int = 0, **fields: Any) -> dict[str, Any]:
    """A chunk of the OpenAI dialect, plainly dressed."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1752746251,
        "model": "m",
        "choices": [{"index": index, "delta": fields, "finish_reason": finish}],
    }


DONE = b"data: [DONE]\n\n"
