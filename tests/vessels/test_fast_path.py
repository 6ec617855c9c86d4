"""The short way of frames that are alike gives what the long way gives, whatever the frames are."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from types import FrameType
from typing import Any
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from decoding import Decoded, decode
from vesselog.core.exchange import Exchange
from vesselog.core.frame import Frame
from vesselog.core.framing import Framing
from vesselog.core.vessel import Vessel, WireRequest
from vesselog.vessels import Ollama, OpenAI
from vesselog.vessels.fast_path import FastPath
from vesselog.vessels.openai_answer import OpenAIDecoder

VESSELS: dict[str, Vessel] = {"openai": OpenAI(), "ollama": Ollama()}
UNREAD = {"openai": "obfuscation", "ollama": "created_at"}
TYPES = {"openai": "text/event-stream", "ollama": "application/x-ndjson"}
every_dialect = pytest.mark.parametrize("dialect", VESSELS)


def payload(dialect: str, text: str, other: str | None, *, last: bool, ascii_only: bool) -> str:
    """A frame's JSON; `other` is what nobody reads, before the text or behind it."""
    unread = {} if other is None else {UNREAD[dialect]: other}
    value: dict[str, Any]
    if dialect == "openai":
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
        value = {"id": "c", "model": "m", "choices": [choice]}
    else:
        value = {"model": "m", "message": {"role": "assistant", "content": text}, "done": False}
    value = {**value, **unread} if last else {**unread, **value}
    return json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":"))


def framed(dialect: str, payloads: list[str]) -> bytes:
    dress = "data: {}\n\n" if dialect == "openai" else "{}\n"
    return "".join(map(dress.format, payloads)).encode(errors="surrogatepass")


def seen(found: Decoded) -> Any:
    error = found.error and (type(found.error), found.error.message)
    return [(step.fields, step.frame.repairs, step.partial) for step in found.steps], error


def same_both_ways(dialect: str, body: bytes) -> Decoded:
    short = decode(VESSELS[dialect], body, TYPES[dialect])
    with mock.patch.object(FastPath, "read", return_value=None):
        long = decode(VESSELS[dialect], body, TYPES[dialect])
    assert seen(short) == seen(long)
    return short


TEXTS = st.text(st.characters(exclude_categories=[]), max_size=8) | st.sampled_from(
    ['"', "\\", '\\"', "/", "\n", "\x7f", "\u2028", "\ud83d", "😀", "c", "m", "content", '","', "x"]
)
SHAPES = st.fixed_dictionaries({"last": st.booleans(), "ascii_only": st.booleans()})


@every_dialect
@given(st.lists(st.tuples(TEXTS, st.none() | TEXTS), min_size=2, max_size=8), SHAPES)
@example([("a", "z"), ("b", '","x":"'), ('c","y":"d', "z")], {"last": True, "ascii_only": False})
def test_any_texts(dialect: str, told: list[tuple[str, str | None]], shape: Any) -> None:
    payloads = [payload(dialect, text, other, **shape) for text, other in told]
    same_both_ways(dialect, framed(dialect, payloads))


@every_dialect
@given(
    st.lists(TEXTS, min_size=1, max_size=3),
    SHAPES,
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 3), TEXTS), min_size=1, max_size=4),
)
def test_frames_that_are_edited(
    dialect: str, texts: list[str], shape: Any, edits: list[tuple[int, int, str]]
) -> None:
    """A few characters of each later frame are replaced by others."""
    payloads = [payload(dialect, text, "z", **shape) for text in ("a", "b", *texts)]
    for at, count, instead in edits:
        frame = payloads[-1]
        payloads.append(frame[:at] + instead.replace("\n", "") + frame[at + count :])
    same_both_ways(dialect, framed(dialect, payloads))


@every_dialect
@pytest.mark.parametrize("place", ["first", "last"])
def test_most_frames_take_the_short_way(dialect: str, place: str) -> None:
    """Also where padding, or each frame's time, stands before the text or behind it."""
    told = [("a", "p"), ("b", "qq"), ("c\n\u00e9", "rrr"), ("d", "")]
    payloads = [
        payload(dialect, text, other, last=place == "last", ascii_only=False)
        for text, other in told
    ]
    with mock.patch.object(Frame, "json", autospec=True, side_effect=Frame.json) as parsed:
        found = decode(VESSELS[dialect], framed(dialect, payloads), TYPES[dialect])
    assert found.completion.text == "abc\n\u00e9d"
    assert parsed.call_count == 1


@pytest.mark.parametrize(
    "second",
    [
        '{"n":1,"choices":[{"index":0,"delta":{"content":"b"}}]}',
        '{"n":2,"choices":[{"index":0,"delta":{"content":"b"}},{"index":1}]}',
        '{"n":2,"choices":[{"index":0,"delta":{"content":"b","x":"y"}}]}',
        '{"n":2,"choices":[{"index":0,"delta":{"content":"b"b"}}]}',
        '{"n":2,"choices":[{"index":0,"delta":{"content":"\\ud800"}}]}',
        '{"n":2,"choices":[{"index":0,"delta":{"content":""}}]}',
        '{"n":2,"choices":[{"index":0,"delta":{"content":"}}]}',
    ],
)
def test_a_frame_that_differs_elsewhere_is_parsed(second: str) -> None:
    first = '{"n":2,"choices":[{"index":0,"delta":{"content":"a"}}]}'
    decoder = OpenAIDecoder("openai")
    frame = Frame(f"data: {first}\n\n".encode(), Framing.SSE)
    list(decoder.decode(frame))
    with mock.patch.object(Frame, "json", side_effect=ValueError("as it was")) as parsed:
        for data, count in ((first.replace('"a"', '"c"'), 0), (second, 1)):
            with suppress(ValueError):
                list(decoder.decode(Frame(f"data: {data}\n\n".encode(), Framing.SSE)))
            assert parsed.call_count == count


def test_a_text_that_stands_elsewhere_too_is_not_mistaken() -> None:
    """The first frame's text is a key and another value; the second's is found."""
    frames = [
        payload("openai", text, None, last=True, ascii_only=False) for text in ("c", "m", "id", "x")
    ]
    found = same_both_ways("openai", framed("openai", [*frames, frames[0], frames[1]]))
    assert found.completion.text == "cmidxcm"


def test_where_no_frame_is_like_another_it_is_given_up() -> None:
    frames = [f'{{"n":{n},"choices":[{{"index":0,"delta":{{"content":"a"}}}}]}}' for n in range(40)]
    with mock.patch("vesselog.vessels.fast_path.json.dumps", side_effect=json.dumps) as looked:
        found = decode(OpenAI(), framed("openai", frames), TYPES["openai"])
    assert found.completion.text == "a" * 40
    assert looked.call_count == 16


def test_an_answer_after_such_reasoning_takes_the_short_way() -> None:
    """OpenRouter tells reasoning twice in each frame, and then the answer once."""

    def event(**delta: Any) -> str:
        return json.dumps({"id": "c", "choices": [{"index": 0, "delta": delta}]})

    thoughts = [
        event(content="", reasoning=text, reasoning_details=[{"type": "t", "text": text}])
        for text in map(str, range(40))
    ]
    answer = [event(content=text) for text in "abcdefgh"]
    decoder = OpenAIDecoder("openai")

    def parsed(payloads: list[str]) -> int:
        with mock.patch.object(Frame, "json", autospec=True, side_effect=Frame.json) as parse:
            for payload in payloads:
                list(decoder.decode(Frame(f"data: {payload}\n\n".encode(), Framing.SSE)))
        return parse.call_count

    assert (parsed(thoughts), parsed(answer)) == (40, 1)


@every_dialect
@pytest.mark.parametrize(("same", "most"), [(True, 12), (False, 48)], ids=["fast", "parsed"])
def test_a_frame_of_text_takes_few_calls(dialect: str, most: int, *, same: bool) -> None:
    """From a read with one frame to its step, in calls of Python functions."""
    payloads = [
        payload(dialect, f"t{number}", None if same else "é" * number, last=True, ascii_only=False)
        for number in range(20)
    ]
    if not same:
        payloads = [f'{{"n":{number},{text[1:]}' for number, text in enumerate(payloads)]
    vessel = VESSELS[dialect]
    exchange = Exchange(vessel, WireRequest(url="http://x", body={"model": "m"}))
    exchange.respond(200, TYPES[dialect])
    *earlier, last = (framed(dialect, [each]) for each in payloads)
    for raw in earlier:
        exchange.take(raw)
    calls: list[str] = []

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            calls.append(frame.f_code.co_name)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        (step,) = exchange.take(last)
    finally:
        sys.setprofile(before)
    assert step.chunks[0].text == "t19"
    assert len(calls) <= most, calls
