"""Every dialect of the house as a server speaks it: one answer in frames, an error in band.

A preset speaks OpenAI's, at an address and with an error of its own: `VESSELS` has one, too.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from loopback import Request, ollama_lines, openai_events, sse
from vesselog.core.vessel import Vessel
from vesselog.vessels import Anthropic, Azure, Gemini, Ollama, OpenAI
from vesselog.vessels.presets import OpenRouter

__all__ = ["DIALECTS", "VESSELS", "Dialect", "dialect_of"]


class Dialect(NamedTuple):
    """One vessel's dialect. place: what the path of its requests holds.

    frames: an answer of these texts. error: a frame that says that it failed. last: how many of the
    frames come with the finish or behind it.
    """

    name: str
    vessel: Callable[..., Vessel]
    place: str
    content_type: str
    frames: Callable[..., list[bytes]]
    error: bytes
    last: int


def _anthropic(*texts: str) -> list[bytes]:
    message = {"id": "m", "type": "message", "role": "assistant", "content": [], "model": "m"}
    usage = {"input_tokens": 3, "output_tokens": 1}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**message, "stop_reason": None, "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    ]
    for text in texts:
        delta = {"type": "text_delta", "text": text}
        events.append({"type": "content_block_delta", "index": 0, "delta": delta})
    events += [
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage},
        {"type": "message_stop"},
    ]
    return [f"event: {each['type']}\n".encode() + sse(each, done=False)[0] for each in events]


def _gemini(*texts: str) -> list[bytes]:
    events: list[dict[str, Any]] = [
        {"candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}]}
        for text in texts
    ]
    events[-1]["candidates"][0]["finishReason"] = "STOP"
    return sse(*events, done=False)


def _openrouter(*, base_url: str) -> Vessel:
    return OpenRouter(base_url=f"{base_url}/api/v1")


_ANTHROPIC_ERROR = {"type": "error", "error": {"type": "overloaded_error", "message": "boom"}}
_OPENROUTER_ERROR = {
    "error": {"code": 502, "message": "boom"},
    "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}],
}

DIALECTS = {
    each.name: each
    for each in (
        Dialect(
            name="ollama",
            vessel=Ollama,
            place="/api/chat",
            content_type="application/x-ndjson",
            frames=ollama_lines,
            error=b'{"error": "boom"}\n',
            last=1,
        ),
        Dialect(
            name="openai",
            vessel=OpenAI,
            place="/v1/chat",
            content_type="text/event-stream",
            frames=openai_events,
            error=sse({"error": {"message": "boom", "type": "server_error"}}, done=False)[0],
            last=3,
        ),
        Dialect(
            name="azure",
            vessel=Azure,
            place="/openai/",
            content_type="text/event-stream",
            frames=openai_events,
            error=sse({"error": {"message": "boom", "code": "500"}}, done=False)[0],
            last=3,
        ),
        Dialect(
            name="anthropic",
            vessel=partial(Anthropic, max_tokens=100),
            place="/messages",
            content_type="text/event-stream",
            frames=_anthropic,
            error=b"event: error\ndata: " + json.dumps(_ANTHROPIC_ERROR).encode() + b"\n\n",
            last=2,
        ),
        Dialect(
            name="gemini",
            vessel=Gemini,
            place=":streamGenerateContent",
            content_type="text/event-stream",
            frames=_gemini,
            error=sse({"error": {"code": 503, "message": "boom"}}, done=False)[0],
            last=1,
        ),
    )
}


VESSELS = {
    **DIALECTS,
    "openrouter": Dialect(
        name="openrouter",
        vessel=_openrouter,
        place="/api/v1/",
        content_type="text/event-stream",
        frames=openai_events,
        error=sse(_OPENROUTER_ERROR, done=False)[0],
        last=3,
    ),
}


def dialect_of(request: Request) -> Dialect:
    """The dialect that a request was made in: those behind OpenAI's have its path in their own."""
    return [each for each in VESSELS.values() if each.place in request.path][-1]
