"""Which call a tool's result belongs to."""

from __future__ import annotations

from typing import Any

from vesselog.core.request import Message
from vesselog.vessels.called_tools import CalledTool, CalledTools


def calling(*identifiers: str, tool: str = "f") -> Message:
    calls = [{"id": each, "function": {"name": tool}} for each in identifiers]
    return Message.model_validate({"role": "assistant", "tool_calls": calls})


def result(identifier: str | None) -> Message:
    return Message(role="tool", content="1", tool_call_id=identifier)


def order(calls: CalledTools, *identifiers: str | None) -> list[Any]:
    return [each.tool_call_id for each in calls.in_order(map(result, identifiers))]


def test_a_result_is_that_of_the_call_with_its_id() -> None:
    calls = CalledTools()
    calls.add(calling("a", "b"), None)
    assert calls.of(result("b")) == CalledTool("f", "b", 1)
    assert calls.of(result("c")) is None
    assert calls.of(result(None)) is None


def test_only_an_id_that_the_provider_gave_is_known_to_it() -> None:
    calls = CalledTools()
    calls.add(calling("made", "b"), [{"name": "f"}, {"id": "b"}])
    assert calls.of(result("made")) == CalledTool("f", None, 0)
    assert calls.of(result("b")) == CalledTool("f", "b", 1)


def test_a_call_that_was_added_to_the_message_has_no_native_form() -> None:
    calls = CalledTools()
    calls.add(calling("a", "b"), [{"id": "a"}])
    assert calls.of(result("b")) == CalledTool("f", None, 1)


def test_the_latest_call_with_an_id_counts() -> None:
    """Made ids are the same for the same call in a later turn."""
    calls = CalledTools()
    calls.add(calling("a", "b"), None)
    calls.add(calling("b", "a", tool="g"), None)
    assert order(calls, "a", "b") == ["b", "a"]
    assert calls.of(result("a")) == CalledTool("g", "a", 3)


def test_results_are_ordered_and_unknown_ones_come_last() -> None:
    calls = CalledTools()
    calls.add(calling("a", "b", "c"), None)
    assert order(calls, "x", "c", None, "a") == ["a", "c", "x", None]
