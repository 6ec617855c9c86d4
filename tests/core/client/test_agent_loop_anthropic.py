"""An agent's loop with a strict Messages API: `messages += [answer.to_message(), *results]`."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from anthropic_bodies import SIGNATURE, events_of, whole
from decoding import SSE
from loopback import Conversation, LoopbackServer
from strict_anthropic import check_anthropic
from talking import Talker, talking
from vesselog import Completion
from vesselog.vessels import Anthropic

Blocks = list[dict[str, Any]]

ANSWERS: list[Blocks] = [
    [
        {"type": "thinking", "thinking": "Tide and wind.", "signature": SIGNATURE},
        {"type": "text", "text": "Let me look."},
        {"type": "tool_use", "id": "toolu_1", "name": "tide", "input": {"port": "Bremen"}},
        {"type": "thinking", "thinking": "And the wind.", "signature": "S2"},
        {"type": "tool_use", "id": "toolu_2", "name": "wind", "input": {}},
    ],
    [
        {"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix"},
        {"type": "tool_use", "id": "toolu_3", "name": "tide", "input": {"n": 2**70}},
        {"type": "text", "text": "\n\n"},
        {"type": "tool_use", "id": "toolu_4", "name": "chart", "input": {"at": [1.5, None]}},
    ],
    [
        {"type": "thinking", "thinking": "Enough.", "signature": "S4"},
        {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "q"}},
        {"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": [{"e": "E" * 4000}]},
        {"type": "text", "text": "Sail at", "citations": [{"url": "http://a", "index": "I"}]},
    ],
    [{"type": "text", "text": "Yes."}],
]
REASONS = ["tool_use", "tool_use", "end_turn", "end_turn"]
TOOLS = [{"type": "function", "function": {"name": each}} for each in ("tide", "wind", "chart")]


def strict(answers: list[Blocks], reasons: list[str]) -> list[Callable[[Conversation], None]]:
    """Scripts that give one answer after the other, if the request is what the API takes."""

    def script(number: int) -> Callable[[Conversation], None]:
        def reply(conversation: Conversation) -> None:
            body = conversation.request.json
            came = [[b for b in each if b.get("text", "x").strip()] for each in answers[:number]]
            if problem := check_anthropic(body, came):
                error = {"type": "invalid_request_error", "message": problem}
                conversation.whole(json.dumps({"type": "error", "error": error}).encode(), 400)
            elif body["stream"]:
                conversation.stream(events_of(answers[number], reasons[number]), SSE)
            else:
                conversation.whole(whole(answers[number], reasons[number]))

        return reply

    return [script(number) for number in range(len(answers))]


def asked(talker: Talker, messages: list[Any], *, stream: bool, think: bool) -> Completion:
    fields: dict[str, Any] = {"tools": TOOLS, "max_tokens": 500}
    if think:
        fields["think"] = True
    if not stream:
        return talker.complete("anthropic/m", messages, **fields)
    heard = talker.hear("anthropic/m", messages, **fields)
    assert heard.error is None, heard.error
    return heard.stream.completion


def loop(talker: Talker, *, stream: bool) -> tuple[list[Any], list[Completion]]:
    """The conversation, and its answers: three turns of one question, and one more question."""
    messages: list[Any] = [{"role": "user", "content": "When shall we sail?"}]
    answers: list[Completion] = []
    for question in (None, "Sure?"):
        if question is not None:
            messages.append({"role": "user", "content": question})
        while True:
            answer = asked(talker, messages, stream=stream, think=True)
            answers.append(answer)
            messages.append(answer.to_message())
            if answer.finish_reason != "tool_calls":
                break
            for call in answer.tool_calls:
                image = {
                    "type": "image_url",
                    "image_url": {"url": "data:image/png;base64,iVBORw=="},
                }
                chart = [{"type": "text", "text": "chart"}, image]
                content = chart if call.name == "chart" else f"{call.name} of {call.arguments}"
                result = {"role": "tool", "tool_call_id": call.id, "content": content}
                messages.append({**result, "is_error": True} if call.name == "wind" else result)
    return messages, answers


def client(kind: str, url: str, **settings: Any) -> Any:
    return talking(kind, vessels={"anthropic": Anthropic(base_url=url)}, **settings)


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_three_turns_with_parallel_calls_and_thinking(kind: str, *, stream: bool) -> None:
    with (
        LoopbackServer(strict(ANSWERS, REASONS)) as server,
        client(kind, server.url, recordings="recorded") as talker,
    ):
        messages, answers = loop(talker, stream=stream)
    assert [answer.finish_reason for answer in answers] == [
        "tool_calls",
        "tool_calls",
        "stop",
        "stop",
    ]
    assert [answer.native for answer in answers] == [
        {"role": "assistant", "content": each} for each in ANSWERS
    ]
    last = server.requests[-1].json["messages"]
    results = [message for message in last if message["role"] == "user"][1]["content"]
    assert [(each["tool_use_id"], each.get("is_error")) for each in results] == [
        ("toolu_1", None),
        ("toolu_2", True),
    ]
    # From the recordings, the same loop goes the same way, and nothing is sent.
    with client(kind, "http://127.0.0.1:9", replay="recorded") as talker:
        again, replayed = loop(talker, stream=stream)
    assert again == messages
    assert [answer.native for answer in replayed] == [answer.native for answer in answers]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_turn_that_paused_goes_on_when_it_is_sent_back(kind: str) -> None:
    search = {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"q": "x"}}
    found = {
        "type": "web_search_tool_result",
        "tool_use_id": "srv_1",
        "content": [{"e": "E" * 4000}],
    }
    answers: list[Blocks] = [[search, found], [{"type": "text", "text": "Sail."}]]
    with (
        LoopbackServer(strict(answers, ["pause_turn", "end_turn"])) as server,
        client(kind, server.url, recordings=None) as talker,
    ):
        messages: list[Any] = [{"role": "user", "content": "When?"}]
        paused = asked(talker, messages, stream=True, think=False)
        messages.append(paused.to_message())
        answer = asked(talker, messages, stream=True, think=False)
    assert (paused.finish_reason, paused.raw_finish_reason) == ("other", "pause_turn")
    assert answer.text == "Sail."
    assert server.requests[-1].json["messages"][-1]["content"] == [search, found]


def bodies() -> dict[str, Any]:
    """What the strict server refuses: each is the good request, spoilt in one way."""
    first = ANSWERS[0]
    results = [
        {"type": "tool_result", "tool_use_id": each, "content": "x"}
        for each in ("toolu_1", "toolu_2")
    ]
    good: dict[str, Any] = {
        "thinking": {"type": "adaptive"},
        "messages": [
            {"role": "user", "content": "?"},
            {"role": "assistant", "content": first},
            {"role": "user", "content": results},
        ],
    }
    spoilt: dict[str, Callable[[list[Any]], Any]] = {
        "good": lambda messages: None,
        "missing signature": lambda messages: messages[1]["content"][0].pop("signature"),
        "changed signature": lambda messages: messages[1]["content"][0].update(signature="S"),
        "changed order": lambda messages: messages[1]["content"].insert(
            0, messages[1]["content"].pop(2)
        ),
        "missing thinking": lambda messages: messages[1]["content"].pop(3),
        "unknown id": lambda messages: messages[2]["content"][0].update(tool_use_id="x"),
        "missing result": lambda messages: messages[2]["content"].pop(),
        "duplicate id": lambda messages: messages.extend(deepcopy(messages[1:])),
        "bad id": lambda messages: messages[1]["content"][2].update(id="a.b:c"),
        "empty content": lambda messages: messages.append({"role": "user", "content": ""}),
        "empty text": lambda messages: messages[1]["content"][1].update(text=" "),
        "unknown key": lambda messages: messages[1].update(native={}),
        "unknown key in a block": lambda messages: messages[1]["content"][2].update(index=0),
        "input as text": lambda messages: messages[1]["content"][2].update(input="{}"),
    }
    made: dict[str, Any] = {}
    for name, spoil in spoilt.items():
        made[name] = deepcopy(good)
        spoil(made[name]["messages"])
    return made


@pytest.mark.parametrize("name", bodies())
def test_what_the_strict_server_refuses(name: str) -> None:
    problem = check_anthropic(bodies()[name], [ANSWERS[0]])
    assert (problem is None) == (name == "good"), problem
