"""Assembling: what is said once or in pieces, and the direct path of text alone."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from vesselog import Choice, Completion, StreamChunk
from vesselog.core.assembler import Assembler
from vesselog.core.make_chunk import make_chunk

TEXT = st.text(max_size=8)
FIELDS = st.one_of(
    st.fixed_dictionaries({"text": TEXT}),
    st.fixed_dictionaries({"reasoning": TEXT}),
    st.fixed_dictionaries(
        {},
        optional={
            "choice": st.integers(0, 2),
            "text": TEXT,
            "reasoning": TEXT,
            "refusal": TEXT,
            "finish_reason": st.sampled_from(["stop", "length"]),
            "usage": st.fixed_dictionaries({}, optional={"output_tokens": st.integers(0, 9)}),
            "model": TEXT,
            "extra": st.dictionaries(TEXT, st.integers(), max_size=2),
        },
    ),
)


def assembled(chunks: list[StreamChunk]) -> Completion:
    assembler = Assembler()
    for chunk in chunks:
        assembler.add(chunk)
    return assembler.completion()


@given(st.lists(FIELDS, max_size=8))
def test_how_a_chunk_was_made_makes_no_difference(drawn: list[dict[str, Any]]) -> None:
    """A chunk of which every field was given never takes the direct path."""
    made = [make_chunk({"seq": seq, **each}, 0.5, "{}", 1) for seq, each in enumerate(drawn)]
    explicit = [StreamChunk(**{name: getattr(each, name) for name in vars(each)}) for each in made]
    assert made == explicit
    assert assembled(made) == assembled(explicit)


def test_text_alone_is_of_the_first_choice() -> None:
    first = make_chunk({"seq": 0, "text": "a"}, 0.0, "", 1)
    other = make_chunk({"seq": 1, "text": "b", "choice": 1}, 0.0, "", 1)
    completion = assembled([first, other, first])
    assert completion.text == "aa"
    assert [(choice.index, choice.text) for choice in completion.choices] == [
        (0, "aa"),
        (1, "b"),
    ]


def test_no_chunks_are_an_empty_answer() -> None:
    assert assembled([]) == Completion(choices=(Choice(),))


def test_each_choice_keeps_what_came_beside_it() -> None:
    assembler = Assembler()
    assembler.add(StreamChunk(text="a", extra={"z": "0", "ids": [1]}))
    assembler.add(StreamChunk(seq=1, choice=1, text="b", extra={"z": "1", "ids": [2], "y": 1}))
    assembler.add(StreamChunk(seq=2, extra={"ids": [3]}))
    completion = assembler.completion()
    first, second = completion.choices
    assert first.extra == {"z": "0", "ids": [1, 3]}
    assert second.extra == {"z": "1", "ids": [2], "y": 1}
    assert completion.extra == {"z": "0", "ids": [1, 3], "y": 1}
