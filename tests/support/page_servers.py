"""The servers that the code on the pages asks."""

from __future__ import annotations

import json
from typing import Any

from loopback import Conversation
from pages import ROOT, blocks

__all__ = ["anthropic", "harbour", "model"]


def model(conversation: Conversation) -> None:
    """Answer every request that the pages make."""
    asked = conversation.request.json if conversation.request.body else {}
    if conversation.request.path == "/v1/messages":
        anthropic(conversation, asked)
    elif conversation.request.method == "GET":
        conversation.whole(b'{"models": [{"name": "qwen3:1.7b"}], "data": []}')
    elif "for ever" in json.dumps(asked):
        conversation.begin()
        for frame in conversation.frames("One, ", "two, ")[:-1]:
            conversation.chunk(frame)
        conversation.wait_for_hangup()
    elif "format" in asked:
        conversation.answer('{"name": "Rostock", "ships": 3}')
    elif "tools" in asked and asked["tools"][0]["type"] == "custom":
        custom = {"name": "sql", "input": "SELECT count(*) FROM ships"}
        call = {"id": "call_1", "type": "custom", "custom": custom}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
        conversation.whole(json.dumps({"id": "c-1", "choices": [choice]}).encode())
    elif "tools" in asked and asked["messages"][-1]["role"] != "tool":
        cities = [city for city in ("Zürich", "Bremen") if city in asked["messages"][0]["content"]]
        functions = [{"name": "get_weather", "arguments": {"city": city}} for city in cities]
        calls = [{"function": function} for function in functions]
        message = {"role": "assistant", "content": "", "tool_calls": calls}
        answer = {"model": "m", "message": message, "done": True, "done_reason": "stop"}
        conversation.whole(json.dumps(answer).encode())
    else:
        conversation.answer("Scattered ", "light.")


def anthropic(conversation: Conversation, asked: dict[str, Any]) -> None:
    """Think and call a tool; then answer, if the thinking came back as it was sent."""
    thinking = {"type": "thinking", "thinking": "The tide decides.", "signature": "c2lnbmVk"}
    call = {"type": "tool_use", "id": "toolu_1", "name": "get_tide", "input": {}}
    content: list[dict[str, Any]] = [thinking, call]
    if len(asked["messages"]) > 1:
        assert asked["messages"][1]["content"] == content
        (result,) = asked["messages"][2]["content"]
        assert result["tool_use_id"] == "toolu_1"
        content = [{"type": "text", "text": "You may leave at 6:40."}]
    reason = "tool_use" if call in content else "end_turn"
    usage = {"input_tokens": 20, "output_tokens": 9}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": asked["model"]}
    answer = {**message, "content": content, "stop_reason": reason, "usage": usage}
    conversation.whole(json.dumps(answer).encode())


def harbour(conversation: Conversation) -> None:
    """A server of the made-up provider."""
    sent = json.loads(conversation.request.body)
    assert conversation.request.path == "/v1/speak"
    assert sent["messages"] == [{"from": "user", "text": "Ahoy?"}]
    conversation.head(content_type="text/event-stream")
    for event in (
        blocks("text", pages=[ROOT / "docs/writing-a-vessel.md"])[0]
        .code.split("\n", 1)[1]
        .split("\n\n")[:3]
    ):
        conversation.chunk(f"{event}\n\n".encode())
    conversation.end()
