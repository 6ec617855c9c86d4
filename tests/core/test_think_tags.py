"""`<think>` tags become reasoning, where that was asked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoding import Decoded, delta, openai


def told(*texts: str, split_think: object = True) -> Decoded:
    return openai(*(delta(content=text) for text in texts), delta("stop"), split_think=split_think)


def test_tags_stay_in_the_text_unless_asked_for() -> None:
    found = openai(delta(content="<think>a</think>b"), delta("stop"))
    assert found.completion.text == "<think>a</think>b"
    assert found.completion.reasoning == ""
    assert found.repairs == []


@pytest.mark.parametrize(
    ("text", "reasoning", "rest"),
    [
        ("<think>a</think>b", "a", "b"),
        ("\n<think>\na\n</think>\n\nb", "\na\n", "\n\nb"),
        ("<think></think>b", "", "b"),
        ("<think>never closed", "never closed", ""),
        ("<think>a</think>b<think>c</think>d", "a", "b<think>c</think>d"),
        ("no tags", "", "no tags"),
        ("a <think>b</think>", "", "a <think>b</think>"),
        ("<thinking>a", "", "<thinking>a"),
        ("<thi", "", "<thi"),
        ("  ", "", "  "),
        ("<think>a</thi", "a</thi", ""),
        ("", "", ""),
    ],
)
def test_what_is_between_the_tags_is_reasoning(text: str, reasoning: str, rest: str) -> None:
    """In one piece, character by character, and cut anywhere."""
    cuts = [[text], list(text), *([text[:at], text[at:]] for at in range(len(text)))]
    for pieces in cuts:
        completion = told(*pieces).completion
        assert (completion.reasoning, completion.text) == (reasoning, rest)


def test_each_frame_in_which_text_moved_says_so() -> None:
    found = told("<think>a", "b", "c</think>d", "e")
    assert [step.frame.repairs for step in found.steps] == [("think-tags",)] * 3 + [(), ()]


def test_an_implied_tag_begins_inside() -> None:
    completion = told("a", "b</thi", "nk>c", split_think="implied").completion
    assert (completion.reasoning, completion.text) == ("ab", "c")


def test_a_given_tag_is_taken_where_it_is_implied() -> None:
    completion = told("<think>a</think>c", split_think="implied").completion
    assert (completion.reasoning, completion.text) == ("a", "c")


def test_choices_are_split_apart() -> None:
    found = openai(
        delta(content="<think>a"),
        delta(content="b", index=1),
        delta(content="</think>c"),
        delta("stop"),
        delta("stop", index=1),
        n=2,
        split_think=True,
    )
    assert (found.completion.reasoning, found.completion.text) == ("a", "c")
    assert found.completion.choices[1].text == "b"


def test_reasoning_in_its_own_field_stays() -> None:
    found = openai(
        delta(reasoning="r", content="<think>a</think>b"), delta("stop"), split_think=True
    )
    assert (found.completion.reasoning, found.completion.text) == ("ra", "b")


def test_a_cut_stream_gives_what_was_held_back() -> None:
    found = openai(delta(content="x"), delta(content=" <"), split_think=True)
    assert found.completion.text == "x <"
    found = openai(delta(content="<thi"), split_think=True)
    assert found.completion.text == "<thi"
    assert found.outcome == "TruncatedError"


@given(
    st.lists(st.sampled_from(["<think>", "</think>", "<th", "ink>", "</", "a", "\n"]), max_size=8)
)
def test_nothing_is_lost(pieces: list[str]) -> None:
    """Reasoning and text are what came but for the tags, however it came."""
    came = "".join(pieces)
    completion = told(*pieces).completion
    reasoning, text = completion.reasoning, completion.text
    if came.lstrip().startswith("<think>"):
        closed, open_ended = f"<think>{reasoning}</think>{text}", f"<think>{reasoning}{text}"
        assert came.lstrip() in {closed, open_ended}
    else:
        assert (reasoning, text) == ("", came)
