"""Answers of about 1 MB that are one frame, or very many tiny ones, of every kind that costs time.

Each is made of small pieces that are repeated until the size is reached.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, NamedTuple

__all__ = ["ANSWERS", "MEGABYTE", "Answer", "plain_text"]

MEGABYTE = 1_000_000

_EVENTS, _LINES, _WHOLE = "text/event-stream", "application/x-ndjson", "application/json"
_MARK = "@"


class Answer(NamedTuple):
    """body: the answer of so many bytes. stream: whether the client asked for a stream.

    key: the vessel's key, which is masked. split_think: as in a request.
    """

    dialect: str
    content_type: str
    body: Callable[[int], bytes]
    stream: bool = True
    key: str | None = None
    split_think: bool = False


ANSWERS: dict[str, Answer] = {}

Items = Callable[[], Iterator[str]]


def fill(items: Iterator[str], size: int, separator: str = ",") -> str:
    """These texts one after the other, as many as fit."""
    made: list[str] = []
    for item in items:
        size -= len(item) + len(separator)
        if size < 0 and made:
            break
        made.append(item)
    return separator.join(made)


def plain_text(dialect: str, size: int) -> bytes:
    """The frame of one long text, to compare the others with."""
    return ANSWERS[f"{dialect}-plain-text"].body(size)


def same(item: Any) -> Items:
    """The same text or JSON value again and again."""
    text = item if isinstance(item, str) else _json(item)

    def items() -> Iterator[str]:
        while True:
            yield text

    return items


def numbered(make: Callable[[int], Any]) -> Items:
    """Texts or JSON values made of their number."""

    def items() -> Iterator[str]:
        for number in count():
            value = make(number)
            yield value if isinstance(value, str) else _json(value)

    return items


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _add(dialect: str, name: str, around: Any, items: Items, separator: str, **more: Any) -> None:
    """Answers with the items at the mark in `around`: streamed, and as a whole body."""
    before, after = (around if isinstance(around, str) else _json(around)).split(f'"{_MARK}"')

    def body(size: int, prefix: str, end: str) -> bytes:
        inner = fill(items(), size - len(before) - len(after) - 10, separator)
        return f"{prefix}{before}{inner}{after}{end}".encode()

    prefix, end, kind = ("", "\n", _LINES) if dialect == "ollama" else ("data: ", "\n\n", _EVENTS)
    ANSWERS[f"{dialect}-{name}"] = Answer(
        dialect, kind, lambda size: body(size, prefix, end), **more
    )
    ANSWERS[f"{dialect}-{name}-whole"] = Answer(
        dialect, _WHOLE, lambda size: body(size, "", ""), stream=False, **more
    )


def _listed(dialect: str, name: str, around: Any, items: Items, **more: Any) -> None:
    _add(dialect, name, _json(around).replace(f'"{_MARK}"', f'["{_MARK}"]'), items, ",", **more)


def _keyed(dialect: str, name: str, around: Any, items: Items) -> None:
    _add(dialect, name, _json(around).replace(f'"{_MARK}"', '{"' + _MARK + '"}'), items, ",")


def _spelled(dialect: str, name: str, around: Any, text: str, **more: Any) -> None:
    quoted = _json(around).replace(f'"{_MARK}"', f'""{_MARK}""')
    _add(dialect, name, quoted, same(text), "", **more)


def _raw(dialect: str, name: str, text: str | bytes, last: bytes = b"") -> None:
    piece = text if isinstance(text, bytes) else text.encode()
    kind = _LINES if dialect == "ollama" else _EVENTS
    ANSWERS[f"{dialect}-{name}"] = Answer(
        dialect, kind, lambda size: piece * (size // len(piece)) + last
    )


def _openai(choice: Any) -> Any:
    return {"id": "c", "choices": [{"index": 0, **choice}]}


def _openai_delta(delta: Any, place: str) -> Any:
    return _openai({place: {"role": "assistant", **delta}, "finish_reason": "stop"})


# Where a dialect has its text, and where a value that it does not know may stand.
_TEXT: dict[str, Any] = {
    "openai": _openai_delta({"content": _MARK}, "delta"),
    "azure": _openai_delta({"content": _MARK}, "delta"),
    "anthropic": {
        "type": "message",
        "content": [{"type": "text", "text": _MARK}],
        "stop_reason": "end_turn",
    },
    "gemini": {"candidates": [{"content": {"parts": [{"text": _MARK}]}, "finishReason": "STOP"}]},
    "ollama": {"message": {"content": _MARK}, "done": True},
}
_TOKEN = {
    "token": " cat",
    "logprob": -0.12345678,
    "bytes": [32, 99, 97, 116],
}
_VALUES: dict[str, Items] = {
    "numbers": same("0"),
    "numbers-with-a-fraction": same("-1.2345678"),
    "empty-objects": same("{}"),
    "empty-lists": same("[]"),
    "nulls": same("null"),
    "strings": same('"a"'),
    "objects-of-one-key": numbered(lambda each: {f"k{each}": each}),
    "not-a-number": same("NaN"),
    "infinite-numbers": same("1e999"),
    "integers-over-64-bits": same("9" * 30),
    "long-integers-beside-nan": same("9" * 4000 + ",NaN"),
}

for _dialect, _around in _TEXT.items():
    _spelled(_dialect, "plain-text", _around, "abcdefgh")
    _spelled(_dialect, "text-in-many-scripts", _around, "äß漢字🙂")
    _spelled(_dialect, "escapes", _around, "\\n")
    _spelled(_dialect, "escaped-characters", _around, "\\u00e9")
    _spelled(_dialect, "escaped-pairs", _around, "\\ud83d\\ude00")
    _spelled(_dialect, "lone-surrogates", _around, "\\ud83da")
    _spelled(_dialect, "lone-surrogates-in-a-row", _around, "\\ud83d")
    _spelled(
        _dialect, "key-again-and-again", _around, "sk-0123456789abcdef ", key="sk-0123456789abcdef"
    )
    _spelled(_dialect, "key-nearly", _around, "0123456789abcdeg ", key="sk-0123456789abcdeg-0")
    _spelled(_dialect, "think-tags", _around, "<think>a</think>b", split_think=True)
    _spelled(_dialect, "think-tags-that-nearly-end", _around, "<think></thin", split_think=True)
    for _name, _items in _VALUES.items():
        _beside = {**_json_around} if isinstance(_json_around := dict(_around), dict) else {}
        _filled = json.loads(_json(_beside).replace(f'"{_MARK}"', '"a"'))
        _listed(_dialect, f"unknown-{_name}", {**_filled, "x": _MARK}, _items)
    _keyed(
        _dialect, "unknown-object", {**_filled, "x": _MARK}, numbered(lambda each: f'"k{each}":1')
    )
    _nested = {**_filled, "x": _MARK}
    ANSWERS[f"{_dialect}-deep-lists"] = Answer(
        _dialect,
        _WHOLE,
        lambda size, around=_json(_nested): around.replace(
            f'"{_MARK}"', "[" * (size // 2) + "]" * (size // 2)
        ).encode(),
        stream=False,
    )
    ANSWERS[f"{_dialect}-deep-objects"] = Answer(
        _dialect,
        _WHOLE,
        lambda size, around=_json(_nested): around.replace(
            f'"{_MARK}"', '{"a":' * (size // 6) + "1" + "}" * (size // 6)
        ).encode(),
        stream=False,
    )
    ANSWERS[f"{_dialect}-one-integer"] = Answer(
        _dialect,
        _WHOLE,
        lambda size, around=_json(_nested): around.replace(f'"{_MARK}"', "9" * size).encode(),
        stream=False,
    )
    ANSWERS[f"{_dialect}-one-integer-beside-nan"] = Answer(
        _dialect,
        _WHOLE,
        lambda size, around=_json(_nested): around.replace(
            f'"{_MARK}"', "[NaN," + "9" * size + "]"
        ).encode(),
        stream=False,
    )
    _keyed_top = _json(_filled)[:-1] + f',"{_MARK}"' + "}"
    _add(_dialect, "unknown-keys", _keyed_top, numbered(lambda each: f'"k{each}":1'), ",")
    _add(
        _dialect, "unknown-keys-of-lists", _keyed_top, numbered(lambda each: f'"k{each}":[1]'), ","
    )
    _end = "\n" if _dialect == "ollama" else "\n\n"
    _prefix = "" if _dialect == "ollama" else "data: "
    _small = _json(_filled)
    _raw(_dialect, "values-in-one-frame", _small)
    _raw(_dialect, "lists-in-one-frame", f"{_prefix}[]")
    _raw(_dialect, "small-frames", f"{_prefix}{_small}{_end}")
    _raw(_dialect, "empty-objects-in-frames", f"{_prefix}{{}}{_end}")
    _raw(_dialect, "empty-lines", "\n")
    _raw(_dialect, "invalid-utf-8", b"\xff")
    _raw(_dialect, "invalid-utf-8-in-frames", _prefix.encode() + b'"\xff"' + _end.encode())
    _raw(_dialect, "white-space", " ")
    if _dialect != "ollama":
        _last = f"data: {_small}\n\n".encode()
        _raw(_dialect, "comments", ":\n\n", _last)
        _raw(_dialect, "comments-in-one-frame", ":\n", _last)
        _raw(_dialect, "event-names", "event: a\n", _last)
        _raw(_dialect, "event-names-in-frames", "event: a\n\n", _last)
        _raw(_dialect, "identifiers", "id: 1\n", _last)
        _raw(_dialect, "data-lines", "data: 1\n", b"\n")
        _raw(_dialect, "empty-data", "data:\n\n", _last)
        _raw(_dialect, "empty-data-lines", "data\n", b"\n")
        _raw(_dialect, "carriage-returns", "\r", _last)
        _raw(_dialect, "no-field", "x\n", _last)
        _raw(_dialect, "error-field", "error: 1\n", b"\n")
        _raw(_dialect, "numbers-in-frames", "data: 1\n\n", _last)


def _call(number: int, **function: Any) -> dict[str, Any]:
    return {"index": number, "id": f"c{number}", "function": {"name": "f", **function}}


for _dialect in ("openai", "azure"):
    _choices = {"id": "c", "choices": _MARK}
    for _place in ("delta", "message"):
        for _name, _items in {
            "choices": numbered(
                lambda each, place=_place: {"index": each, place: {"content": "a"}}
            ),
            "choices-that-finish": numbered(
                lambda each, place=_place: {
                    "index": each,
                    place: {"role": "assistant", "content": "a"},
                    "finish_reason": "stop",
                }
            ),
            "choices-of-one-index": same({"index": 0, _place: {"content": "a"}}),
            "choices-with-calls": numbered(
                lambda each, place=_place: {
                    "index": each,
                    place: {"tool_calls": [_call(0, arguments="{}")]},
                }
            ),
            "choices-with-fields": numbered(
                lambda each, place=_place: {"index": each, place: {"x": 1}}
            ),
            "choices-without-index": same({_place: {"content": "a"}}),
        }.items():
            _listed(_dialect, f"{_name}-in-{_place}", _choices, _items)
        for _name, _items in {
            "calls": numbered(lambda each: _call(each, arguments="{}")),
            "calls-with-objects": numbered(lambda each: _call(each, arguments={"a": 1})),
            "calls-of-one-index": numbered(
                lambda each: {**_call(each, arguments="{}"), "index": 0}
            ),
            "calls-without-index": same({"function": {"name": "f", "arguments": "{}"}}),
            "calls-by-index": numbered(lambda each: {"index": each, "id": "a"}),
            "pieces-of-one-call": same({"index": 0, "function": {"arguments": "1"}}),
            "names-of-one-call": same({"index": 0, "function": {"name": "f"}}),
            "ids-of-one-call": same({"index": 0, "id": "f"}),
            "empty-calls": same({}),
            "calls-of-an-index-alone": numbered(lambda each: {"index": each}),
        }.items():
            _listed(
                _dialect,
                f"{_name}-in-{_place}",
                _openai_delta({"tool_calls": _MARK}, _place),
                _items,
            )
    _delta = {"content": "a"}
    _listed(_dialect, "empty-choices", _choices, same({}))
    _listed(_dialect, "null-choices", _choices, same("null"))
    _listed(
        _dialect,
        "parts",
        _openai_delta({"content": _MARK}, "delta"),
        same({"type": "text", "text": "a"}),
    )
    _listed(_dialect, "texts-as-parts", _openai_delta({"content": _MARK}, "delta"), same('"a"'))
    _listed(_dialect, "empty-parts", _openai_delta({"content": _MARK}, "delta"), same({}))
    _listed(
        _dialect,
        "parts-of-thinking",
        _openai_delta({"content": _MARK}, "delta"),
        same({"type": "thinking", "thinking": [{"text": "a"}]}),
    )
    _listed(
        _dialect,
        "reasoning-details",
        _openai_delta({"reasoning_details": _MARK}, "delta"),
        same({"text": "a"}),
    )
    _listed(
        _dialect,
        "annotations",
        _openai_delta({**_delta, "annotations": _MARK}, "message"),
        numbered(
            lambda each: {"type": "url_citation", "url_citation": {"url": f"https://x/{each}"}}
        ),
    )
    for _name, _token in {
        "log-probabilities": {**_TOKEN, "top_logprobs": [_TOKEN] * 20},
        "log-probabilities-without-alternatives": _TOKEN,
        "log-probabilities-that-are-empty": {},
        "log-probabilities-that-are-null": None,
        "log-probabilities-of-minus-infinity": {**_TOKEN, "logprob": float("-inf")},
        "log-probabilities-of-broken-characters": {**_TOKEN, "token": "\ud83d"},
    }.items():
        _listed(
            _dialect,
            _name,
            _openai({"delta": _delta, "logprobs": {"content": _MARK}, "finish_reason": "stop"}),
            same(_token),
        )
    _keyed(
        _dialect,
        "log-probabilities-by-name",
        _openai({"delta": _delta, "logprobs": _MARK}),
        numbered(lambda each: f'"t{each}":-1.0'),
    )
    _keyed(
        _dialect,
        "unknown-in-choice",
        _openai({"delta": _delta, "x": _MARK}),
        numbered(lambda e: f'"{e}":1'),
    )
    for _name, _place in {"delta": {"delta": _MARK}, "message": {"message": _MARK}}.items():
        _keyed(
            _dialect, f"unknown-keys-in-{_name}", _openai(_place), numbered(lambda e: f'"{e}":1')
        )
    _keyed(
        _dialect,
        "counts",
        {**_openai({"delta": _delta}), "usage": _MARK},
        numbered(lambda each: f'"tokens_{each}":1'),
    )
    _listed(_dialect, "events-in-a-list", _MARK, same(_openai({"delta": _delta})))
    _keyed(_dialect, "an-error", {"error": _MARK}, numbered(lambda each: f'"k{each}":"a"'))

_message = {"type": "message", "role": "assistant", "stop_reason": "end_turn"}
for _name, _items in {
    "texts": same({"type": "text", "text": "a"}),
    "empty-blocks": same({}),
    "thinking": same({"type": "thinking", "thinking": "a", "signature": "s"}),
    "redacted": same({"type": "redacted_thinking", "data": "s"}),
    "calls": numbered(
        lambda e: {"type": "tool_use", "id": f"c{e}", "name": "f", "input": {"a": 1}}
    ),
    "other-blocks": same({"type": "server_tool_use", "id": "a"}),
    "citations": same({"type": "text", "text": "a", "citations": [{"url": "u"}]}),
}.items():
    _listed("anthropic", _name, {**_message, "content": _MARK}, _items)
_listed(
    "anthropic",
    "citations-of-one-text",
    {**_message, "content": [{"type": "text", "text": "a", "citations": _MARK}]},
    same({"url": "u"}),
)
_listed(
    "anthropic",
    "input-of-one-call",
    {**_message, "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {"a": _MARK}}]},
    same("1"),
)
_keyed("anthropic", "counts", {**_message, "usage": _MARK}, numbered(lambda e: f'"tokens_{e}":1'))
_keyed(
    "anthropic",
    "unknown-delta",
    {"type": "content_block_delta", "index": 0, "delta": _MARK},
    numbered(lambda e: f'"tokens_{e}":1'),
)
_keyed(
    "anthropic",
    "message-delta",
    {"type": "message_delta", "delta": _MARK, "usage": {}},
    numbered(lambda e: f'"k{e}":1'),
)


def _candidate(**more: Any) -> Any:
    return {"candidates": [{"index": 0, "finishReason": "STOP", **more}]}


for _name, _items in {
    "texts": same({"text": "a"}),
    "thoughts": same({"text": "a", "thought": True}),
    "empty-parts": same({}),
    "calls": same({"functionCall": {"name": "f", "args": {"a": 1}}}),
    "empty-calls": same({"functionCall": {"a": 1}}),
    "signed-calls": same({"functionCall": {"name": "f"}, "thoughtSignature": "s"}),
    "code": same({"executableCode": {"code": "1"}}),
    "code-in-short": same({"c": 1}),
}.items():
    _listed("gemini", _name, _candidate(content={"parts": _MARK}), _items)
for _name, _items in {
    "candidates": numbered(lambda e: {"index": e, "content": {"parts": [{"text": "a"}]}}),
    "candidates-that-finish": numbered(lambda e: {"index": e, "finishReason": "STOP"}),
    "candidates-of-one-index": same({"index": 0, "content": {"parts": [{"text": "a"}]}}),
    "candidates-without-index": same({"content": {"parts": [{"text": "a"}]}}),
    "empty-candidates": same({}),
    "candidates-with-fields": same({"x": 1}),
}.items():
    _listed("gemini", _name, {"candidates": _MARK}, _items)
_listed(
    "gemini",
    "log-probabilities",
    _candidate(logprobsResult={"chosenCandidates": _MARK}),
    same({"token": "a", "logProbability": -1.5}),
)
_listed(
    "gemini",
    "alternatives",
    _candidate(
        logprobsResult={
            "chosenCandidates": [{"token": "a"}],
            "topCandidates": [{"candidates": _MARK}],
        }
    ),
    same({"token": "a", "logProbability": -1.5}),
)
_listed("gemini", "ratings", _candidate(safetyRatings=_MARK), same({"category": "a"}))
_listed("gemini", "events-in-a-list", _MARK, same({"candidates": [{"content": {"parts": []}}]}))
_listed(
    "gemini",
    "texts-in-a-list",
    _MARK,
    same({"candidates": [{"content": {"parts": [{"text": "a"}]}}]}),
)
_keyed("gemini", "counts", {"usageMetadata": _MARK}, numbered(lambda e: f'"tokens_{e}":1'))

for _name, _items in {
    "calls": same({"function": {"name": "f", "arguments": {"a": 1}}}),
    "empty-calls": same({"function": {}}),
    "calls-without-function": same({"x": 1}),
    "calls-with-index": numbered(
        lambda e: {"function": {"index": e, "name": "f", "arguments": {}}}
    ),
}.items():
    _listed(
        "ollama", _name, {"message": {"content": "a", "tool_calls": _MARK}, "done": True}, _items
    )
_listed("ollama", "context", {"response": "a", "done": True, "context": _MARK}, same("12345"))
_listed(
    "ollama",
    "log-probabilities",
    {"message": {"content": "a"}, "done": True, "logprobs": _MARK},
    same({"token": "a", "logprob": -1.5, "bytes": [97]}),
)
_keyed("ollama", "unknown-keys-in-message", {"message": _MARK}, numbered(lambda e: f'"k{e}":1'))
