"""Whatever arrives gives chunks and typed errors: no crash, no hang, no text lost in silence.

Arbitrary bytes, arbitrary JSON, and mutated real bodies (mutations.py), in all dialects.
VESSELOG_FUZZ=20000 tries that many of each, other ones each time; without it a few are tried,
always the same.
"""

from __future__ import annotations

import os
import random
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from decoding import Decoded, decode
from mutations import MARK, VESSELS, WORDS, mutated, seeds
from thorough import tries
from vesselog.core.chunk import StreamChunk
from vesselog.core.jsontext import dumps
from vesselog.core.truth.line import parse_line
from vesselog.core.truth.line_types import frame_line

EXAMPLES = int(os.environ.get("VESSELOG_FUZZ", "0"))
ENDINGS = {"complete", "TruncatedError", "ProviderError", "ProtocolError"}
few = settings(
    max_examples=EXAMPLES or tries(20, 60),
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
many = settings(few, max_examples=EXAMPLES or tries(120, 500))
# Comments and the other fields of events are no data, whatever is in them.
NO_DATA = re.compile(r"^(?::|event:|id:|retry:).*$", re.MULTILINE)
# Anthropic's input of a block that is no call of the caller's tools is told when the block ends; an
# answer that fails before says so by failing.
HELD_BACK = '"input_json_delta"'
every_dialect = pytest.mark.parametrize("dialect", sorted(VESSELS))

numbers = st.integers() | st.floats() | st.sampled_from([-1, 0, 1, 2**64, 1e300])
texts = st.sampled_from(
    ["", "a", "null", "[DONE]", "<think>", "\ud83d", "\ude00", "data: {}", *WORDS]
)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=3), inner, max_size=5)
    ),
    max_leaves=20,
)
openai_events = st.fixed_dictionaries(
    {"choices": st.lists(st.fixed_dictionaries({"delta": json_values}), max_size=2) | json_values},
    optional=dict.fromkeys(("error", "usage", "object", "id", "data"), json_values),
)
ollama_lines = st.fixed_dictionaries(
    {"message": st.dictionaries(st.sampled_from(WORDS), json_values, max_size=4)},
    optional=dict.fromkeys(("done", "done_reason", "error", "eval_count"), json_values),
)
anthropic_events = st.fixed_dictionaries(
    {"type": st.sampled_from([word for word in WORDS if "_" in word])},
    optional=dict.fromkeys(("delta", "content_block", "message", "index", "usage"), json_values),
)
gemini_events = st.fixed_dictionaries(
    {"candidates": st.lists(st.fixed_dictionaries({"content": json_values}), max_size=2)},
    optional=dict.fromkeys(("usageMetadata", "promptFeedback", "error"), json_values),
)
events = json_values | openai_events | ollama_lines | anthropic_events | gemini_events


def sound(found: Decoded, body: bytes) -> None:
    """What holds for any body at all."""
    assert found.outcome in ENDINGS
    assert found.raw == body
    assert [chunk.seq for chunk in found.chunks] == list(range(len(found.chunks)))
    for step in found.steps:
        line = parse_line(frame_line(step, 1, 1, 0)[:-1])
        assert line is not None
        for chunk, fields in zip(step.chunks, line.get("chunks", ()), strict=True):
            again = StreamChunk.model_validate({**fields, "t": chunk.t, "raw": chunk.raw})
            assert again == chunk, "what is stored is what was handed out"
    assert found.completion.text == "".join(c.text for c in found.chunks if c.choice == 0)


def lost(found: Decoded) -> set[str]:
    """The marks in the body that came out nowhere, and of which nothing was said."""
    said = dumps(found.said).decode() if found.error is None else str(found.said)
    missing: set[str] = set()
    for step in found.steps:
        if step.error is not None or step.partial or step.frame.repairs:
            continue
        if found.error is not None and HELD_BACK in step.frame.text:
            continue
        text = NO_DATA.sub("", step.frame.text)
        missing |= set(MARK.findall(text)) - set(MARK.findall(said))
    return missing


def pieces(body: bytes, chance: random.Random) -> list[bytes]:
    cuts = sorted(chance.randint(0, len(body)) for _ in range(chance.randint(0, 5)))
    return [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]


@every_dialect
@few
@given(body=st.binary(max_size=300), kind=st.sampled_from(["", "text/event-stream", "x-ndjson"]))
@example(body=b"\xff\xfe\x00{", kind="")
@example(body=b"[" * 100_000, kind="application/json")
@example(body=b"data: " + b'{"a":' * 50_000 + b"\n\n", kind="text/event-stream")
def test_arbitrary_bytes(dialect: str, body: bytes, kind: str) -> None:
    for stream in (True, False):
        sound(decode(VESSELS[dialect], body, kind, stream=stream), body)
    found = decode(VESSELS[dialect], [body[at : at + 1] for at in range(len(body[:300]))], kind)
    if len(body) <= 300:
        assert found.said == decode(VESSELS[dialect], body, kind).said


@every_dialect
@few
@given(values=st.lists(events, max_size=4), lines=st.booleans(), split_think=st.booleans())
def test_arbitrary_json(
    dialect: str,
    values: list[Any],
    lines: bool,  # noqa: FBT001 - hypothesis calls
    split_think: bool,  # noqa: FBT001
) -> None:
    frames = [
        dumps(value) + b"\n" if lines else b"data: " + dumps(value) + b"\n\n" for value in values
    ]
    body = b"".join(frames)
    for stream in (True, False):
        sound(decode(VESSELS[dialect], body, stream=stream, split_think=split_think), body)


@many
@given(number=st.integers(0, 10_000), seed=st.integers(0, 2**32), times=st.integers(1, 4))
def test_mutated_bodies(number: int, seed: int, times: int) -> None:
    chosen = seeds()[number % len(seeds())]
    chance = random.Random(seed)
    body = b"".join(mutated(chosen, chance, times))
    vessel = VESSELS[chosen.dialect]
    found = decode(vessel, body, chosen.content_type, stream=chosen.stream)
    sound(found, body)
    assert lost(found) == set(), f"{chosen.name}: {[(s.frame.raw, s.fields) for s in found.steps]}"
    split = decode(vessel, pieces(body, chance), chosen.content_type, stream=chosen.stream)
    assert (split.said, split.outcome, split.repairs) == (found.said, found.outcome, found.repairs)


def test_marks_come_out_of_bodies_that_are_not_mutated() -> None:
    """Else nothing could be seen to be lost."""
    marks = 0
    for seed in seeds():
        body = b"".join(seed.frames)
        found = decode(VESSELS[seed.dialect], body, seed.content_type, stream=seed.stream)
        marks += len(MARK.findall(str(found.said)))
        assert lost(found) == set(), seed.name
    assert marks > 100
    assert {seed.dialect for seed in seeds()} == set(VESSELS)
