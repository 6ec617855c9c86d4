"""The official SDKs read what the encoders write, and their own accumulators build the same answer.

Served on loopback: captured answers of many providers and some of Anthropic, each written in the
dialect of the SDK, streamed and whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest

from anthropic_bodies import THINKING, TOOLS, answer
from corpus import MISSING, WIRE, decoded, wire_body
from decoding import Decoded
from loopback import Conversation, LoopbackServer
from round_trips import DIALECTS, complete
from vesselog.core.completion import Completion
from vesselog.core.jsontext import dumps
from vesselog.vessels.anthropic_block import input_object

pytestmark = pytest.mark.live

ASKED: Any = [{"role": "user", "content": "Hi"}]
# Of the answers that call tools, and of those that reason, so many.
_EACH = 25


class Built(NamedTuple):
    """What an SDK built of an answer."""

    text: str
    reasoning: str
    calls: list[tuple[str, str, Any]]
    finish: str | None
    usage: tuple[int, int]


def expected(name: str, completion: Completion) -> Built:
    usage = completion.usage
    finish = completion.finish_reason or "stop"
    names = {
        "anthropic": {
            "length": "max_tokens",
            "tool_calls": "tool_use",
            "content_filter": "refusal",
        },
        "gemini": {"content_filter": "SAFETY", "length": "MAX_TOKENS", "other": "OTHER"},
        "ollama": {"length": "length"},
        "openai": {"other": "stop"},
    }[name]
    usual = {"anthropic": "end_turn", "gemini": "STOP", "ollama": "stop", "openai": finish}[name]
    return Built(
        completion.text + completion.refusal,
        completion.reasoning,
        [
            (call.id or "", call.name, input_object(call.arguments_text))
            for call in completion.tool_calls
        ],
        names.get(finish, usual),
        (usage.input_tokens or 0, usage.output_tokens or 0) if usage else (0, 0),
    )


def answers() -> list[Decoded]:
    found = [answer(*THINKING), answer(*TOOLS)]
    if MISSING:
        return found
    bodies = [each for name in WIRE if (each := decoded(wire_body(name))).error is None]
    kinds: list[Callable[[Completion], Any]] = [
        lambda completion: completion.tool_calls,
        lambda completion: completion.reasoning,
        lambda completion: completion.refusal or completion.finish_reason == "length",
    ]
    for kind in kinds:
        several = [each for each in bodies if kind(each.completion)]
        found += [each for each in several if _fits(each.completion)][:_EACH]
    return found


def _fits(completion: Completion) -> bool:
    """One choice, without calls that the answer's length cut off."""
    return len(completion.choices) == 1 and all(
        call.type == "function" and isinstance(call.arguments, dict)
        for call in completion.tool_calls
    )


@contextmanager
def served(name: str, found: Decoded) -> Iterator[str]:
    """A server that gives this answer in the dialect; its URL."""
    dialect = DIALECTS[name]

    def script(conversation: Conversation) -> None:
        encoder = dialect.encoder()
        request = conversation.request
        streams = ":stream" in request.path or request.json.get("stream", name == "ollama")
        if not streams:
            conversation.whole(dumps(encoder.whole(complete(found))))
            return
        conversation.head(content_type=encoder.content_type)
        for chunk in found.chunks:
            if data := encoder.write(chunk) + encoder.heartbeat:
                conversation.chunk(data)
        conversation.chunk(encoder.end(complete(found)))
        conversation.end()

    with LoopbackServer([script, script]) as server:
        yield server.url


def read_by_openai(url: str) -> list[Built]:
    openai = pytest.importorskip("openai", reason="needs OpenAI's SDK: pip install openai")
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        asked: dict[str, Any] = {"model": "m", "messages": ASKED}
        with client.chat.completions.stream(
            **asked, stream_options={"include_usage": True}
        ) as stream:
            try:
                streamed = stream.get_final_completion()
            except openai.LengthFinishReasonError as error:  # of every answer with this reason
                streamed = error.completion
        return [_of_openai(streamed), _of_openai(client.chat.completions.create(**asked))]


def _of_openai(completion: Any) -> Built:
    message, usage = completion.choices[0].message, completion.usage
    return Built(
        (message.content or "") + (message.refusal or ""),
        (message.model_extra or {}).get("reasoning_content", ""),
        [
            (call.id, call.function.name, json.loads(call.function.arguments or "{}"))
            for call in message.tool_calls or ()
        ],
        completion.choices[0].finish_reason,
        (usage.prompt_tokens, usage.completion_tokens) if usage else (0, 0),
    )


def read_by_anthropic(url: str) -> list[Built]:
    anthropic = pytest.importorskip(
        "anthropic", reason="needs Anthropic's SDK: pip install anthropic"
    )
    with anthropic.Anthropic(base_url=url, api_key="none", max_retries=0) as client:
        asked: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": ASKED}
        with client.messages.stream(**asked) as stream:
            streamed = stream.get_final_message()
        return [_of_anthropic(streamed), _of_anthropic(client.messages.create(**asked))]


def _of_anthropic(message: Any) -> Built:
    usage = message.usage
    cached = (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    return Built(
        "".join(block.text for block in message.content if block.type == "text"),
        "".join(block.thinking for block in message.content if block.type == "thinking"),
        [
            (block.id, block.name, block.input)
            for block in message.content
            if block.type == "tool_use"
        ],
        message.stop_reason,
        (usage.input_tokens + cached, usage.output_tokens),
    )


def read_by_ollama(url: str) -> list[Built]:
    ollama = pytest.importorskip("ollama", reason="needs Ollama's SDK: pip install ollama")
    with ollama.Client(host=url) as client:
        streamed = list(client.chat("m", ASKED, stream=True))
        return [_of_ollama(streamed), _of_ollama([client.chat("m", ASKED)])]


def _of_ollama(lines: list[Any]) -> Built:
    messages = [line.message for line in lines]
    calls = [call for message in messages for call in message.tool_calls or ()]
    last = lines[-1]
    return Built(
        "".join(message.content or "" for message in messages),
        "".join(message.thinking or "" for message in messages),
        [("", call.function.name, dict(call.function.arguments)) for call in calls],
        last.done_reason,
        (last.prompt_eval_count or 0, last.eval_count or 0),
    )


def read_by_gemini(url: str) -> list[Built]:
    genai = pytest.importorskip(
        "google.genai", reason="needs Google's SDK: pip install google-genai"
    )
    with genai.Client(api_key="none", http_options={"base_url": url}) as client:
        asked: dict[str, Any] = {"model": "m", "contents": "Hi"}
        streamed = list(client.models.generate_content_stream(**asked))
        return [_of_gemini(streamed), _of_gemini([client.models.generate_content(**asked)])]


def _of_gemini(answers: list[Any]) -> Built:
    candidates = [each.candidates[0] for each in answers]
    parts = [part for each in candidates for part in each.content.parts or ()]
    usage = answers[-1].usage_metadata
    thought = (usage.thoughts_token_count or 0) if usage else 0
    return Built(
        "".join(part.text or "" for part in parts if not part.thought),
        "".join(part.text or "" for part in parts if part.thought),
        [
            (part.function_call.id, part.function_call.name, part.function_call.args)
            for part in parts
            if part.function_call
        ],
        candidates[-1].finish_reason.value,
        (usage.prompt_token_count or 0, (usage.candidates_token_count or 0) + thought)
        if usage
        else (0, 0),
    )


READERS = {
    "gemini": read_by_gemini,
    "openai": read_by_openai,
    "anthropic": read_by_anthropic,
    "ollama": read_by_ollama,
}


@pytest.mark.parametrize("name", READERS)
def test_an_sdk_builds_the_answer_that_was_written(name: str) -> None:
    found = answers()
    assert len(found) >= (2 if MISSING else 2 * _EACH)
    for each in found:
        with served(name, each) as url:
            right = expected(name, each.completion)
            if name == "ollama":  # its SDK drops the ids
                right = right._replace(calls=[("", *call[1:]) for call in right.calls])
            streamed, whole = READERS[name](url)
            assert streamed == right
            assert whole == right
