"""Payloads with several JSON values, or with control characters in their strings."""

from __future__ import annotations

import pytest

from decoding import DONE, NDJSON, SSE, decode, delta, openai, sse
from vesselog.vessels import Anthropic, Gemini, Ollama, OpenAI, OpenAIResponses, Vessel

TEXT = "a\tb\x1b[0m\x00"
DECODED: tuple[tuple[Vessel, str, bytes], ...] = (
    (
        OpenAI(),
        SSE,
        b'data: {"choices":[{"index":0,"delta":{"content":"TEXT"},"finish_reason":"stop"}]}\n\n',
    ),
    (
        Anthropic(),
        SSE,
        (
            b'data: {"type":"message_start","message":{"id":"m","usage":{"input_tokens":1}}}\n\n'
            b"event: content_block_delta\ndata: "
            b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"TEXT"}}\n\n'
            b'data: {"type":"message_delta","delta":{"stop_reason":"end_turn"}}\n\n'
            b'data: {"type":"message_stop"}\n\n'
        ),
    ),
    (
        OpenAIResponses(),
        SSE,
        (
            b"event: response.output_text.delta\ndata: "
            b'{"type":"response.output_text.delta","output_index":0,"delta":"TEXT"}\n\n'
            b'data: {"type":"response.completed","response":{"status":"completed"}}\n\n'
        ),
    ),
    (
        Gemini(),
        SSE,
        b'data: {"candidates":[{"content":{"parts":[{"text":"TEXT"}]},"finishReason":"STOP"}]}\n\n',
    ),
    (Ollama(), NDJSON, b'{"message":{"content":"TEXT"},"done":true,"done_reason":"stop"}\n'),
)


@pytest.mark.parametrize(
    ("vessel", "kind", "body"), DECODED, ids=[vessel.name for vessel, *_ in DECODED]
)
def test_control_characters_that_are_not_escaped(vessel: Vessel, kind: str, body: bytes) -> None:
    found = decode(vessel, body.replace(b"TEXT", TEXT.encode()), kind)
    assert (found.outcome, found.completion.text) == ("complete", TEXT)
    assert "control-character" in found.repairs
    assert not {"glued-events", "glued-lines"} & set(found.repairs)


def test_a_line_end_in_a_string_that_became_lines_of_an_event() -> None:
    """The library that writes the events puts `data:` before each line."""
    event = b'data: {"choices":[{"index":0,"delta":{"content":"a\ndata: b"}}]}\n\n'
    found = openai(event, delta("stop"), DONE)
    assert (found.outcome, found.completion.text) == ("complete", "a\nb")


@pytest.mark.parametrize("rest", [b"", b"\t", b'\t"}', b'"\t}]'])
def test_half_an_event_with_a_control_character_is_no_event(rest: bytes) -> None:
    half = b'data: {"choices":[{"index":0,"delta":{"content":"a\tb' + rest
    assert openai(delta(content="Hi"), half + b"\n\n", delta("stop")).outcome == "ProtocolError"
    assert openai(delta(content="Hi"), half).outcome == "TruncatedError"


def test_several_values_and_a_control_character() -> None:
    piece = sse(delta(content="a\tb")).replace(b"\\t", b"\t").rstrip()
    found = openai(piece, sse(delta("stop")), DONE)
    assert (found.outcome, found.completion.text) == ("complete", "a\tb")
    assert found.repairs == ["control-character", "glued-events"]
