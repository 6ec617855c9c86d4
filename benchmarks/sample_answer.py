"""What is streamed: frames as OpenAI and Ollama send them, rendered before anything is timed.

Texts are words of a seeded choice. A frame can hold a stamp, the time at which it was sent, as the
first word of its text: 19 digits, so that it can be written in place.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

__all__ = ["MODEL", "STAMP_DIGITS", "Dialect", "SampleAnswer", "sample_answer"]

Dialect = Literal["openai", "ollama"]

MODEL = "benchmark"
STAMP_DIGITS = 19
_WORDS = ("The", " sky", " is", " blue", " because", " light", " scatters", ",", " 日", " so", ".")
_ID = "chatcmpl-CkZ7v0qPkU2rXn5JmTtq8hB1LwYdE"


@dataclass(frozen=True)
class SampleAnswer:
    """One answer. pieces: the frames with text; texts: that text; payloads: the JSON of all frames.

    opening, closing: the frames before and after the pieces (the role, the finish, usage, the
    dialect's terminator). stamped: a frame whose text begins with a stamp of zeros, at `stamp_at`.
    """

    content_type: str
    opening: tuple[bytes, ...]
    pieces: tuple[bytes, ...]
    closing: tuple[bytes, ...]
    payloads: tuple[bytes, ...]
    texts: tuple[str, ...]
    stamped: bytes
    stamp_at: int

    @property
    def frames(self) -> tuple[bytes, ...]:
        """The whole answer."""
        return self.opening + self.pieces + self.closing


def sample_answer(dialect: Dialect, pieces: int) -> SampleAnswer:
    """An answer of so many pieces of text."""
    choose = random.Random(20261121)
    words = [choose.choice(_WORDS) for _ in range(pieces)]
    return _openai(words) if dialect == "openai" else _ollama(words)


def _openai(words: list[str]) -> SampleAnswer:
    def chunk(choices: str, rest: str = "") -> str:
        return (
            f'{{"id":"{_ID}","object":"chat.completion.chunk","created":1763700000,'
            f'"model":"{MODEL}","service_tier":"default","system_fingerprint":"fp_9a1b2c3d4e",'
            f'"choices":[{choices}],"obfuscation":"Zx81kQpW"{rest}}}'
        )

    def piece(text: str) -> str:
        return chunk(
            f'{{"index":0,"delta":{{"content":"{text}"}},"logprobs":null,"finish_reason":null}}'
        )

    def event(payload: str) -> bytes:
        return f"data: {payload}\n\n".encode()

    role = '{"role":"assistant","content":"","refusal":null}'
    opening = [chunk(f'{{"index":0,"delta":{role},"logprobs":null,"finish_reason":null}}')]
    usage = (
        f'{{"prompt_tokens":9,"completion_tokens":{len(words)},"total_tokens":{len(words) + 9}}}'
    )
    closing = [
        chunk('{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}'),
        chunk("", f',"usage":{usage}'),
    ]
    texts = [piece(word) for word in words]
    stamped = event(piece("0" * STAMP_DIGITS + " light"))
    return SampleAnswer(
        content_type="text/event-stream",
        opening=tuple(map(event, opening)),
        pieces=tuple(map(event, texts)),
        closing=(*map(event, closing), b"data: [DONE]\n\n"),
        payloads=tuple(text.encode() for text in opening + texts + closing),
        texts=tuple(words),
        stamped=stamped,
        stamp_at=stamped.index(b"0" * STAMP_DIGITS),
    )


def _ollama(words: list[str]) -> SampleAnswer:
    def line(text: str, rest: str = '"done":false') -> str:
        return (
            f'{{"model":"{MODEL}","created_at":"2026-11-21T07:17:00.123456789Z",'
            f'"message":{{"role":"assistant","content":"{text}"}},{rest}}}'
        )

    texts = [line(word) for word in words]
    end = line(
        "",
        '"done_reason":"stop","done":true,"total_duration":2150000000,"load_duration":41000000,'
        '"prompt_eval_count":9,"prompt_eval_duration":52000000,'
        f'"eval_count":{len(words)},"eval_duration":2050000000',
    )
    stamped = line("0" * STAMP_DIGITS + " light").encode() + b"\n"
    return SampleAnswer(
        content_type="application/x-ndjson",
        opening=(),
        pieces=tuple(text.encode() + b"\n" for text in texts),
        closing=(end.encode() + b"\n",),
        payloads=tuple(text.encode() for text in [*texts, end]),
        texts=tuple(words),
        stamped=stamped,
        stamp_at=stamped.index(b"0" * STAMP_DIGITS),
    )
