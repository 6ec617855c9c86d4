"""An answer decoded, written again in another dialect, and decoded from that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from decoding import JSON, NDJSON, SSE, Decoded, decode
from vesselog.core.completion import Choice, Completion
from vesselog.core.jsontext import dumps
from vesselog.core.vessel import Vessel
from vesselog.vessels import Anthropic, Gemini, Ollama, OpenAI, OpenAIResponses
from vesselog.vessels.answer_encoder import AnswerEncoder
from vesselog.vessels.anthropic_block import input_object
from vesselog.vessels.anthropic_encoder import AnthropicEncoder
from vesselog.vessels.gemini_encoder import GeminiEncoder
from vesselog.vessels.ollama_encoder import OllamaEncoder
from vesselog.vessels.openai_encoder import OpenAIEncoder
from vesselog.vessels.responses_encoder import ResponsesEncoder

NOW = "2026-11-28T12:00:00.000000Z"


class Dialect(NamedTuple):
    """A dialect that is written.

    finish: what becomes of finish reasons that it has no word for. arguments: the form in which it
    has those of calls; what is no object is under a key of its own in one. refusals: whether it
    tells them from text. choices: whether it has more than one.
    """

    vessel: Vessel
    encoder: Callable[[], AnswerEncoder]
    kind: str
    finish: Mapping[Any, str]
    arguments: str = "texts"
    refusals: bool = False
    choices: bool = False


DIALECTS = {
    "openai": Dialect(
        OpenAI(),
        lambda: OpenAIEncoder(model="m", created=1, identifier="chatcmpl-1", usage=True),
        SSE,
        {"other": "stop", None: "stop"},
        refusals=True,
        choices=True,
    ),
    "ollama": Dialect(
        Ollama(),
        lambda: OllamaEncoder(model="m", now=lambda: NOW),
        NDJSON,
        {"other": "stop", "content_filter": "stop", None: "stop"},
        arguments="objects",
    ),
    "gemini": Dialect(
        Gemini(),
        lambda: GeminiEncoder(model="m", identifier="r1"),
        SSE,
        {None: "stop"},
        arguments="objects",
        choices=True,
    ),
    "anthropic": Dialect(
        Anthropic(),
        lambda: AnthropicEncoder(model="m", identifier="msg_1"),
        SSE,
        {"other": "stop", None: "stop"},
        arguments="objects if whole",
    ),
    "openai-responses": Dialect(
        OpenAIResponses(),
        lambda: ResponsesEncoder(model="m", created=1, identifier="resp_1"),
        SSE,
        {"other": "stop", None: "stop"},
        refusals=True,
    ),
}


def streamed(dialect: Dialect, found: Decoded) -> tuple[bytes, Decoded]:
    """The stream in this dialect, and what is decoded from it."""
    encoder = dialect.encoder()
    body = b"".join(map(encoder.write, found.chunks)) + encoder.end(complete(found))
    return body, decode(dialect.vessel, body, dialect.kind, usage=True)


def whole(dialect: Dialect, found: Decoded) -> Decoded:
    """What is decoded from the whole answer in this dialect."""
    body = dumps(dialect.encoder().whole(complete(found)))
    return decode(dialect.vessel, body, JSON, stream=False)


def complete(found: Decoded) -> Completion:
    return found.completion.model_copy(update={"outcome": "complete"})


def carried(dialect: Dialect, completion: Completion, *, whole: bool = False) -> list[Any]:
    """What a dialect carries of an answer. whole: of one that is not streamed."""
    choices = completion.choices or (completion,)
    said = [
        _said(dialect, choice, whole=whole)
        for choice in choices
        if dialect.choices or not choice.index
    ]
    usage = completion.usage
    return [*said, (usage.input_tokens or 0, usage.output_tokens or 0) if usage else (0, 0)]


def _said(dialect: Dialect, choice: Choice, *, whole: bool) -> dict[str, Any]:
    objects = dialect.arguments == "objects" or (whole and dialect.arguments == "objects if whole")
    calls = [
        (
            call.id,
            call.name,
            input_object(call.arguments_text) if objects else call.arguments_text.strip() or "{}",
        )
        for call in choice.tool_calls
    ]
    finish = dialect.finish.get(choice.finish_reason, choice.finish_reason)
    if calls and finish == "stop":
        finish = "tool_calls"
    joined = (choice.text, choice.refusal) if dialect.refusals else (choice.text + choice.refusal,)
    return {
        "index": choice.index,
        "text": joined,
        "reasoning": choice.reasoning,
        "calls": calls,
        "finish": finish,
    }


def pieces(dialect: Dialect, found: Decoded) -> list[str]:
    """The texts of an answer as they came, one for each chunk."""
    said = (
        (chunk.reasoning, chunk.text + chunk.refusal)
        for chunk in found.chunks
        if dialect.choices or not chunk.choice
    )
    return [text for texts in said for text in texts if text]
