"""What the server of the fault tests produces: for each prompt its own, the same every time."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from loopback import Conversation, Script, ollama_lines

__all__ = ["line", "producing", "producing_lines"]


def line(prompt: str, number: int, size: int | None = None) -> bytes:
    """A line of the answer; if it is not said how long, most are short, some longer than a page."""
    if size is None:
        chance = random.Random(f"{prompt} {number}")
        size = 9000 if chance.random() < 0.1 else chance.randrange(200)
    return ollama_lines(f"{number} {'x' * size}")[0]


def producing_lines(frames: int, size: int | None = None) -> Callable[[str], Iterator[bytes]]:
    """Gives the lines of a whole answer to a prompt: so many, and the last word."""

    def produce(prompt: str) -> Iterator[bytes]:
        for number in range(frames):
            yield line(prompt, number, size)
        yield ollama_lines()[-1]

    return produce


def producing(frames: int) -> Script:
    """A script that answers each prompt with what it produces for it."""

    def script(conversation: Conversation) -> None:
        prompt = conversation.request.json["messages"][-1]["content"]
        conversation.stream(producing_lines(frames)(prompt))

    return script
