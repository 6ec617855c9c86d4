"""Text and reasoning in values of every type."""

from __future__ import annotations

from typing import Any

import pytest

from decoding import delta, openai, sse
from vesselog.vessels.openai_texts import count_inside

STOP = delta("stop")


@pytest.mark.parametrize(
    ("odd", "text"),
    [
        (1, "1"),
        (1.5, "1.5"),
        (True, "true"),
        (False, "false"),
        ({"port": "Bremen"}, '{"port":"Bremen"}'),
        ([1, "a", {"type": "text", "text": "b"}, None], "1ab"),
    ],
)
def test_content_of_another_type_is_what_the_model_said(odd: Any, text: str) -> None:
    found = openai(delta(content="["), delta(content=odd), delta(content="]"), STOP)
    assert (found.outcome, found.completion.text) == ("complete", f"[{text}]")
    assert "unexpected-type" in found.repairs
    native = found.natives[0]["content"]
    assert isinstance(odd, list) or native == f"[{text}]"


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content", "reasoning_text", "thinking"])
@pytest.mark.parametrize(
    ("odd", "reasoning"),
    [
        ({"text": "Hm"}, "Hm"),
        ({"content": "Hm", "signature": "S"}, "Hm"),
        ({"summary": [{"type": "summary_text", "text": "Hm"}]}, "Hm"),
        ([{"text": "H"}, {"text": "m"}], "Hm"),
        ({"encrypted": "x"}, ""),
        (False, ""),
        (7, "7"),
    ],
)
def test_reasoning_of_another_type_does_not_end_the_answer(
    name: str, odd: Any, reasoning: str
) -> None:
    found = openai(delta(content="A", **{name: odd}), STOP)
    assert (found.outcome, found.completion.text) == ("complete", "A")
    assert found.completion.reasoning == reasoning
    assert found.repairs == ["unexpected-type"]
    assert found.natives[0].get(name) == (None if odd is False else odd), "as it came"


@pytest.mark.parametrize("odd", [False, {}, {"x": 1}])
def test_a_refusal_of_another_type_is_none(odd: Any) -> None:
    found = openai(delta(content="A", refusal=odd), STOP)
    assert (found.outcome, found.completion.text, found.completion.refusal) == ("complete", "A", "")
    assert found.repairs == ["unexpected-type"]


def test_reasoning_with_a_signature_in_parts_of_the_content() -> None:
    """Databricks."""
    summary = [{"type": "summary_text", "text": "Hm.", "signature": "SIG"}]
    part = {"type": "reasoning", "summary": summary}
    found = openai(delta(content=[part]), delta(content="Hi"), STOP)
    assert (found.completion.text, found.completion.reasoning) == ("Hi", "Hm.")
    assert found.natives[0]["content"] == [part, {"type": "text", "text": "Hi"}]


@pytest.mark.parametrize(
    ("choice", "text", "reasoning", "twice"),
    [
        ({"text": "Hi", "delta": {"content": "Hi"}}, "Hi", "", True),
        ({"text": "Hi ", "delta": {"content": "Hi"}}, "Hi", "", True),
        ({"text": "Hm", "delta": {"content": "", "reasoning": "Hm"}}, "", "Hm", True),
        ({"text": "Hi", "delta": {"content": "", "reasoning": "Hm"}}, "Hi", "Hm", False),
        ({"text": "Hi", "delta": {}}, "Hi", "", False),
        ({"text": "", "delta": {"content": "Hi"}}, "Hi", "", False),
        ({"text": "Hi"}, "Hi", "", False),
    ],
)
def test_a_token_at_two_places_of_a_choice_is_one_token(
    choice: dict[str, Any],
    text: str,
    reasoning: str,
    twice: bool,  # noqa: FBT001
) -> None:
    found = openai(*[{"choices": [{"index": 0, **choice}]}] * 3, STOP)
    assert (found.completion.text, found.completion.reasoning) == (text * 3, reasoning * 3)
    assert (found.natives[0]["content"] or "") == text * 3
    assert ("text-beside-delta" in found.repairs) == twice


@pytest.mark.parametrize("place", ["delta", "message"])
@pytest.mark.parametrize(("odd", "text"), [("Hi", "Hi"), (7, ""), ([], ""), (False, "")])
def test_a_delta_of_another_type_does_not_end_the_answer(place: str, odd: Any, text: str) -> None:
    event = {"object": "chat.completion.chunk", "choices": [{"index": 0, place: odd}]}
    found = openai(delta(content="A"), event, delta(content="B"), STOP)
    assert (found.outcome, found.completion.text) == ("complete", f"A{text}B")
    assert "unexpected-type" in found.repairs


@pytest.mark.parametrize("odd", [7, "x", {"0": 1}, [7], [[]], ["x"], False])
def test_choices_of_another_type_do_not_end_the_answer(odd: Any) -> None:
    found = openai(delta(content="A"), {"choices": odd}, delta(content="B"), STOP)
    assert (found.outcome, found.completion.text) == ("complete", "AB")
    assert "unexpected-type" in found.repairs


def test_one_choice_without_its_list_is_read() -> None:
    event = delta(content="B")
    event["choices"] = event["choices"][0]
    found = openai(delta(content="A"), event, sse(STOP))
    assert found.completion.text == "AB"


def test_parts_inside_parts_are_counted() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "a"}] * 3}
    assert count_inside(["a", thinking, {"type": "text", "text": "b"}]) == 3
