"""Answers of about 1 MB that are one frame, or very many tiny ones, of every kind that costs time.

Each is made of small pieces that are repeated until the size is reached.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, NamedTuple

__all__ = ["ANSWERS", "MEGABYTE", "Answer"]

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
        size -= len(item.encode()) + len(separator)
        if size < 0 and made:
            break
        made.append(item)
    return separator.join(made)


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
        size -= len(prefix) + len(before) + len(after) + len(end)
        inner = fill(items(), size, separator)
        return f"{prefix}{before}{inner}{after}{end}".encode()

    prefix, end, kind = ("", "\n", _LINES) if dialect == "ollama" else ("data: ", "\n\n", _EVENTS)
    if dialect == "responses":
        prefix, end = 'data: {"type":"response.completed","response":', "}\n\n"
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


def _response(*output: Any, **more: Any) -> Any:
    return {"id": "r", "object": "response", "status": "completed", "output": [*output], **more}


def _said(*content: Any) -> Any:
    return {"id": "m", "type": "message", "role": "assistant", "content": [*content]}


def _output_text(text: str, **more: Any) -> Any:
    return {"type": "output_text", "text": text, "annotations": [], **more}


def _event(kind: str, **more: Any) -> str:
    return f"data: {_json({'type': f'response.{kind}', 'output_index': 0, **more})}\n\n"


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
    "responses": _response(_said(_output_text(_MARK))),
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
    "lists-of-five-numbers": same("[0,0,0,0,0]"),
    "nulls": same("null"),
    "strings": same('"a"'),
    "objects-of-one-key": numbered(lambda each: {f"k{each}": each}),
    "not-a-number": same("NaN"),
    "infinite-numbers": same("1e999"),
    "integers-over-64-bits": same("9" * 30),
    "long-integers-beside-nan": same("9" * 4000 + ",NaN"),
}


def _one(dialect: str, name: str, around: Any, make: Callable[[int], str]) -> None:
    """A whole body with one large value at the mark."""
    written = _json(around)

    def body(size: int) -> bytes:
        return written.replace(f'"{_MARK}"', make(size)).encode()

    ANSWERS[f"{dialect}-{name}"] = Answer(dialect, _WHOLE, body, stream=False)


def _texts(dialect: str, around: Any) -> None:
    for name, text in {
        "plain-text": "abcdefgh",
        "text-in-many-scripts": "äß漢字🙂",
        "escapes": "\\n",
        "escaped-characters": "\\u00e9",
        "escaped-pairs": "\\ud83d\\ude00",
        "lone-surrogates": "\\ud83da",
        "lone-surrogates-in-a-row": "\\ud83d",
    }.items():
        _spelled(dialect, name, around, text)
    key = "sk-0123456789abcdef"
    _spelled(dialect, "key-again-and-again", around, f"{key} ", key=key)
    _spelled(dialect, "key-nearly", around, f"{key} ", key=f"{key}-0")
    _spelled(dialect, "think-tags", around, "<think>a</think>b", split_think=True)
    _spelled(dialect, "think-tags-that-nearly-end", around, "<think></thin", split_think=True)


def _unknown(dialect: str, plain: Any) -> None:
    around = {**plain, "x": _MARK}
    for name, items in _VALUES.items():
        _listed(dialect, f"unknown-{name}", around, items)
    for beside, unusual in {"half": '"\\ud83d"', "nan": "NaN", "large-integer": "9" * 30}.items():
        top = _json(around).replace(f'"{_MARK}"', f'[{unusual},"{_MARK}"]')
        for name in ("numbers", "numbers-with-a-fraction", "strings", "objects-of-one-key"):
            _add(dialect, f"unknown-{name}-beside-{beside}", top, _VALUES[name], ",")
    _keyed(dialect, "unknown-object", around, numbered(lambda each: f'"k{each}":1'))
    _one(dialect, "deep-lists", around, lambda size: "[" * (size // 2) + "]" * (size // 2))
    _one(
        dialect,
        "deep-objects",
        around,
        lambda size: '{"a":' * (size // 6) + "1" + "}" * (size // 6),
    )
    _one(dialect, "one-integer", around, lambda size: "9" * size)
    _one(dialect, "one-integer-beside-nan", around, lambda size: "[NaN," + "9" * size + "]")
    top = f'{_json(plain)[:-1]},"{_MARK}"}}'
    _add(dialect, "unknown-keys", top, numbered(lambda each: f'"k{each}":1'), ",")
    _add(dialect, "unknown-keys-of-lists", top, numbered(lambda each: f'"k{each}":[1]'), ",")


def _frames(dialect: str, plain: Any) -> None:
    prefix, end = ("", "\n") if dialect == "ollama" else ("data: ", "\n\n")
    if dialect == "responses":
        delta = {"output_index": 0, "content_index": 0, "delta": "a"}
        plain = {"type": "response.output_text.delta", **delta}
    small = _json(plain)
    _raw(dialect, "values-in-one-frame", small)
    _raw(dialect, "lists-in-one-frame", f"{prefix}[]")
    _raw(dialect, "small-frames", f"{prefix}{small}{end}")
    _raw(dialect, "empty-objects-in-frames", f"{prefix}{{}}{end}")
    _raw(dialect, "empty-lines", "\n", f"{prefix}{small}{end}".encode())
    _raw(dialect, "invalid-utf-8", b"\xff")
    _raw(dialect, "invalid-utf-8-in-frames", prefix.encode() + b'"\xff"' + end.encode())
    _raw(dialect, "white-space", " ")
    if dialect == "ollama":
        return
    last = f"data: {small}\n\n".encode()
    for name, text in {
        "comments": ":\n\n",
        "comments-in-one-frame": ":\n",
        "event-names": "event: a\n",
        "event-names-in-frames": "event: a\n\n",
        "identifiers": "id: 1\n",
        "data-lines": "data: 1\n",
        "empty-data": "data:\n\n",
        "empty-data-lines": "data\n",
        "carriage-returns": "\r",
        "no-field": "x\n",
        "error-field": "error: 1\n",
        "numbers-in-frames": "data: 1\n\n",
    }.items():
        _raw(dialect, name, text, last)


for _dialect, _around in _TEXT.items():
    _plain = json.loads(_json(_around).replace(f'"{_MARK}"', '"a"'))
    _texts(_dialect, _around)
    _unknown(_dialect, _plain)
    _frames(_dialect, _plain)


def _call(number: int, **function: Any) -> dict[str, Any]:
    return {"index": number, "id": f"c{number}", "function": {"name": "f", **function}}


def _openai_answers(dialect: str) -> None:
    choices = {"id": "c", "choices": _MARK}
    for place in ("delta", "message"):
        for name, items in {
            "choices": numbered(lambda each, place=place: {"index": each, place: {"content": "a"}}),
            "choices-that-finish": numbered(
                lambda each, place=place: {
                    "index": each,
                    place: {"role": "assistant", "content": "a"},
                    "finish_reason": "stop",
                }
            ),
            "choices-of-one-index": same({"index": 0, place: {"content": "a"}}),
            "choices-with-calls": numbered(
                lambda each, place=place: {
                    "index": each,
                    place: {"tool_calls": [_call(0, arguments="{}")]},
                }
            ),
            "choices-with-fields": numbered(
                lambda each, place=place: {"index": each, place: {"x": 1}}
            ),
            "choices-without-index": same({place: {"content": "a"}}),
        }.items():
            _listed(dialect, f"{name}-in-{place}", choices, items)
        for name, items in {
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
                dialect,
                f"{name}-in-{place}",
                _openai_delta({"tool_calls": _MARK}, place),
                items,
            )
    delta = {"content": "a"}
    _listed(dialect, "empty-choices", choices, same({}))
    _listed(dialect, "null-choices", choices, same("null"))
    _listed(
        dialect,
        "parts",
        _openai_delta({"content": _MARK}, "delta"),
        same({"type": "text", "text": "a"}),
    )
    _listed(dialect, "texts-as-parts", _openai_delta({"content": _MARK}, "delta"), same('"a"'))
    _listed(dialect, "empty-parts", _openai_delta({"content": _MARK}, "delta"), same({}))
    _listed(
        dialect,
        "parts-of-thinking",
        _openai_delta({"content": _MARK}, "delta"),
        same({"type": "thinking", "thinking": [{"text": "a"}]}),
    )
    _listed(
        dialect,
        "reasoning-details",
        _openai_delta({"reasoning_details": _MARK}, "delta"),
        same({"text": "a"}),
    )
    _listed(
        dialect,
        "annotations",
        _openai_delta({**delta, "annotations": _MARK}, "message"),
        numbered(
            lambda each: {"type": "url_citation", "url_citation": {"url": f"https://x/{each}"}}
        ),
    )
    for name, token in {
        "log-probabilities": {**_TOKEN, "top_logprobs": [_TOKEN] * 20},
        "log-probabilities-without-alternatives": _TOKEN,
        "log-probabilities-that-are-empty": {},
        "log-probabilities-that-are-null": None,
        "log-probabilities-without-bytes": {**_TOKEN, "token": "null", "bytes": None},
        "log-probabilities-of-minus-infinity": {**_TOKEN, "logprob": float("-inf")},
        "log-probabilities-of-broken-characters": {**_TOKEN, "token": "\ud83d"},
    }.items():
        _listed(
            dialect,
            name,
            _openai({"delta": delta, "logprobs": {"content": _MARK}, "finish_reason": "stop"}),
            same(token),
        )
    _keyed(
        dialect,
        "log-probabilities-by-name",
        _openai({"delta": delta, "logprobs": _MARK}),
        numbered(lambda each: f'"t{each}":-1.0'),
    )
    _keyed(
        dialect,
        "unknown-in-choice",
        _openai({"delta": delta, "x": _MARK}),
        numbered(lambda e: f'"{e}":1'),
    )
    for name, place in {"delta": {"delta": _MARK}, "message": {"message": _MARK}}.items():
        _keyed(dialect, f"unknown-keys-in-{name}", _openai(place), numbered(lambda e: f'"{e}":1'))
    _keyed(
        dialect,
        "counts",
        {**_openai({"delta": delta}), "usage": _MARK},
        numbered(lambda each: f'"tokens_{each}":1'),
    )
    _listed(dialect, "events-in-a-list", _MARK, same(_openai({"delta": delta})))
    _keyed(dialect, "an-error", {"error": _MARK}, numbered(lambda each: f'"k{each}":"a"'))


_openai_answers("openai")  # Azure has the same decoder

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

for _name, _items in {
    "messages": numbered(lambda e: {**_said(_output_text("a")), "id": f"m{e}"}),
    "items-of-one-id": same(_said(_output_text("a"))),
    "calls": numbered(
        lambda e: {"type": "function_call", "call_id": f"c{e}", "name": "f", "arguments": "{}"}
    ),
    "calls-with-objects": numbered(
        lambda e: {"type": "function_call", "call_id": f"c{e}", "name": "f", "arguments": {"a": 1}}
    ),
    "custom-calls": numbered(
        lambda e: {"type": "custom_tool_call", "call_id": f"c{e}", "name": "f", "input": "a"}
    ),
    "reasoning": same({"type": "reasoning", "summary": [{"type": "summary_text", "text": "a"}]}),
    "items-of-its-own-tools": numbered(lambda e: {"type": "web_search_call", "id": f"w{e}"}),
    "empty-items": same({}),
}.items():
    _listed("responses", _name, _response(_MARK), _items)
for _name, _items in {
    "parts": same({"type": "output_text", "text": "a"}),
    "refusals": same({"type": "refusal", "refusal": "a"}),
    "empty-parts": same({}),
}.items():
    _listed("responses", _name, _response({**_said(), "content": _MARK}), _items)
for _name, _part, _items in (
    ("annotations", {"annotations": _MARK}, same({"type": "url_citation", "url": "https://x"})),
    ("log-probabilities", {"logprobs": _MARK}, same({**_TOKEN, "top_logprobs": [_TOKEN] * 20})),
    ("log-probabilities-without-alternatives", {"logprobs": _MARK}, same(_TOKEN)),
    ("log-probabilities-that-are-empty", {"logprobs": _MARK}, same({})),
    (
        "log-probabilities-without-bytes",
        {"logprobs": _MARK},
        same({**_TOKEN, "token": "null", "bytes": None}),
    ),
):
    _listed("responses", _name, _response(_said(_output_text("a", **_part))), _items)
_keyed("responses", "counts", _response(usage=_MARK), numbered(lambda e: f'"tokens_{e}":1'))
_keyed("responses", "an-error", _response(error=_MARK), numbered(lambda e: f'"k{e}":"a"'))
_own_tool = {"type": "web_search_call", "id": "w", "results": _MARK}
_listed("responses", "results-of-its-own-tool", _response(_own_tool), same({"url": "https://x"}))
for _name, _text in {
    "items-in-frames": _event("output_item.added", item=_said()),
    "items-done-in-frames": _event("output_item.done", item=_said(_output_text("a"))),
    "calls-in-frames": _event("output_item.added", item={"type": "function_call", "name": "f"}),
    "arguments-in-frames": _event("function_call_arguments.delta", item_id="a", delta="1"),
    "parts-in-frames": _event("content_part.added", content_index=0, part=_output_text("")),
    "texts-in-frames": _event("output_text.done", content_index=0, text="a"),
    "annotations-in-frames": _event("output_text.annotation.added", annotation={"url": "u"}),
    "log-probabilities-in-frames": _event("output_text.delta", delta="a", logprobs=[_TOKEN]),
    "news-in-frames": _event("web_search_call.searching", item_id="w"),
    "unknown-events-in-frames": _event("unknown", a=1),
}.items():
    _raw("responses", _name, _text)
