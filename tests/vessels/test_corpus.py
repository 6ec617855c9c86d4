"""Every captured body decodes to what an independent reader finds in it.

The bodies and their layout: tests/support/corpus.py.

Debatable, and decided:
- An error beside a further piece of the answer, after a finish reason (OpenRouter's Gemini finishes
  each of 15 tool calls, then fails): the answer failed. An error by itself after the finish changes
  nothing.
- Audio without text, ended by [DONE] without a finish reason (OpenAI): complete, as something was
  said.
- A content filter that answers 200 with an error object (Azure): an error, not an empty answer.
- `stop` where tools were called (Ollama's own API): `tool_calls`; what the provider says is in
  `raw_finish_reason`.
- Reasoning tokens beside the output tokens (xAI): a part of them, as the total shows.
- A reason of a provider's own (Ollama's `load`, `custom` …): `other`, the raw one beside it.
- Arguments that are no JSON (cut by the length; several calls glued by OpenRouter's own joining):
  the text is kept, the parsed value is None.
- An answer in an envelope, `{"data": {"data": {"choices": …}}}` (Kinetica): read, as a repair.
- Objects that are no answer (lists of stored completions, batches, usage pages): unreadable, with
  their kind; where an object has no kind, the answer never came: truncated. Never complete.
- Routes of other dialects (llama-server's /v1/messages, /v1/responses, /completion; Ollama's
  /api/pull, /api/create, /api/embed, /api/ps): held to "never complete, never a crash" only.
- A capture that was cut (its .info says so): what came is compared, the end is truncated.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from corpus import (
    ANSWERS,
    CAPTURES,
    MISSING,
    WIRE,
    capture_body,
    decoded,
    expectation,
    wire_body,
)
from corpus_reader import PROVIDER, TRUNCATED, UNREADABLE, Expected
from decoding import Decoded
from vesselog.core.completion import Choice


def compare(found: Decoded, expected: Expected) -> None:
    assert found.outcome == expected.outcome, found.error
    if expected.outcome == PROVIDER:
        assert found.error is not None
        words = expected.error.split()[:8]
        assert " ".join(words) in " ".join(found.error.message.lower().split())
    completion = found.completion
    choices = {each.index: each for each in completion.choices}
    for number, answer in expected.answers.items():
        choice = choices.get(number, Choice())
        assert choice.text == answer.text
        assert choice.reasoning == answer.reasoning
        assert choice.refusal == answer.refusal
        assert [(call.name, call.arguments) for call in choice.tool_calls] == answer.calls
        assert choice.finish_reason == answer.finish
        assert choice.raw_finish_reason == answer.raw_finish
        ids = [call.id for call in choice.tool_calls]
        assert all(ids)
        assert len(set(ids)) == len(ids)
    for number, message in expected.messages.items():
        assert choices[number].native == with_ids(message, choices[number])
    # Providers that fail send a usage of zeros behind the error, where nothing is read any more.
    if expected.outcome != PROVIDER:
        usage = completion.usage
        counts = (usage.input_tokens, usage.output_tokens) if usage else None
        assert counts == expected.usage


def with_ids(message: dict[str, Any], choice: Choice) -> dict[str, Any]:
    """The provider's message with the ids that the completion shows."""
    if not message.get("tool_calls"):
        return message
    calls = zip(message["tool_calls"], choice.tool_calls, strict=True)
    return {**message, "tool_calls": [{**sent, "id": call.id} for sent, call in calls]}


def same_words(native: dict[str, Any], choice: Choice) -> None:
    """What goes back to the provider is what the chunks said."""
    content = native.get("content")
    if not isinstance(content, list):
        assert (content or "") == choice.text
    assert (native.get("refusal") or "") == choice.refusal
    said = [
        (call["id"], call["function"]["name"], call["function"]["arguments"] or "")
        for call in native.get("tool_calls") or []
    ]
    assert said == [(call.id, call.name, call.arguments_text) for call in choice.tool_calls]


@pytest.mark.parametrize(
    "name", [name for name in WIRE if ".ollama" not in name], ids=lambda name: name[-60:]
)
def test_the_message_that_goes_back_says_what_the_chunks_say(name: str) -> None:
    for choice in decoded(wire_body(name)).completion.choices:
        if choice.native is not None:
            same_words(choice.native, choice)
        else:
            assert choice == Choice(
                index=choice.index,
                finish_reason=choice.finish_reason,
                raw_finish_reason=choice.raw_finish_reason,
                logprobs=choice.logprobs,
                extra=choice.extra,
            )


def test_the_corpus_is_there() -> None:
    if MISSING:
        pytest.skip(MISSING)
    assert len(WIRE) > 400
    assert len(CAPTURES) > 80


@pytest.mark.parametrize("name", WIRE, ids=lambda name: name[-60:])
def test_body_of_a_provider(name: str) -> None:
    body = wire_body(name)
    found = decoded(body)
    assert found.raw == body.content
    expected = expectation(body)
    if expected.outcome == TRUNCATED and found.outcome == UNREADABLE:
        # No answer at all in it; the vessel says what it is instead.
        assert not expected.answers
        return
    compare(found, expected)


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_capture_of_a_server(path: Path) -> None:
    route, body = capture_body(path)
    found = decoded(body)
    assert found.raw == body.content
    if body.status == 200 and not route.endswith(ANSWERS):
        assert found.outcome != "complete"
        return
    expected = expectation(body)
    cut = "CUT" in path.with_suffix(".info").read_text("utf-8")
    assert (expected.outcome == TRUNCATED) == cut
    compare(found, expected)


def test_repairs_stay_rare() -> None:
    """A plain body needs none: most of the corpus has no repair at all."""
    if MISSING:
        pytest.skip(MISSING)
    repaired = [name for name in WIRE if decoded(wire_body(name)).repairs]
    assert len(repaired) < len(WIRE) / 5
