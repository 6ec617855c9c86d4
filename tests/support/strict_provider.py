"""Model servers for an agent loop, which refuse with 400 what their provider would refuse.

A `StrictProvider` is data and pure functions: the messages that it answers with, one per turn, how
they are sent, what is wrong with a request (`check`), and what it wants back of its own messages
(`wanted`). To add a dialect, write these functions, as strict_openai.py does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from loopback import Conversation, Request, Script
from vesselog.vessels import Vessel

__all__ = ["QUESTIONS", "TOOL", "Body", "Check", "StrictProvider", "said_in", "scripted"]

TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
QUESTIONS = ("Where is the better weather?", "Thanks!")

Body = Mapping[str, Any]
Check = Callable[[Body], str | None]


def said_in(body: Body) -> list[Any]:
    """The assistant's messages of a request that has them under `messages`."""
    return [message for message in body["messages"] if message["role"] == "assistant"]


@dataclass(frozen=True)
class StrictProvider:
    """A provider with its answers.

    vessel: the vessel for a server at this URL. turns: the assistant's messages in the provider's
    own form: two calls at once, two more, a text, and a text to the second question. check: what is
    wrong with a request, of whichever conversation. said: the assistant's messages in a request.
    wanted: what of such a message must be as it was told. whole and frames: an answer's body, in
    one piece and streamed. streams: whether a request asks for a stream.
    """

    vessel: Callable[[str], Vessel]
    turns: tuple[Any, ...]
    check: Check
    wanted: Callable[[Any], Any]
    whole: Callable[[Any], bytes]
    frames: Callable[[Any], list[bytes]]
    said: Callable[[Body], list[Any]] = said_in
    streams: Callable[[Request], bool] = lambda request: bool(request.json.get("stream"))
    content_type: str = "text/event-stream"

    def refusal(self, body: Body) -> str | None:
        """Why the server answers 400, None if it does not."""
        if wrong := self.check(body):
            return wrong
        for said, told in zip(self.said(body), self.turns, strict=False):
            if self.wanted(said) != self.wanted(told):
                return f"must be passed back: {self.wanted(told)!r}"
        return None


def scripted(provider: StrictProvider, refused: list[str]) -> Script:
    """The server's side of a conversation; what it refuses is added to `refused`."""

    def answer(conversation: Conversation) -> None:
        body = conversation.request.json
        turn = len(provider.said(body))
        wrong = provider.refusal(body)
        if wrong is not None:
            refused.append(wrong)
            conversation.whole(json.dumps({"error": {"message": wrong}}).encode(), 400)
        elif provider.streams(conversation.request):
            conversation.stream(provider.frames(provider.turns[turn]), provider.content_type)
        else:
            conversation.whole(provider.whole(provider.turns[turn]))

    return answer
