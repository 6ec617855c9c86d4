"""The agent loop, `messages += [answer.to_message(), *results]`, against strict providers.

Each has two turns of parallel calls with thinking, a text, and a second question. The servers
refuse what their provider would refuse, so a turn that is answered was asked for rightly.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from loopback import LoopbackServer
from strict_anthropic import ANTHROPIC_PROVIDERS
from strict_gemini import GEMINI_PROVIDERS
from strict_ollama import OLLAMA_PROVIDERS
from strict_openai import OPENAI_PROVIDERS
from strict_provider import QUESTIONS, TOOL, StrictProvider, scripted
from strict_responses import RESPONSES_PROVIDERS
from talking import Talker, talking
from vesselog import Message, Recording, Retries
from vesselog.core.request import chat_request

PROVIDERS: dict[str, StrictProvider] = {
    **ANTHROPIC_PROVIDERS,
    **GEMINI_PROVIDERS,
    **OLLAMA_PROVIDERS,
    **OPENAI_PROVIDERS,
    **RESPONSES_PROVIDERS,
}
every_provider = pytest.mark.parametrize("name", PROVIDERS)
WAYS = pytest.mark.parametrize("way", ["stream", "complete"])
KINDS = pytest.mark.parametrize("kind", ["sync", "async"])


def ask(talker: Talker, way: str, messages: list[Any], **fields: Any) -> Any:
    """The next answer, streamed or whole."""
    if way == "complete":
        return talker.complete("agent/m", messages, tools=[TOOL], **fields)
    heard = talker.hear("agent/m", messages, tools=[TOOL], **fields)
    if heard.error is not None:
        raise heard.error
    return heard.stream.completion


def loop(talker: Talker, way: str, *, backwards: bool = False) -> list[Any]:
    """The answers of a conversation; backwards: the results come in the other order."""
    messages: list[Any] = []
    answers: list[Any] = []
    for question in QUESTIONS:
        messages.append({"role": "user", "content": question})
        while True:
            answer = ask(talker, way, messages)
            answers.append(answer)
            results = [
                {"role": "tool", "tool_call_id": call.id, "content": f"Sunny: {call.arguments}"}
                for call in answer.tool_calls
            ]
            messages += [answer.to_message(), *(results[::-1] if backwards else results)]
            if not answer.tool_calls:
                break
    return answers


def talking_to(kind: str, provider: StrictProvider, url: str, **settings: Any) -> Any:
    vessels = {"agent": provider.vessel(url)}
    return talking(kind, vessels=vessels, retries=Retries(count=0), **settings)


@KINDS
@WAYS
@every_provider
def test_what_was_said_is_accepted_back(name: str, way: str, kind: str, tmp_path: Path) -> None:
    provider = PROVIDERS[name]
    refused: list[str] = []
    with (
        LoopbackServer([scripted(provider, refused)]) as server,
        talking_to(kind, provider, server.url, recordings=tmp_path) as talker,
    ):
        answers = loop(talker, way)
    assert refused == []
    assert [answer.finish_reason for answer in answers] == [
        "tool_calls",
        "tool_calls",
        *["stop"] * 2,
    ]
    cities = [[call.arguments["city"] for call in answer.tool_calls] for answer in answers]
    assert cities == [["Bremen", "Rostock"], ["Kiel", "Zürich"], [], []]
    assert [answer.text for answer in answers[2:]] == ["In Kiel.", "Ahoy!"]
    # Replayed at another address, without a network: each request is the recorded one.
    with talking_to(kind, provider, "http://127.0.0.1:9", replay=tmp_path) as talker:
        assert loop(talker, way) == answers


@KINDS
@every_provider
def test_results_in_another_order_are_accepted(name: str, kind: str, tmp_path: Path) -> None:
    provider = PROVIDERS[name]
    refused: list[str] = []
    with (
        LoopbackServer([scripted(provider, refused)]) as server,
        talking_to(kind, provider, server.url, recordings=tmp_path) as talker,
    ):
        answers = loop(talker, "stream", backwards=True)
    assert (refused, len(answers)) == ([], 4)


@WAYS
@pytest.mark.parametrize("first", PROVIDERS)
def test_a_conversation_may_go_on_with_another_provider(
    first: str, way: str, tmp_path: Path
) -> None:
    """What one said is valid for each of the others, with the results in any order."""
    provider = PROVIDERS[first]
    messages: list[Any] = [{"role": "user", "content": QUESTIONS[0]}]
    with (
        LoopbackServer([scripted(_heedless(provider), [])]) as server,
        talking_to("sync", provider, server.url, recordings=tmp_path) as talker,
    ):
        for _ in range(3):
            answer = ask(talker, way, messages)
            messages.append(answer.to_message())
            messages += [
                {"role": "tool", "tool_call_id": call.id, "content": "Sunny."}
                for call in reversed(answer.tool_calls)
            ]
    messages.append({"role": "user", "content": QUESTIONS[1]})
    for name, other in PROVIDERS.items():
        body = other.vessel("http://h").request(chat_request("m", messages, tools=[TOOL])).body
        assert body is not None
        assert (name, other.check(body)) == (name, None)


@KINDS
@WAYS
@every_provider
def test_a_conversation_goes_on_from_its_recording(
    name: str, way: str, kind: str, tmp_path: Path
) -> None:
    """Each request has what the recording says, and no memory of its own; so has any provider's."""
    provider = PROVIDERS[name]
    refused: list[str] = []
    recording = tmp_path / "chat.jsonl"
    with (
        LoopbackServer([scripted(provider, refused)]) as server,
        talking_to(kind, provider, server.url, recordings=tmp_path) as talker,
    ):
        more: list[Any] = [{"role": "user", "content": QUESTIONS[0]}]
        for turn in range(4):
            before = Recording(recording).messages() if turn else []
            answer = ask(talker, way, [*before, *more], session="chat")
            messages = Recording(recording).messages()
            assert messages[-1] == Message.model_validate(answer.to_message())
            assert [each.text for each in messages[:-1]] == [
                each["content"] if isinstance(each, dict) else each.text
                for each in [*before, *more]
            ]
            more = [
                {"role": "tool", "tool_call_id": call.id, "content": f"Sunny: {call.arguments}"}
                for call in answer.tool_calls
            ] or [{"role": "user", "content": QUESTIONS[1]}]
    assert (refused, answer.text) == ([], "Ahoy!")
    for each, other in PROVIDERS.items():
        chat = chat_request("m", [*messages, {"role": "user", "content": "?"}], tools=[TOOL])
        body = other.vessel("http://h").request(chat).body
        assert body is not None
        assert (each, other.check(body)) == (each, None)


def _heedless(provider: StrictProvider) -> StrictProvider:
    """The provider, which accepts everything."""
    return dataclasses.replace(provider, check=lambda _: None, wanted=lambda _: None)
