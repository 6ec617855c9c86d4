"""What an encoder writes is decoded to the same answer, for every captured body.

Compared is what each dialect carries (`round_trips.carried`); docs/dialects.md lists what it does
not, and the last test here holds the two together.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anthropic_bodies import THINKING, TOOLS, answer
from corpus import CAPTURES, MISSING, ROOT, WIRE, capture_body, decoded, wire_body
from decoding import SSE, Decoded, decode
from round_trips import DIALECTS, Dialect, carried, pieces, streamed, whole
from thorough import tries
from vesselog.core.assembler import Assembler
from vesselog.core.chunk import StreamChunk
from vesselog.vessels import Anthropic, Gemini, OpenAI

CASES = sorted((ROOT / "cases").glob("*.sse"))
EACH = pytest.mark.parametrize("name", DIALECTS)


def compare(dialect: Dialect, found: Decoded) -> None:
    """Written and decoded again, streamed and whole, it is the same answer, without a repair."""
    _, again = streamed(dialect, found)
    assert again.error is None
    assert again.repairs == []
    assert pieces(dialect, again) == pieces(dialect, found)
    assert carried(dialect, again.completion) == carried(dialect, found.completion)
    one = whole(dialect, found)
    assert one.error is None
    assert one.repairs == []
    assert carried(dialect, one.completion, whole=True) == carried(
        dialect, found.completion, whole=True
    )


@EACH
def test_every_captured_body_of_a_provider(name: str) -> None:
    if MISSING:
        pytest.skip(MISSING)
    answers = [found for body in WIRE if (found := decoded(wire_body(body))).error is None]
    assert len(answers) > 250
    for found in answers:
        compare(DIALECTS[name], found)


@EACH
def test_every_capture_of_a_server(name: str) -> None:
    if MISSING:
        pytest.skip(MISSING)
    answers = [
        found for path in CAPTURES if (found := decoded(capture_body(path)[1])).error is None
    ]
    assert len(answers) > 40
    for found in answers:
        compare(DIALECTS[name], found)


@EACH
@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_every_odd_answer(name: str, path: Path) -> None:
    """Those of Anthropic and Gemini among them."""
    vessels = {"anthropic": Anthropic(), "gemini": Gemini()}
    found = decode(vessels.get(path.stem.rpartition(".")[2], OpenAI()), path.read_bytes(), SSE)
    custom = any(call.type == "custom" for call in found.completion.tool_calls)
    if found.error is not None or (custom and not name.startswith("openai")):
        return  # requests with custom tools are refused
    compare(DIALECTS[name], found)


@EACH
@pytest.mark.parametrize("body", [THINKING, TOOLS], ids=["thinking", "tools"])
def test_an_answer_of_anthropic(name: str, body: list[bytes]) -> None:
    found = answer(*body)
    assert found.error is None
    compare(DIALECTS[name], found)


def delta(slot: str, **fields: Any) -> dict[str, Any]:
    return {"tool_calls": [{"slot": slot, **fields}]}


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
said = st.one_of(
    texts.map(lambda text: {"text": text}),
    texts.map(lambda text: {"reasoning": text}),
    st.tuples(texts, texts).map(lambda two: {"text": two[0], "reasoning": two[1]}),
    st.sampled_from(["model", "other"]).map(lambda model: {"model": model}),
    st.just({"usage": {"input_tokens": 3, "output_tokens": 2, "cached_input_tokens": 1}}),
)


@st.composite
def chunks(draw: Any) -> list[StreamChunk]:
    """An answer: texts, and calls whose pieces are mixed; ids may come late, finishes early."""
    fields: list[dict[str, Any]] = draw(st.lists(said, max_size=5))
    for slot in map(str, range(draw(st.integers(0, 3)))):
        text = draw(st.sampled_from(["", "{}", '{"a":[1,2],"b":"}{"}', '{"é":"\\n"}']))
        cut = draw(st.integers(0, len(text)))
        late = draw(st.booleans())
        mine = [
            delta(slot, name="f", **({} if late else {"id": f"id_{slot}"})),
            delta(slot, arguments=text[:cut]),
            delta(slot, arguments=text[cut:]),
            *([delta(slot, id=f"id_{slot}")] if late else []),
        ]
        at = 0
        for piece in mine:
            at = draw(st.integers(at, len(fields)))
            fields.insert(at, piece)
            at += 1
    finish = {"finish_reason": draw(st.sampled_from(["stop", "length", "content_filter"]))}
    fields.insert(draw(st.integers(max(0, len(fields) - 2), len(fields))), finish)
    return [StreamChunk(seq=seq, **each) for seq, each in enumerate(fields)]


@EACH
@given(answer=chunks())
@settings(max_examples=tries(20, 150), deadline=None)
def test_any_answer(name: str, answer: list[StreamChunk]) -> None:
    """Whatever the order of its pieces, nothing is lost and nothing is told twice."""
    dialect = DIALECTS[name]
    assembler = Assembler()
    for chunk in answer:
        assembler.add(chunk)
    completion = assembler.completion(outcome="complete")
    encoder = dialect.encoder()
    body = b"".join(map(encoder.write, answer)) + encoder.end(completion)
    again = decode(dialect.vessel, body, dialect.kind, usage=True)
    assert again.error is None
    assert carried(dialect, again.completion) == carried(dialect, completion)


@EACH
def test_an_answer_without_a_chunk_ends_all_the_same(name: str) -> None:
    dialect = DIALECTS[name]
    encoder = dialect.encoder()
    body = encoder.end(Assembler().completion(outcome="complete"))
    assert decode(dialect.vessel, body, dialect.kind).error is None


@EACH
def test_a_heartbeat_is_no_part_of_the_answer(name: str) -> None:
    dialect = DIALECTS[name]
    encoder = dialect.encoder()
    chunk = StreamChunk(text="Hi", finish_reason="stop")
    completion = Assembler()
    completion.add(chunk)
    body = encoder.write(chunk) + encoder.heartbeat
    body += encoder.end(completion.completion(outcome="complete"))
    again = decode(dialect.vessel, body, dialect.kind)
    assert again.error is None
    assert again.completion.text == "Hi"
    assert bool(encoder.heartbeat) == (name not in {"gemini", "ollama"})
