"""Bodies of all dialects, their texts marked, and what networks, gateways and bugs make of them.

Each text in a body gets a mark of its own (⟦7⟧), so that after any mutation it can be told whether
a text that is in the body came out of it.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import corpus
from house import ROOT
from vesselog.core.vessel import Vessel, WireRequest
from vesselog.testing.bodies import Body, bodies_in
from vesselog.testing.running import run
from vesselog.vessels import Anthropic, Gemini, Ollama, OpenAI, OpenAIResponses

__all__ = ["MARK", "VESSELS", "WORDS", "Seed", "mutated", "seeds"]

VESSELS: dict[str, Vessel] = {
    "anthropic": Anthropic(max_tokens=1),
    "gemini": Gemini(),
    "ollama": Ollama(),
    "openai": OpenAI(),
    "openai-responses": OpenAIResponses(),
}
MARK = re.compile("⟦[0-9]+⟧")

# Where texts are, in all dialects.
_TEXTS = {
    *("arguments", "content", "delta", "partial_json", "reasoning", "reasoning_content", "refusal"),
    *("response", "text", "thinking"),
}
WORDS = sorted(
    {
        *_TEXTS,
        *(
            "args",
            "candidates",
            "choices",
            "data",
            "delta",
            "done",
            "done_reason",
            "error",
            "event",
        ),
        *("finishReason", "finish_reason", "function", "functionCall", "function_call", "id"),
        *("index", "logprobs", "message", "model", "name", "object", "parts", "role", "thought"),
        *("stop", "tool_calls", "tool_use", "type", "usage", "usageMetadata", "x_groq"),
        *("content_block", "content_block_delta", "content_block_start", "message_delta"),
        *("message_start", "message_stop", "text_delta", "input_json_delta", "chat.completion"),
        *("chat.completion.chunk", "reasoning_details", "parse_special", "created", "STOP"),
    }
)


@dataclass(frozen=True)
class Seed:
    """A body to be mutated."""

    name: str
    dialect: str
    frames: tuple[bytes, ...]
    content_type: str
    stream: bool


@cache
def seeds() -> list[Seed]:
    """The bodies of tests/bodies, the shipped recordings, and a sample of captured ones."""
    found = [
        _seed(path.name, body)
        for path in sorted((ROOT / "tests/bodies").iterdir())
        for body in bodies_in(path)
        if body.status == 200
    ]
    for path in sorted((ROOT / "recordings/samples").iterdir()):
        found += [_seed(_dialect(body), body) for body in bodies_in(path)]
    for name in random.Random(7).sample(sorted(corpus.WIRE), min(60, len(corpus.WIRE))):
        body = corpus.wire_body(name)
        if body.status == 200:
            plain = Body(name, body.content, content_type=body.content_type, stream=body.stream)
            found.append(_seed(body.dialect, plain))
    return found


def _dialect(body: Body) -> str:
    assert body.request is not None
    return "ollama" if "/api/" in body.request.url else "openai"


def _seed(dialect: str, body: Body) -> Seed:
    request = WireRequest("http://x", {"model": "m"}, stream=body.stream)
    frames = run(VESSELS[dialect], request, body).frames
    # The beginning, the middle is alike, and the end.
    kept = frames if len(frames) <= 16 else [*frames[:8], *frames[-8:]]
    marked = tuple(_marked(raw, number * 100) for number, raw in enumerate(kept))
    return Seed(body.name, dialect, marked, body.content_type, body.stream)


def _marked(raw: bytes, first: int) -> bytes:
    value, before, behind = _payload(raw)
    if value is None:
        return raw
    marks: dict[str, str] = {}

    def mark(place: Any) -> Any:
        if isinstance(place, list):
            return [mark(each) for each in place]
        if not isinstance(place, dict):
            return place
        made: dict[str, Any] = {}
        for key, each in place.items():
            if key in _TEXTS and isinstance(each, str) and each:
                # The same text under two names is one text.
                made[key] = each + marks.setdefault(each, f"⟦{first + len(marks)}⟧")
            else:
                made[key] = mark(each)
        return made

    return before + _dumped(mark(value)) + behind


def _payload(raw: bytes) -> tuple[Any, bytes, bytes]:
    """The JSON object in a frame, and what stands around it; None if there is none."""
    start, end = raw.find(b"{"), raw.rfind(b"}") + 1
    try:
        value = json.loads(raw[start:end])
    except ValueError:
        return None, raw, b""
    return value, raw[:start], raw[end:]


def _dumped(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def mutated(seed: Seed, chance: random.Random, times: int) -> list[bytes]:
    """The seed's frames after some mutations."""
    frames = list(seed.frames)
    for _ in range(times):
        if not frames:
            break
        chance.choice(_MUTATIONS)(frames, chance)
    return frames


def _duplicate(frames: list[bytes], chance: random.Random) -> None:
    frames.insert(chance.randint(0, len(frames)), chance.choice(frames))


def _drop(frames: list[bytes], chance: random.Random) -> None:
    del frames[chance.randrange(len(frames))]


def _swap(frames: list[bytes], chance: random.Random) -> None:
    one, other = (chance.randrange(len(frames)) for _ in range(2))
    frames[one], frames[other] = frames[other], frames[one]


def _cut(frames: list[bytes], chance: random.Random) -> None:
    """A frame loses its end, and so its line end, or its beginning."""
    number = chance.randrange(len(frames))
    at = chance.randint(0, len(frames[number]))
    frames[number] = frames[number][:at] if chance.random() < 0.7 else frames[number][at:]


def _glue(frames: list[bytes], chance: random.Random) -> None:
    number = chance.randrange(len(frames))
    frames[number] = frames[number].rstrip(b"\r\n") + chance.choice([b"", b"\n", b" "])


def _change_a_field(frames: list[bytes], chance: random.Random) -> None:
    number = chance.randrange(len(frames))
    value, before, behind = _payload(frames[number])
    places = list(_places(value))
    if not places:
        return
    holder, key = chance.choice(places)
    old = holder[key]
    change = chance.randrange(10)
    if change == 0:
        del holder[key]
    elif change == 1 and isinstance(holder, dict):
        # A text under a name that no dialect has is none that could be heard.
        holder[f"{key}_x"] = _unmarked(holder.pop(key))
    elif change == 2 and isinstance(holder, dict):
        holder[chance.choice(WORDS)] = _unmarked(holder.pop(key))
    else:
        holder[key] = [
            *(None, 7, -1.5, True, "", "⟦no⟧"),
            *([old], {"inner": old if isinstance(old, str) else _unmarked(old)}, json.dumps(old)),
            *([], {}, [None, old, old]),
        ][chance.randrange(12)]
    frames[number] = before + _dumped(value) + behind


def _unmarked(value: Any) -> Any:
    return json.loads(MARK.sub("", json.dumps(value, ensure_ascii=False)))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    keys = (
        list(value)
        if isinstance(value, dict)
        else range(len(value))
        if isinstance(value, list)
        else []
    )
    for key in keys:
        yield value, key
        yield from _places(value[key])


def _change_a_byte(frames: list[bytes], chance: random.Random) -> None:
    number = chance.randrange(len(frames))
    raw = bytearray(frames[number])
    if raw:
        at = chance.randrange(len(raw))
        raw[at : at + chance.randint(0, 2)] = chance.choice(
            [b"", b"\xff", b"\n", b'"', b"\\", b"}"]
        )
    frames[number] = bytes(raw)
    value, before, behind = _payload(frames[number])
    if value is not None:
        # Still an object, and perhaps one with another name in it.
        frames[number] = before + _dumped(_unmarked(value)) + behind


_MUTATIONS = [
    *(_duplicate, _drop, _swap, _cut, _glue, _change_a_byte),
    *([_change_a_field] * 6),
]
